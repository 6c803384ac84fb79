// Package jsontext reads and writes JSON as text: it checks a document once,
// walks it without building values, and prints scalars exactly as JavaScript's
// JSON.stringify does. It keeps no
// state.
package jsontext

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var (
	// ErrSyntax says that a text is not one JSON value.
	ErrSyntax = errors.New("invalid JSON")
	// ErrDepth says that arrays and objects are nested deeper than allowed.
	ErrDepth = errors.New("JSON nested too deep")
)

// MaxDepth is the deepest nesting that Check accepts whatever its caller asks
// for: the checker and the walkers recurse once per level.
const MaxDepth = 10_000

// Check reports whether b is exactly one JSON value (RFC 8259) with at most
// depth levels of arrays and objects, and whether it holds white space between
// its tokens, that is, whether it is not compact. Numbers are checked for their
// grammar only, escapes of lone surrogates and duplicate keys are legal, and
// bytes above 0x7f are taken as they are: the transport has checked the UTF-8.
func Check(b []byte, depth int) (spaced bool, err error) {
	f, err := Examine(b, depth)
	return f.Spaced, err
}

// Facts are what Examine has seen of a document.
type Facts struct {
	Spaced bool // it holds white space between its tokens
	Wide   bool // it holds a number that Finite should look at
}

// Examine is Check, and tells more.
func Examine(b []byte, depth int) (Facts, error) {
	c := checker{b: b, entryDepth: -1}
	return c.examine(min(depth, MaxDepth))
}

// Entries is told of the values of one level of a document while the document is examined,
// so that a reader of the members of many objects goes over the text once. The values of a
// document that turns out to be wrong count for nothing.
type Entries interface {
	// Member is a member of the entry that comes next; key has no quotes, and is as it is
	// spelled.
	Member(key, value []byte)
	// Entry is a value of the level, behind its members if it is an object.
	Entry(text []byte)
}

// ExamineEntries is Examine, and tells entries of the values that lie in so many lists, or
// objects.
func ExamineEntries(b []byte, depth, lists int, entries Entries) (Facts, error) {
	depth = min(depth, MaxDepth)
	c := checker{b: b, entries: entries, entryDepth: depth - lists}
	return c.examine(depth)
}

func (c *checker) examine(depth int) (Facts, error) {
	from := c.space(0)
	if end := c.value(from, depth); end >= 0 && c.space(end) == len(c.b) {
		if depth == c.entryDepth {
			c.entries.Entry(c.b[from:end])
		}
		return c.Facts, nil
	}
	if c.deep {
		return c.Facts, ErrDepth
	}
	return c.Facts, ErrSyntax
}

// checker walks a document. Its methods take the index of the next byte and
// return the one after what they read, or -1.
type checker struct {
	b []byte
	Facts
	deep       bool
	entries    Entries
	entryDepth int // that entries have below them; -1 without entries
}

func (c *checker) space(i int) int {
	for i < len(c.b) && c.b[i] <= ' ' {
		if s := c.b[i]; s != ' ' && s != '\n' && s != '\t' && s != '\r' {
			return i
		}
		c.Spaced = true
		i++
	}
	return i
}

func (c *checker) value(i, depth int) int {
	if i >= len(c.b) {
		return -1
	}
	switch ch := c.b[i]; ch {
	case '"':
		return str(c.b, i)
	case '[':
		return c.array(i, depth)
	case '{':
		return c.object(i, depth)
	case 't':
		return literal(c.b, i, "true")
	case 'f':
		return literal(c.b, i, "false")
	case 'n':
		return literal(c.b, i, "null")
	default:
		end, exponent := number(c.b, i)
		if exponent || end-i > maxPlainDigits {
			c.Wide = true
		}
		return end
	}
}

// maxPlainDigits is how long a number without an exponent may be and certainly fits a
// float64.
const maxPlainDigits = 308

func (c *checker) array(i, depth int) int {
	if depth <= 0 {
		c.deep = true
		return -1
	}
	i = c.space(i + 1)
	if i < len(c.b) && c.b[i] == ']' {
		return i + 1
	}
	for {
		from := i
		if i = c.value(i, depth-1); i < 0 {
			return -1
		}
		if depth-1 == c.entryDepth {
			c.entries.Entry(c.b[from:i])
		}
		if i < len(c.b) && c.b[i] <= ' ' {
			i = c.space(i)
		}
		if i >= len(c.b) {
			return -1
		}
		switch c.b[i] {
		case ']':
			return i + 1
		case ',':
			i++
			if i < len(c.b) && c.b[i] <= ' ' {
				i = c.space(i)
			}
		default:
			return -1
		}
	}
}

func (c *checker) object(i, depth int) int {
	if depth <= 0 {
		c.deep = true
		return -1
	}
	i = c.space(i + 1)
	if i < len(c.b) && c.b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(c.b) || c.b[i] != '"' {
			return -1
		}
		from := i
		if i = str(c.b, i); i < 0 {
			return -1
		}
		key := c.b[from+1 : i-1]
		if i < len(c.b) && c.b[i] <= ' ' {
			i = c.space(i)
		}
		if i >= len(c.b) || c.b[i] != ':' {
			return -1
		}
		i++
		if i < len(c.b) && c.b[i] <= ' ' {
			i = c.space(i)
		}
		from = i
		if i = c.value(i, depth-1); i < 0 {
			return -1
		}
		switch c.entryDepth {
		case depth:
			c.entries.Member(key, c.b[from:i])
		case depth - 1:
			c.entries.Entry(c.b[from:i])
		}
		if i < len(c.b) && c.b[i] <= ' ' {
			i = c.space(i)
		}
		if i >= len(c.b) {
			return -1
		}
		switch c.b[i] {
		case '}':
			return i + 1
		case ',':
			i++
			if i < len(c.b) && c.b[i] <= ' ' {
				i = c.space(i)
			}
		default:
			return -1
		}
	}
}

func literal(b []byte, i int, word string) int {
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word)
	}
	return -1
}

// number returns the index after the number at b[i], -1 without one, and whether it has an
// exponent.
func number(b []byte, i int) (end int, exponent bool) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b):
		return -1, false
	case b[i] == '0':
		i++
	case b[i]-'1' < 9:
		i = digits(b, i)
	default:
		return -1, false
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return -1, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = digits(b, from); i == from {
			return -1, false
		}
		exponent = true
	}
	return i, exponent
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, with the high bit of a byte, the bytes of x that end a run of
// ordinary string characters: a quote, a backslash, a control character. Only
// the lowest mark is reliable (borrows run upwards), and only it is used.
func special(x uint64) uint64 {
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// run returns the index of the first quote, backslash or control character of b
// at or after i, len(b) if there is none. It looks at 8 bytes at a time.
func run(b []byte, i int) int {
	for len(b)-i >= 8 {
		if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) && !isSpecial[b[i]] {
		i++
	}
	return i
}

// isSpecial is special for one byte.
var isSpecial = func() (t [256]bool) {
	for i := range 0x20 {
		t[i] = true
	}
	t['"'], t['\\'] = true, true
	return t
}()

// str checks the string that starts at b[i], which is its opening quote.
func str(b []byte, i int) int {
	for i++; ; {
		i = run(b, i)
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			if i+1 >= len(b) {
				return -1
			}
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if len(b)-i < 6 || !isHex[b[i+2]] || !isHex[b[i+3]] || !isHex[b[i+4]] || !isHex[b[i+5]] {
					return -1
				}
				i += 6
			default:
				return -1
			}
		default: // a control character
			return -1
		}
	}
}

var isHex = func() (t [256]bool) {
	for _, c := range "0123456789abcdefABCDEF" {
		t[c] = true
	}
	return t
}()
