package adapter

import (
	"fmt"
	"math"
	"strconv"

	"posthouse/socketio"
	"posthouse/socketio/parser/msgpack"
)

// maxNesting bounds how deep the values in a message of another node may nest.
const maxNesting = 512

// unpacker reads the envelope of a MessagePack message. The first error sticks:
// every read after it gives a zero value, so that callers look once, at the end
// of a loop's turn.
type unpacker struct {
	reader     msgpack.Reader
	firstError error
}

func newUnpacker(b []byte) *unpacker {
	u := &unpacker{}
	u.reader.Reset(b)
	u.reader.MaxDepth = maxNesting
	return u
}

func (u *unpacker) fail(err error) {
	if u.firstError == nil && err != nil {
		u.firstError = fmt.Errorf("%w: %w", errMalformed, err)
	}
}

func (u *unpacker) arrayLen() int {
	if u.firstError != nil {
		return 0
	}
	n, err := u.reader.ArrayHeader()
	u.fail(err)
	return n
}

func (u *unpacker) mapLen() int {
	if u.firstError != nil {
		return 0
	}
	n, err := u.reader.MapHeader()
	u.fail(err)
	return n
}

func (u *unpacker) text() string {
	if u.firstError != nil {
		return ""
	}
	b, err := u.reader.Text()
	u.fail(err)
	return string(b)
}

func (u *unpacker) isNil() bool { return u.firstError == nil && u.reader.Nil() }

// truth reads a boolean; nil is false.
func (u *unpacker) truth() bool {
	if u.firstError != nil || u.reader.Nil() {
		return false
	}
	v, err := u.reader.Bool()
	u.fail(err)
	return v
}

// number reads any number; nil is 0.
func (u *unpacker) number() float64 {
	if u.firstError != nil || u.reader.Nil() {
		return 0
	}
	f, err := u.reader.Number()
	u.fail(err)
	return f
}

// uint reads a whole number that is not negative.
func (u *unpacker) uint() uint64 {
	f := u.number()
	if !(f >= 0) || f != math.Trunc(f) || f >= 1<<63 {
		u.fail(errMalformed)
		return 0
	}
	return uint64(f)
}

// names reads an array of names; Node lets a room be a number.
func (u *unpacker) names() []string {
	n := u.arrayLen()
	if n == 0 {
		return nil
	}
	out := make([]string, 0, min(n, 1024))
	for range n {
		if u.reader.Kind() == msgpack.String {
			out = append(out, u.text())
		} else {
			out = append(out, strconv.FormatFloat(u.number(), 'f', -1, 64))
		}
		if u.firstError != nil {
			return nil
		}
	}
	return out
}

func (u *unpacker) skip() {
	if u.firstError == nil {
		_, err := u.reader.Skip()
		u.fail(err)
	}
}

// value reads a value of a user. Its attachments alias the message.
func (u *unpacker) value() (v socketio.Value) {
	if u.firstError != nil {
		return v
	}
	text, attachments, err := u.reader.AppendJSON(nil, nil)
	u.fail(err)
	if err != nil {
		return v
	}
	return socketio.Value{JSON: text, Attachments: attachments}
}

// appendValue appends a value of a user as MessagePack.
func appendValue(dst []byte, v socketio.Value) ([]byte, error) {
	if len(v.JSON) == 0 {
		return msgpack.AppendNil(dst), nil
	}
	return msgpack.AppendValue(dst, v.JSON, v.Attachments)
}
