package webtransport

import (
	"encoding/binary"

	"posthouse/socketio/engineio/internal/ws"
)

// A frame of this transport is a header and a payload: bit 7 of the first byte
// says binary, the low bits are the length, or 126 or 127 when it follows in 2
// or 8 bytes (docs/protocol.md §1.11). Frames of a WebSocket differ from it in
// nothing but the header, so the engine speaks those, and the two types here
// rewrite headers as the bytes pass.

const (
	binaryBit  = 0x80
	length16   = 126
	length64   = 127
	headerMost = 9
)

// appendHeader appends the shortest header.
func appendHeader(dst []byte, isBinary bool, n int) []byte {
	first := byte(0)
	if isBinary {
		first = binaryBit
	}
	switch {
	case n < length16:
		return append(dst, first|byte(n))
	case n < 1<<16:
		return append(dst, first|length16, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first|length64), uint64(n))
	}
}

// inbound turns what the peer sends into WebSocket frames.
type inbound struct {
	max    uint64 // longest payload
	left   uint64 // of the payload under way
	head   [headerMost]byte
	have   int // bytes of head
	broken bool
}

// translate appends the frames, or parts of them, that p holds. A frame that is
// empty or too long becomes an empty text frame, which is no packet: the engine
// ends the session with a parse error. What follows it is dropped.
func (d *inbound) translate(dst, p []byte) []byte {
	for len(p) > 0 && !d.broken {
		if d.left > 0 {
			n := int(min(d.left, uint64(len(p))))
			dst = append(dst, p[:n]...)
			d.left -= uint64(n)
			p = p[n:]
			continue
		}
		d.head[d.have] = p[0]
		d.have++
		p = p[1:]
		length, whole := parseHeader(d.head[:d.have])
		if !whole {
			continue
		}
		d.have = 0
		op := ws.Text
		if d.head[0]&binaryBit != 0 {
			op = ws.Binary
		}
		if d.broken = length == 0 || length > d.max; d.broken {
			op, length = ws.Text, 0
		}
		dst = ws.AppendHeader(dst, op, int(length))
		d.left = length
	}
	return dst
}

// parseHeader returns the length that a header announces, once it is whole.
func parseHeader(h []byte) (length uint64, whole bool) {
	switch n := h[0] &^ binaryBit; {
	case n < length16:
		return uint64(n), true
	case n == length16 && len(h) == 3:
		return uint64(binary.BigEndian.Uint16(h[1:])), true
	case n == length64 && len(h) == headerMost:
		return binary.BigEndian.Uint64(h[1:]), true
	}
	return 0, false
}

// outbound turns the WebSocket frames that the engine writes into frames of this
// transport. It relies on them: they are final, unmasked and whole in the end.
type outbound struct {
	left   int // of the payload under way
	drop   bool
	closed bool // a close frame came: it has no like here
	head   [10]byte
	have   int
}

// translate appends the frames, or parts of them, that p holds.
func (e *outbound) translate(dst, p []byte) []byte {
	for len(p) > 0 && !e.closed {
		if e.left > 0 {
			n := min(e.left, len(p))
			if !e.drop {
				dst = append(dst, p[:n]...)
			}
			e.left -= n
			p = p[n:]
			continue
		}
		e.head[e.have] = p[0]
		e.have++
		p = p[1:]
		length, whole := parseWSHeader(e.head[:e.have])
		if !whole {
			continue
		}
		e.have = 0
		op := ws.Opcode(e.head[0] & 0x0f)
		e.closed = op == ws.Close
		if e.drop = op.Control(); !e.drop {
			dst = appendHeader(dst, op == ws.Binary, length)
		}
		e.left = length
	}
	return dst
}

func parseWSHeader(h []byte) (length int, whole bool) {
	switch {
	case len(h) < 2:
		return 0, false
	case h[1] < 126:
		return int(h[1]), true
	case h[1] == 126 && len(h) == 4:
		return int(binary.BigEndian.Uint16(h[2:])), true
	case h[1] == 127 && len(h) == 10:
		return int(binary.BigEndian.Uint64(h[2:])), true
	}
	return 0, false
}
