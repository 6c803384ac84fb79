package ws

import (
	"encoding/binary"
	"sync"
)

// Opcode says what a frame carries (RFC 6455 §5.2).
type Opcode byte

// The opcodes of RFC 6455.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// Control reports whether frames of this opcode are control frames.
func (op Opcode) Control() bool { return op&0x8 != 0 }

const (
	finBit  = 0x80
	rsv1Bit = 0x40 // "compressed" under permessage-deflate (RFC 7692 §6)
	rsvBits = 0x70
	maskBit = 0x80

	maxHeader  = 14  // 2 + 64-bit length + masking key
	maxControl = 125 // RFC 6455 §5.5
)

// AppendHeader appends the header of an unfragmented, unmasked frame (as a
// server sends it) whose payload of n bytes is to follow.
func AppendHeader(dst []byte, op Opcode, n int) []byte {
	return appendHeader(dst, finBit|byte(op), 0, n)
}

func appendHeader(dst []byte, first, mask byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, first, mask|byte(n))
	case n < 1<<16:
		return append(dst, first, mask|126, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, mask|127), uint64(n))
	}
}

// HeaderSize returns how many bytes AppendHeader appends for a payload of n bytes.
func HeaderSize(n int) int {
	switch {
	case n < 126:
		return 2
	case n < 1<<16:
		return 4
	default:
		return 10
	}
}

// AppendFrame appends an unfragmented, unmasked frame. A control payload must
// not exceed 125 bytes.
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendMaskedFrame appends an unfragmented frame as a client sends it, masked
// with key (RFC 6455 §5.3).
func AppendMaskedFrame(dst []byte, op Opcode, payload []byte, key [4]byte) []byte {
	return AppendMaskedParts(dst, op, key, payload)
}

// AppendMaskedParts is AppendMaskedFrame for a payload that lies in parts.
func AppendMaskedParts(dst []byte, op Opcode, key [4]byte, parts ...[]byte) []byte {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	dst = append(appendHeader(dst, finBit|byte(op), maskBit, n), key[:]...)
	start := len(dst)
	for _, part := range parts {
		dst = append(dst, part...)
	}
	unmask(dst[start:], binary.LittleEndian.Uint32(key[:]))
	return dst
}

// AppendAnswer appends what a control frame obliges its receiver to send: a
// pong for a ping, the echo of the status for a close, nothing for a pong
// (RFC 6455 §5.5). payload is what Handler.Control was given.
func AppendAnswer(dst []byte, op Opcode, payload []byte) []byte {
	switch op {
	case Ping:
		return AppendFrame(dst, Pong, payload)
	case Close:
		return AppendFrame(dst, Close, payload[:min(len(payload), 2)])
	}
	return dst
}

// Frame is one finished server frame, built once and written to many
// connections. It is safe for concurrent use; its bytes must not be changed.
type Frame struct {
	plain   []byte
	payload int // offset in plain
	op      Opcode

	once     sync.Once
	deflated []byte // nil: not worth it
}

// NewFrame returns the frame of one whole message. payload is copied.
func NewFrame(op Opcode, payload []byte) *Frame {
	b := make([]byte, 0, HeaderSize(len(payload))+len(payload))
	b = AppendHeader(b, op, len(payload))
	n := len(b)
	return &Frame{plain: append(b, payload...), payload: n, op: op}
}

// Bytes returns the frame as it goes to connections without compression.
func (f *Frame) Bytes() []byte { return f.plain }

// Payload returns the payload inside Bytes.
func (f *Frame) Payload() []byte { return f.plain[f.payload:] }

// For returns the frame for a connection that negotiated d (nil: nothing). It
// is compressed at most once, for all connections, on first use: it refers to nothing
// before it, also where messages may.
func (f *Frame) For(d *Deflate) []byte {
	if d == nil || !d.fits(len(f.plain)-f.payload) {
		return f.plain
	}
	f.once.Do(func() {
		if b := appendDeflated(nil, f.op, f.Payload(), d.level); len(b) < len(f.plain) {
			f.deflated = b
		}
	})
	if f.deflated == nil {
		return f.plain
	}
	d.sent.add(f.Payload())
	return f.deflated
}
