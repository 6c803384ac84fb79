package client_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"testing"

	"posthouse/socketio/engineio/internal/ws"
)

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

// wireConn is the server's end of a WebSocket on which a test writes what it wants.
type wireConn struct {
	conn  net.Conn
	in    *bufio.Reader
	ended chan struct{} // closed with the test
}

func (w *wireConn) write(b []byte) { w.conn.Write(b) }

func (w *wireConn) text(s string) { w.write(ws.AppendFrame(nil, ws.Text, []byte(s))) }

// newWire listens for WebSockets and returns its URL.
func newWire(t testing.TB, serve func(*wireConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
					base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"))
				serve(&wireConn{conn, in, ended})
			})
		}
	})
	t.Cleanup(func() { close(ended); l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

// forward carries a request and what follows it to another address.
func forward(w http.ResponseWriter, r *http.Request, addr string) {
	back, err := net.Dial("tcp", addr)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer back.Close()
	if r.Write(back) != nil {
		return
	}
	front, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer front.Close()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(back, front); back.Close() })
	both.Go(func() { io.Copy(front, back); front.Close() })
	both.Wait()
}
