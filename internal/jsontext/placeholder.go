package jsontext

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrPlaceholder says that a placeholder names no attachment, or that an
// attachment is not named by exactly one placeholder.
var ErrPlaceholder = errors.New("illegal placeholder")

// PlaceholderHead begins the canonical text of a placeholder; digits and a
// closing brace follow.
const PlaceholderHead = `{"_placeholder":true,"num":`

// AppendPlaceholder appends the canonical placeholder of attachment i.
func AppendPlaceholder(dst []byte, i int) []byte {
	dst = append(dst, PlaceholderHead...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	return append(dst, '}')
}

// Placeholder reports whether a canonical placeholder of one of n attachments
// starts at b[i], which attachment it names and where it ends. A placeholder of
// no attachment is an ordinary object: the sender meant it as a value.
func Placeholder(b []byte, i, n int) (num, end int, ok bool) {
	if n == 0 || len(b)-i <= len(PlaceholderHead) || string(b[i:i+len(PlaceholderHead)]) != PlaceholderHead {
		return 0, 0, false
	}
	i += len(PlaceholderHead)
	from := i
	for i < len(b) && b[i]-'0' < 10 && num < n {
		num = num*10 + int(b[i]-'0')
		i++
	}
	if i == from || i >= len(b) || b[i] != '}' || num >= n {
		return 0, 0, false
	}
	return num, i + 1, true
}

// NextPlaceholder returns the first canonical placeholder at or after b[i] that
// is a value and not the text of a string; start is -1 if there is none.
func NextPlaceholder(b []byte, i, n int) (start, num, end int) {
	if n == 0 {
		return -1, 0, 0
	}
	for i < len(b) {
		switch b[i] {
		case '"':
			i = SkipString(b, i)
		case '{':
			if num, end, ok := Placeholder(b, i, n); ok {
				return i, num, end
			}
			i++
		default:
			i++
		}
	}
	return -1, 0, 0
}

// NormalizePlaceholders brings the placeholders of a binary packet into
// canonical form, in place, and checks that each of n attachments is named by
// exactly one of them, in any order: encoders of unordered maps write other
// orders than they number. A placeholder is what the reference takes for one: an
// object whose member _placeholder is true; other members and what is below them
// are ignored, of duplicate members the last counts, and members may come in any
// order. b is checked and compact.
func NormalizePlaceholders(b []byte, n int) ([]byte, error) {
	if bytes.Contains(b, []byte("_placeholder")) || bytes.Contains(b, []byte(`\u`)) { // else no key spells it, not even by escapes
		w := normalizer{src: b, n: n}
		w.value(0)
		if w.bad {
			return nil, ErrPlaceholder
		}
		if w.out != nil {
			b = append(w.out, b[w.copied:]...)
		}
	}
	if !namesEachOnce(b, n) {
		return nil, ErrPlaceholder
	}
	return b, nil
}

// namesEachOnce reports whether the canonical placeholders of b name each of n
// attachments once.
func namesEachOnce(b []byte, n int) bool {
	var few [16]bool
	named := few[:]
	if n > len(few) {
		named = make([]bool, n)
	}
	count := 0
	for start, num, end := NextPlaceholder(b, 0, n); start >= 0; start, num, end = NextPlaceholder(b, end, n) {
		if named[num] {
			return false
		}
		named[num] = true
		count++
	}
	return count == n
}

type normalizer struct {
	src []byte
	n   int
	rewritten
}

// rewritten is the state that is taken back when an object turns out to be a
// placeholder after its other members were seen.
type rewritten struct {
	out    []byte // what was rewritten, nil as long as nothing was
	copied int    // src[:copied] is in out
	bad    bool   // some placeholder is illegal
}

func (w *normalizer) value(i int) int {
	b := w.src
	switch b[i] {
	case '[':
		for i++; b[i] != ']'; {
			if b[i] == ',' {
				i++
			}
			i = w.value(i)
		}
		return i + 1
	case '{':
		return w.object(i)
	default:
		return Skip(b, i)
	}
}

func (w *normalizer) object(from int) int {
	b := w.src
	before := w.rewritten
	var flag, num []byte
	i := from + 1
	for b[i] != '}' {
		if b[i] == ',' {
			i++
		}
		keyEnd := SkipString(b, i)
		key := b[i:keyEnd]
		i = w.value(keyEnd + 1)
		switch {
		case StringIs(key, "_placeholder"):
			flag = b[keyEnd+1 : i]
		case StringIs(key, "num"):
			num = b[keyEnd+1 : i]
		}
	}
	i++
	if string(flag) == "true" {
		w.rewritten = before
		w.placeholder(from, i, num)
	}
	return i
}

func (w *normalizer) placeholder(from, end int, num []byte) {
	if _, e, ok := Placeholder(w.src, from, w.n); ok && e == end {
		return
	}
	f, err := strconv.ParseFloat(string(num), 64)
	if err != nil || !(f >= 0 && f < float64(w.n)) || f != float64(int(f)) {
		w.bad = true
		return
	}
	w.out = append(w.out, w.src[w.copied:from]...)
	w.out = AppendPlaceholder(w.out, int(f))
	w.copied = end
}
