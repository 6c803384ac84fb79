package jsontext

import "strconv"

// The functions of this file walk a document that Check has accepted. On other
// input they return something harmless: an index in range, never a panic.

// Skip returns the index after the value that starts at b[i].
func Skip(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return SkipString(b, i)
	case '[', '{':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				i = SkipString(b, i)
				continue
			case '[', '{':
				depth++
			case ']', '}':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(b)
	default:
		for i < len(b) && !isEnd[b[i]] {
			i++
		}
		return i
	}
}

// isEnd tells the bytes that end a number or a literal.
var isEnd = func() (t [256]bool) {
	for _, c := range " \t\r\n,]}:" {
		t[c] = true
	}
	return t
}()

// SkipString returns the index after the string whose opening quote is b[i].
func SkipString(b []byte, i int) int {
	for i++; i < len(b); {
		i = run(b, i)
		if i >= len(b) {
			break
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
	return len(b)
}

// SkipPlain is SkipString for a string without escapes; ok is false for any other.
func SkipPlain(b []byte, i int) (end int, ok bool) {
	if end = run(b, i+1); end < len(b) && b[end] == '"' {
		return end + 1, true
	}
	return 0, false
}

// SkipSpace returns the index of the first byte at or after i that is not
// white space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// AppendCompact appends b without the white space between its tokens.
func AppendCompact(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		switch b[i] {
		case '"':
			end := SkipString(b, i)
			dst = append(dst, b[i:end]...)
			i = end
		case ' ', '\t', '\r', '\n':
			i++
		default:
			dst = append(dst, b[i])
			i++
		}
	}
	return dst
}

// StringIs reports whether the JSON string s, with its quotes, spells the text
// want.
func StringIs(s []byte, want string) bool {
	if len(s) < 2 {
		return false
	}
	body := s[1 : len(s)-1]
	if run(body, 0) == len(body) {
		return string(body) == want
	}
	if len(body) < len(want) {
		return false // escapes are never shorter than what they spell
	}
	var buf [64]byte
	return string(AppendUnquoted(buf[:0], s)) == want
}

// NextMember cuts the first member off the compact text between an object's braces. The
// key has its quotes.
func NextMember(list []byte) (key, value, rest []byte) {
	k := SkipString(list, 0)
	end := Skip(list, k+1)
	key, value = list[:k], list[min(k+1, end):end]
	if end < len(list) {
		rest = list[end+1:]
	}
	return key, value, rest
}

// EachMember calls fn for each member of an object; of anything else it has none. Keys
// come without quotes, but as they are spelled.
func EachMember(b []byte, fn func(key, value []byte)) {
	i := SkipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return
	}
	i = SkipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		end := SkipString(b, i)
		key := b[i+1 : max(i+1, end-1)]
		i = SkipSpace(b, SkipSpace(b, end)+1) // after the colon
		end = Skip(b, i)
		fn(key, b[min(i, end):end])
		i = SkipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = SkipSpace(b, i+1)
		}
	}
}

// EachElement calls fn for each element of an array; of anything else it has none.
func EachElement(b []byte, fn func(value []byte)) {
	i := SkipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return
	}
	i = SkipSpace(b, i+1)
	for i < len(b) && b[i] != ']' {
		end := Skip(b, i)
		if end == i {
			return // not JSON
		}
		fn(b[i:end])
		i = SkipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = SkipSpace(b, i+1)
		}
	}
}

// Finite reports whether a float64 holds each number of b: 1e999 is JSON, and no number of
// any program that will read it.
func Finite(b []byte) bool {
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			i = SkipString(b, i)
		case c == '-' || c-'0' < 10:
			end := Skip(b, i)
			if _, err := strconv.ParseFloat(string(b[i:end]), 64); err != nil {
				return false
			}
			i = end
		default:
			i++
		}
	}
	return true
}
