package engineio_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// socket is a WebSocket client.
type socket struct {
	conn   net.Conn
	refuse *response // the answer when it was not 101
	header http.Header
	events chan event
	reader ws.Reader
	pong   []byte // payload of the last pong; read it after a later message
	early  *bufio.Reader
}

// event is something that came: a message, or the end.
type event struct {
	text   string
	binary []byte
	isText bool
	close  int // status; 0: not the end, -1: the connection was lost
}

var clientFormat = ws.NewFormat(&ws.Limits{MaxMessage: 16 << 20, FromServer: true, MaxControl: 1000})

const upgradeHead = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (w *world) websocket(query string, header map[string]string) *socket {
	w.t.Helper()
	return dialSocket(w.t, w.dial(), query, header)
}

func dialSocket(t testing.TB, conn net.Conn, query string, header map[string]string) *socket {
	head := "GET /engine.io/?" + query + " HTTP/1.1\r\nHost: example.test\r\n" + upgradeHead
	for k, v := range header {
		head += k + ": " + v + "\r\n"
	}
	go conn.Write([]byte(head + "\r\n"))
	return readSocket(t, conn)
}

// readSocket reads the answer to a handshake, and then what comes.
func readSocket(t testing.TB, conn net.Conn) *socket {
	br := bufio.NewReader(conn)
	res, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatalf("websocket handshake: %v", err)
	}
	s := &socket{conn: conn, header: res.Header, events: make(chan event, 65536), early: br, reader: ws.NewReader(clientFormat, nil)}
	if res.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(res.Body)
		s.refuse = &response{status: res.StatusCode, header: res.Header, body: string(b)}
		return s
	}
	if got := res.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("Sec-WebSocket-Accept: %q", got)
	}
	go s.read()
	return s
}

func (s *socket) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.early.Read(buf)
		if n > 0 {
			if _, err := s.reader.Feed(buf[:n], s); err != nil {
				s.conn.Close()
				return
			}
		}
		if err != nil {
			s.events <- event{close: -1}
			return
		}
	}
}

func (s *socket) Message(op ws.Opcode, payload []byte) error {
	if op == ws.Text {
		s.events <- event{text: string(payload), isText: true}
	} else {
		s.events <- event{binary: bytes.Clone(payload)}
	}
	return nil
}

var errClosedByServer = errors.New("closed by the server")

func (s *socket) Control(op ws.Opcode, payload []byte) error {
	if op == ws.Pong {
		s.pong = bytes.Clone(payload)
	}
	if op != ws.Close {
		return nil
	}
	code, _ := ws.ParseClose(payload)
	s.write(ws.Close, payload)
	s.events <- event{close: code}
	return errClosedByServer
}

func (s *socket) write(op ws.Opcode, payload []byte) {
	s.conn.Write(ws.AppendMaskedFrame(nil, op, payload, [4]byte{1, 2, 3, 4}))
}

func (s *socket) send(text string) { s.write(ws.Text, []byte(text)) }

func (s *socket) recv() event { return <-s.events }

// expect fails unless the next things are these texts.
func (s *socket) expect(t *testing.T, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if e := s.recv(); e.text != want || !e.isText {
			t.Fatalf("got %+v, want %q", e, want)
		}
	}
}

// appendMasked appends a text frame of a client.
func appendMasked(dst []byte, text string) []byte {
	return ws.AppendMaskedFrame(dst, ws.Text, []byte(text), [4]byte{9, 8, 7, 6})
}

func ping(payload string) []byte {
	return ws.AppendMaskedFrame(nil, ws.Ping, []byte(payload), [4]byte{5, 6, 7, 8})
}

// stall stops the client's reading for good.
func (s *socket) stall() {
	s.conn.SetReadDeadline(time.Unix(1, 0))
	synctest.Wait()
}

// deflatedFrame returns a compressed text frame of a client.
func deflatedFrame(text string) []byte {
	var b bytes.Buffer
	fw, _ := flate.NewWriter(&b, 9)
	io.WriteString(fw, text)
	fw.Flush()
	frame := ws.AppendMaskedFrame(nil, ws.Text, bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff")), [4]byte{1, 2, 3, 4})
	frame[0] |= 0x40
	return frame
}
