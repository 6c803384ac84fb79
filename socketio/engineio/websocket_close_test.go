package engineio_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/ws"
)

// overEveryConnection is overTCP, and the same behind TLS.
func overEveryConnection(t *testing.T, o engineio.Options, f func(t *testing.T, c net.Conn)) {
	overTCP(t, o, nil, func(t *testing.T, w *tcp) { f(t, w.dial()) })
	t.Run("TLS", func(t *testing.T) {
		f(t, serveTLS(t, &tcp{t: t, peers: make(chan *peer, 10)}, o))
	})
}

// A peer that has seen the server's close frame, or sent its own, sees the end of the
// stream at once, and no reset, whatever it has sent and the server has not read.
func TestWebSocket_CloseEndsTheStreamAtOnce(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	oversize := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 3<<20)
	oversize = append(append(oversize, key[:]...), make([]byte, 3<<20)...)
	closeFrame := ws.AppendMaskedFrame(nil, ws.Close, []byte{3, 232}, key)
	for _, c := range []struct {
		name   string
		sent   []byte
		answer bool // with a close frame to that of the server
		code   int
	}{
		{"text is not UTF-8", ws.AppendMaskedFrame(nil, ws.Text, []byte("4\xff\xff"), key), false, 1007},
		{"text is not UTF-8, answered", ws.AppendMaskedFrame(nil, ws.Text, []byte("4\xff\xff"), key), true, 1007},
		{"too large, all of it sent", oversize, true, 1009},
		{"no mask", []byte{0x81, 0x01, '4'}, false, 1002},
		{"breach and much behind it", append([]byte{0xf1, 0x81, 1, 2, 3, 4, 5}, make([]byte, 1<<20)...), false, 1002},
		{"close frame of the peer", closeFrame, false, 1000},
		{"close frame and more behind it", append(bytes.Clone(closeFrame), make([]byte, 300<<10)...), false, 1000},
		{"invalid packet, answered", appendMasked(nil, "9"), true, 1005},
	} {
		overEveryConnection(t, engineio.Options{}, func(t *testing.T, conn net.Conn) {
			head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
			conn.Write([]byte(head))
			skipOpening(t, conn)
			written := make(chan struct{})
			begin := time.Now()
			go func() { defer close(written); conn.Write(c.sent) }()
			code := readClose(t, conn)
			if code != c.code {
				t.Errorf("%s: close %d, want %d", c.name, code, c.code)
			}
			<-written
			if c.answer {
				conn.Write(ws.AppendMaskedFrame(nil, ws.Close, nil, key))
			}
			// The end of the stream, not a reset; and long before lingerTime.
			if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
				t.Errorf("%s: %q, %v", c.name, rest, err)
			}
			if took := time.Since(begin); took > engineio.LingerTime*3/4 {
				t.Errorf("%s: the end of the stream came after %v", c.name, took)
			}
			conn.Close()
		})
	}
}

// readFrame reads one short frame of the server.
func readFrame(t *testing.T, c net.Conn) (op ws.Opcode, payload []byte) {
	t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c, head[:2]); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(c, head[2:]); err != nil {
			t.Fatal(err)
		}
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c, payload); err != nil {
		t.Fatal(err)
	}
	return ws.Opcode(head[0] & 0x0f), payload
}

// skipOpening reads the answer to the handshake and the open packet.
func skipOpening(t *testing.T, c net.Conn) {
	t.Helper()
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
	if op, payload := readFrame(t, c); op != ws.Text || payload[0] != '0' {
		t.Fatalf("no open packet: %d %q", op, payload)
	}
}

// readClose reads the server's close frame and returns its code.
func readClose(t *testing.T, c net.Conn) int {
	t.Helper()
	op, payload := readFrame(t, c)
	if op != ws.Close {
		t.Fatalf("frame %d %q instead of a close frame", op, payload)
	}
	code, _ := ws.ParseClose(payload)
	return code
}

// An upgrade that has no place ends without a wait too.
func TestWebSocket_UpgradeThatIsTurnedAwayEndsAtOnce(t *testing.T) {
	overEveryConnection(t, engineio.Options{}, func(t *testing.T, conn net.Conn) {
		begin := time.Now()
		conn.Write([]byte("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"))
		b, err := io.ReadAll(conn)
		if err != nil || !bytes.HasSuffix(b, ws.AppendClose(nil, 0, "")) {
			t.Errorf("%q, %v", b, err)
		}
		if took := time.Since(begin); took > engineio.LingerTime*3/4 {
			t.Errorf("the end of the stream came after %v", took)
		}
	})
}
