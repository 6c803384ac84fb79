package sockettest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// webSocket is the smallest client side of RFC 6455 that talks to our own
// server: no extensions, no fragments sent, a fixed mask.
type webSocket struct {
	conn net.Conn
	r    *bufio.Reader
	wmu  sync.Mutex // serialises frames
}

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

func dialWebSocket(c net.Conn, uri string, header http.Header) (*webSocket, error) {
	req, err := http.NewRequest(http.MethodGet, "http://memory"+uri, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", "cG9zdGhvdXNlLXRlc3QtIQ==")
	if err := req.Write(c); err != nil {
		return nil, err
	}
	w := &webSocket{conn: c, r: bufio.NewReader(c)}
	resp, err := http.ReadResponse(w.r, req) //nolint:bodyclose // the connection is the body
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, fmt.Errorf("sockettest: WebSocket refused: %s: %s", resp.Status, body)
	}
	return w, nil
}

func (w *webSocket) write(op byte, data []byte) error {
	head := []byte{0x80 | op}
	switch n := len(data); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	frame := append(append(head, 0, 0, 0, 0), data...) // a mask of zeros changes nothing
	w.wmu.Lock()
	defer w.wmu.Unlock()
	_, err := w.conn.Write(frame)
	return err
}

// read returns the next data message; closes are errors, pings are answered.
func (w *webSocket) read() (data []byte, isBinary bool, err error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.r, head[:]); err != nil {
			return nil, false, err
		}
		n := uint64(head[1] & 0x7f)
		switch n {
		case 126:
			var b [2]byte
			if _, err := io.ReadFull(w.r, b[:]); err != nil {
				return nil, false, err
			}
			n = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			if _, err := io.ReadFull(w.r, b[:]); err != nil {
				return nil, false, err
			}
			n = binary.BigEndian.Uint64(b[:])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.r, payload); err != nil {
			return nil, false, err
		}
		switch op := head[0] & 0xf; op {
		case opClose:
			_ = w.write(opClose, payload)
			return nil, false, io.EOF
		case opPing:
			_ = w.write(opPong, payload)
		case opPong:
		default:
			return payload, op == opBinary, nil
		}
	}
}

func (w *webSocket) close() { _ = w.conn.Close() }
