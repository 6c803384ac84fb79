package ws_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

// frame is one client frame that a test sends, legal or not.
type frame struct {
	fin     bool
	rsv     byte // 1 to 7
	op      ws.Opcode
	payload []byte
}

func whole(op ws.Opcode, payload string) frame { return frame{true, 0, op, []byte(payload)} }
func part(op ws.Opcode, payload string) frame  { return frame{false, 0, op, []byte(payload)} }

var maskKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func (f frame) append(dst []byte) []byte {
	start := len(dst)
	dst = ws.AppendMaskedFrame(dst, f.op, f.payload, maskKey)
	dst[start] |= f.rsv << 4
	if !f.fin {
		dst[start] &^= 0x80
	}
	return dst
}

// echo answers as a WebSocket server does that sends every message back.
type echo struct {
	r       ws.Reader
	deflate *ws.Deflate
	out     []byte
	err     error
}

func newEcho(l *ws.Limits, d *ws.Deflate) *echo {
	return &echo{r: ws.NewReader(ws.NewFormat(l), d), deflate: d}
}

func (e *echo) Message(op ws.Opcode, p []byte) error {
	e.out = e.deflate.AppendMessage(e.out, op, p)
	return nil
}

func (e *echo) Control(op ws.Opcode, p []byte) error {
	e.out = ws.AppendAnswer(e.out, op, p)
	return nil
}

// feed takes one read. After the end of the stream it takes nothing more.
func (e *echo) feed(p []byte) {
	if e.err != nil {
		return
	}
	if _, e.err = e.r.Feed(p, e); e.err != nil {
		if breach, ok := errors.AsType[*ws.Error](e.err); ok {
			e.out = ws.AppendClose(e.out, breach.Code, breach.Reason)
		}
	}
}

// sent is a frame that the server wrote.
type sent struct {
	op      ws.Opcode
	payload string
}

func bye(code int) sent {
	return sent{ws.Close, string(binary.BigEndian.AppendUint16(nil, uint16(code)))}
}

// parseSent reads server frames: final, without reserved bits, unmasked. Of
// close frames only the code is kept.
func parseSent(t *testing.T, p []byte) []sent {
	t.Helper()
	var out []sent
	for len(p) > 0 {
		if len(p) < 2 || p[0]&0xf0 != 0x80 || p[1]&0x80 != 0 {
			t.Fatalf("malformed server frame % x", p[:min(len(p), 14)])
		}
		op, n, head := ws.Opcode(p[0]&0x0f), int(p[1]), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(p[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(p[2:])), 10
		}
		body := string(p[head : head+n])
		if op == ws.Close && len(body) > 2 {
			body = body[:2]
		}
		out = append(out, sent{op, body})
		p = p[head+n:]
	}
	return out
}
