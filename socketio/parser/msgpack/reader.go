package msgpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

var (
	// ErrInvalid is wrapped by the errors about input that is not MessagePack, or
	// not what was asked for.
	ErrInvalid = errors.New("msgpack: invalid input")
	// ErrLimit is wrapped as well when a limit of the Reader is exceeded.
	ErrLimit = errors.New("msgpack: limit exceeded")
)

// Kind is the kind of a value, without regard to the width of its encoding.
type Kind byte

// The kinds of values. End is the kind of nothing: the input is used up.
const (
	End Kind = iota
	Invalid
	Nil
	Bool
	Int   // integers
	Float // 32 and 64 bits
	String
	Binary
	Array
	Map
	Extension
)

var kindNames = [...]string{"end of input", "invalid byte", "nil", "boolean", "integer", "float", "string", "binary", "array", "map", "extension"}

func (k Kind) String() string { return kindNames[min(int(k), len(kindNames)-1)] }

// Reader reads values from a byte slice, one after the other. What its methods
// return aliases the slice. An error is final: further reads give it again.
type Reader struct {
	b   []byte
	err error

	// MaxDepth is how deep arrays and maps may be nested in a value that AppendJSON
	// or Skip takes; 0 means 512.
	MaxDepth int
	// MaxAttachments is how many binary values AppendJSON takes from one value; 0
	// means no limit but the input's size.
	MaxAttachments int
}

// NewReader returns a reader of b without limits but those that keep hostile
// input from costing more than a small multiple of its size.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Reset makes r read b; its limits stay.
func (r *Reader) Reset(b []byte) { r.b, r.err = b, nil }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.b) }

// Done returns the reader's error, or one if bytes are left.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		return fmt.Errorf("%w: %d trailing bytes", ErrInvalid, len(r.b))
	}
	return r.err
}

// Kind returns the kind of the next value without reading it.
func (r *Reader) Kind() Kind {
	if r.err != nil {
		return Invalid
	}
	if len(r.b) == 0 {
		return End
	}
	switch c := r.b[0]; {
	case c < 0x80 || c >= 0xe0:
		return Int
	case c < 0x90:
		return Map
	case c < 0xa0:
		return Array
	case c < 0xc0:
		return String
	default:
		return kinds[c-0xc0]
	}
}

var kinds = [0x20]Kind{
	Nil, Invalid, Bool, Bool, Binary, Binary, Binary, Extension, Extension, Extension, Float, Float, Int, Int, Int, Int,
	Int, Int, Int, Int, Extension, Extension, Extension, Extension, Extension, String, String, String, Array, Array, Map, Map,
}

// widths is the number of bytes after the first of the tokens from 0xc0 on,
// without contents; for fixed extensions it counts the type.
var widths = [0x20]uint8{
	0, 0, 0, 0, 1, 2, 4, 2, 3, 5, 4, 8, 1, 2, 4, 8,
	1, 2, 4, 8, 1, 1, 1, 1, 1, 1, 2, 4, 2, 4, 2, 4,
}

func (r *Reader) fail(format string, args ...any) error {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	return r.err
}

func (r *Reader) want(k Kind) error {
	if got := r.Kind(); got != k {
		return r.fail("%s instead of %s", got, k)
	}
	return nil
}

// take cuts n bytes off the input.
func (r *Reader) take(n uint64) ([]byte, error) {
	if uint64(len(r.b)) < n {
		return nil, r.fail("truncated")
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b, nil
}

// head reads the first byte of a token from 0xc0 on and what belongs to it as a
// big-endian number.
func (r *Reader) head() (c byte, n uint64, err error) {
	c = r.b[0]
	b, err := r.take(1 + uint64(widths[c-0xc0]))
	if err != nil {
		return c, 0, err
	}
	for _, x := range b[1:] {
		n = n<<8 | uint64(x)
	}
	return c, n, nil
}

// Nil reads nil if that comes next, and reports whether it did.
func (r *Reader) Nil() bool {
	if r.Kind() != Nil {
		return false
	}
	r.b = r.b[1:]
	return true
}

// Bool reads a boolean.
func (r *Reader) Bool() (bool, error) {
	if err := r.want(Bool); err != nil {
		return false, err
	}
	c, _, err := r.head()
	return c == 0xc3, err
}

// Int reads an integer, or a float that is one. Numbers beyond 63 bits are an
// error.
func (r *Reader) Int() (int64, error) {
	switch r.Kind() {
	case Int:
		n, negative, err := r.integer()
		if err == nil && !negative && n > math.MaxInt64 {
			err = r.fail("integer out of range")
		}
		return int64(n), err
	case Float:
		f, err := r.float()
		if err == nil && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
			err = r.fail("number is no integer")
		}
		return int64(f), err
	default:
		return 0, r.want(Int)
	}
}

// integer returns the two's complement of an integer.
func (r *Reader) integer() (n uint64, negative bool, err error) {
	if c := r.b[0]; c < 0x80 || c >= 0xe0 {
		r.b = r.b[1:]
		return uint64(int64(int8(c))), c >= 0xe0, nil
	}
	c, n, err := r.head()
	if c >= 0xd0 {
		shift := 64 - 8*uint(widths[c-0xc0])
		v := int64(n<<shift) >> shift
		return uint64(v), v < 0, err
	}
	return n, false, err
}

// Number reads any number as JavaScript would hold it.
func (r *Reader) Number() (float64, error) {
	switch r.Kind() {
	case Int:
		n, negative, err := r.integer()
		if negative {
			return float64(int64(n)), err
		}
		return float64(n), err
	case Float:
		return r.float()
	default:
		return 0, r.want(Float)
	}
}

func (r *Reader) float() (float64, error) {
	c, n, err := r.head()
	if c == 0xca {
		return float64(math.Float32frombits(uint32(n))), err
	}
	return math.Float64frombits(n), err
}

// Text reads a string. It is not checked to be UTF-8.
func (r *Reader) Text() ([]byte, error) {
	if err := r.want(String); err != nil {
		return nil, err
	}
	if c := r.b[0]; c < 0xc0 {
		r.b = r.b[1:]
		return r.take(uint64(c & 0x1f))
	}
	_, n, err := r.head()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// Binary reads a byte string.
func (r *Reader) Binary() ([]byte, error) {
	if err := r.want(Binary); err != nil {
		return nil, err
	}
	_, n, err := r.head()
	if err != nil {
		return nil, err
	}
	return r.take(n)
}

// ArrayHeader reads the beginning of an array and returns how many values
// follow: never more than there are bytes.
func (r *Reader) ArrayHeader() (int, error) { return r.header(Array, 1) }

// MapHeader reads the beginning of a map and returns how many pairs of a key and
// a value follow: never more than there are bytes for.
func (r *Reader) MapHeader() (int, error) { return r.header(Map, 2) }

func (r *Reader) header(k Kind, perItem uint64) (int, error) {
	if err := r.want(k); err != nil {
		return 0, err
	}
	var n uint64
	if c := r.b[0]; c < 0xc0 {
		n = uint64(c & 0x0f)
		r.b = r.b[1:]
	} else {
		var err error
		if _, n, err = r.head(); err != nil {
			return 0, err
		}
	}
	if n*perItem > uint64(len(r.b)) {
		return 0, r.fail("%s of %d in %d bytes", k, n, len(r.b))
	}
	return int(n), nil
}

// Extension reads an extension.
func (r *Reader) Extension() (kind int8, data []byte, err error) {
	if err := r.want(Extension); err != nil {
		return 0, nil, err
	}
	c, n, err := r.head()
	if err != nil {
		return 0, nil, err
	}
	kind = int8(n) // the type is the last byte of the head
	if c >= 0xd4 {
		n = 1 << (c - 0xd4)
	} else {
		n >>= 8
	}
	data, err = r.take(n)
	return kind, data, err
}

// timestampKind is the extension type of timestamps.
const timestampKind = -1

// timestamp decodes the data of an extension of timestampKind.
func timestamp(data []byte) (time.Time, bool) {
	switch len(data) {
	case 4:
		return time.Unix(int64(binary.BigEndian.Uint32(data)), 0), true
	case 8:
		n := binary.BigEndian.Uint64(data)
		return time.Unix(int64(n&(1<<34-1)), int64(n>>34)), true
	case 12:
		ns := binary.BigEndian.Uint32(data)
		return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), int64(ns)), true
	default:
		return time.Time{}, false
	}
}

// Time reads a timestamp.
func (r *Reader) Time() (time.Time, error) {
	kind, data, err := r.Extension()
	if err != nil {
		return time.Time{}, err
	}
	t, ok := timestamp(data)
	if kind != timestampKind || !ok {
		return t, r.fail("extension %d of %d bytes is no timestamp", kind, len(data))
	}
	return t, nil
}

// Skip reads a value of any kind and returns its bytes.
func (r *Reader) Skip() ([]byte, error) {
	from := r.b
	if err := r.skip(r.depth()); err != nil {
		return nil, err
	}
	n := len(from) - len(r.b)
	return from[:n:n], nil
}

func (r *Reader) depth() int {
	if r.MaxDepth > 0 {
		return r.MaxDepth
	}
	return 512
}

func (r *Reader) tooDeep() error {
	r.err = fmt.Errorf("%w: %w: nested too deep", ErrInvalid, ErrLimit)
	return r.err
}

func (r *Reader) skip(depth int) (err error) {
	var n int
	switch k := r.Kind(); k {
	case Nil, Bool, Int, Float:
		if c := r.b[0]; c < 0x80 || c >= 0xe0 {
			r.b = r.b[1:]
		} else {
			_, _, err = r.head()
		}
		return err
	case String:
		_, err = r.Text()
		return err
	case Binary:
		_, err = r.Binary()
		return err
	case Extension:
		_, _, err = r.Extension()
		return err
	case Array:
		n, err = r.ArrayHeader()
	case Map:
		n, err = r.MapHeader()
		n *= 2
	default:
		return r.fail("%s", k)
	}
	if depth <= 0 {
		return r.tooDeep()
	}
	for ; err == nil && n > 0; n-- {
		err = r.skip(depth - 1)
	}
	return err
}
