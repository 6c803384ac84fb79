package msgpack

import (
	"fmt"
	"strconv"

	"posthouse/internal/jsontext"
)

// AppendValue appends one value in canonical form: checked, compact JSON, in
// which the placeholders of attachments stand for binary values. The result is
// what notepack.io makes of the same value in Node: integers in their shortest
// form, other numbers as 64-bit floats, keys in their order. (Two differences,
// where notepack.io writes something else than the value: integers of more than
// 64 bits are floats here, and lone surrogates are U+FFFD.)
//
// JSON that a codec has checked cannot fail; anything else gives an error, and
// dst as it was, or the encoding of something that it might have meant.
func AppendValue(dst, json []byte, attachments [][]byte) ([]byte, error) {
	f := fromJSON{b: json, attachments: attachments, dst: dst}
	i, ok := f.value(0, jsontext.MaxDepth)
	if !ok || i != len(json) {
		return dst, fmt.Errorf("%w: not compact JSON near byte %d", ErrInvalid, i)
	}
	return f.dst, nil
}

// fromJSON walks JSON. Its methods take the index of the next byte and return
// the one after what they have read.
type fromJSON struct {
	b           []byte
	attachments [][]byte
	dst         []byte
}

func (f *fromJSON) value(i, depth int) (int, bool) {
	if i >= len(f.b) {
		return i, false
	}
	switch f.b[i] {
	case '"':
		return f.str(i)
	case '[':
		return f.array(i, depth)
	case '{':
		if num, end, ok := jsontext.Placeholder(f.b, i, len(f.attachments)); ok {
			f.dst = AppendBinary(f.dst, f.attachments[num])
			return end, true
		}
		return f.object(i, depth)
	case 't':
		f.dst = append(f.dst, 0xc3)
		return f.word(i, "true")
	case 'f':
		f.dst = append(f.dst, 0xc2)
		return f.word(i, "false")
	case 'n':
		f.dst = append(f.dst, 0xc0)
		return f.word(i, "null")
	default:
		return f.number(i)
	}
}

func (f *fromJSON) word(i int, w string) (int, bool) {
	end := i + len(w)
	return end, end <= len(f.b) && string(f.b[i:end]) == w
}

func (f *fromJSON) str(i int) (int, bool) {
	if end, plain := jsontext.SkipPlain(f.b, i); plain {
		s := f.b[i+1 : end-1]
		f.dst = append(appendStringHeader(f.dst, len(s)), s...)
		return end, true
	}
	end := jsontext.SkipString(f.b, i)
	s := f.b[i:end]
	if len(s) < 2 || s[len(s)-1] != '"' {
		return i, false
	}
	start := len(f.dst)
	f.dst = jsontext.AppendUnquoted(f.dst, s)
	var head [5]byte
	f.insert(start, appendStringHeader(head[:0], len(f.dst)-start))
	return end, true
}

// insert moves what was appended since start and puts head before it.
func (f *fromJSON) insert(start int, head []byte) {
	f.dst = append(f.dst, head...)
	copy(f.dst[start+len(head):], f.dst[start:])
	copy(f.dst[start:], head)
}

func (f *fromJSON) array(i, depth int) (int, bool) {
	start, n := f.begin(), 0
	for i++; ; n++ {
		if i >= len(f.b) || depth <= 0 {
			return i, false
		}
		if f.b[i] == ']' {
			f.end(start, n, 0x90, 0xdc)
			return i + 1, true
		}
		if n > 0 {
			if f.b[i] != ',' {
				return i, false
			}
			i++
		}
		var ok bool
		if i, ok = f.value(i, depth-1); !ok {
			return i, false
		}
	}
}

func (f *fromJSON) object(i, depth int) (int, bool) {
	start, n := f.begin(), 0
	for i++; ; n++ {
		if i >= len(f.b) || depth <= 0 {
			return i, false
		}
		if f.b[i] == '}' {
			f.end(start, n, 0x80, 0xde)
			return i + 1, true
		}
		if n > 0 {
			if f.b[i] != ',' {
				return i, false
			}
			i++
		}
		if i >= len(f.b) || f.b[i] != '"' {
			return i, false
		}
		var ok bool
		if i, ok = f.str(i); !ok || i >= len(f.b) || f.b[i] != ':' {
			return i, false
		}
		if i, ok = f.value(i+1, depth-1); !ok {
			return i, false
		}
	}
}

// begin leaves one byte for the header of an array or a map; end fills it in
// when the number of items is known, and makes room if one byte is too small.
func (f *fromJSON) begin() int {
	f.dst = append(f.dst, 0)
	return len(f.dst) - 1
}

func (f *fromJSON) end(start, n int, fix, wide byte) {
	if n < 0x10 {
		f.dst[start] = fix | byte(n)
		return
	}
	var head [5]byte
	h := appendHeader(head[:0], n, fix, wide)
	f.dst[start] = h[0]
	f.insert(start+1, h[1:])
}

// number appends the number at b[i] as JavaScript holds it.
func (f *fromJSON) number(i int) (int, bool) {
	end := jsontext.Skip(f.b, i)
	s := f.b[i:end]
	if n, ok := smallInt(s); ok {
		f.dst = AppendInt(f.dst, n)
		return end, true
	}
	if !jsontext.IsNumber(s) {
		return i, false
	}
	v, _ := strconv.ParseFloat(string(s), 64) // out of range is ±Inf, as in JavaScript
	f.dst = AppendNumber(f.dst, v)
	return end, true
}

// smallInt parses an integer of so few digits that a float holds it exactly.
func smallInt(s []byte) (n int64, ok bool) {
	digits := s
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 15 || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	for _, c := range digits {
		if c-'0' >= 10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, true
}
