package socketio_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// oneConn is a listener of one connection.
type oneConn struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// An http.Server without deadlines of its own does not wait without end for a peer that
// asks for client files and takes none of them; a slow peer gets all of them.
func TestServer_ClientFiles_PeerThatTakesNothingIsClosed(t *testing.T) {
	const size = 1 << 20
	for name, test := range map[string]struct {
		header string
		period time.Duration // between two reads of 16 KiB; 0: nothing is read
	}{
		"taken slowly":               {"", 5 * time.Second},
		"never read":                 {"", 0},
		"an unchanged one":           {"If-None-Match: ETAG\r\n", 0},
		"a compressed one":           {"Accept-Encoding: gzip\r\n", 0},
		"the head, and then no more": {"", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sio := socketio.NewServer(&socketio.Options{Bundles: fstest.MapFS{"socket.io.js": {Data: make([]byte, size)}}})
				defer sio.Shutdown(bg)
				lis := &oneConn{make(chan net.Conn), make(chan struct{})}
				hs := &http.Server{Handler: sio, ErrorLog: log.New(io.Discard, "", 0)}
				served := make(chan error, 1)
				go func() { served <- hs.Serve(lis) }()
				client, server := net.Pipe()
				lis.conns <- server
				w := httptest.NewRecorder()
				sio.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/socket.io/socket.io.js", nil))
				header := test.header
				if header == "If-None-Match: ETAG\r\n" {
					header = "If-None-Match: " + w.Header().Get("ETag") + "\r\n"
				}
				_, err := io.WriteString(client, "GET /socket.io/socket.io.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+header+"\r\n")
				noError(t, err)
				got := 0
				buf := make([]byte, 16<<10)
				if test.period == 0 {
					time.Sleep(11 * time.Second) // of the bubble
				}
				for err == nil {
					var n int
					n, err = client.Read(buf)
					got += n
					time.Sleep(test.period)
				}
				whole := got > size
				if whole != (name == "taken slowly") || !errors.Is(err, io.EOF) {
					t.Errorf("%d bytes, %v", got, err)
				}
				if test.period == 0 && got > 0 {
					t.Errorf("%d bytes after the deadline", got)
				}
				client.Close()
				hs.Close()
				<-served
			})
		})
	}
}

func TestNew_InvalidCookieIsAnError(t *testing.T) {
	if s, err := socketio.New(&socketio.Options{Engine: engineio.Options{Cookie: &http.Cookie{Name: "a;b"}}}); err == nil || s != nil {
		t.Errorf("%v, %v", s, err)
	}
}
