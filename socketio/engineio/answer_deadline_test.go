package engineio_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio"
)

// A poll outlives the timeouts of the http.Server that it came to, which are for
// requests that are answered at once.
func TestServer_LongPoll_OutlivesTheTimeoutsOfItsServer(t *testing.T) {
	for name, hs := range map[string]*http.Server{
		"WriteTimeout": {WriteTimeout: 3 * time.Second},
		"ReadTimeout":  {ReadTimeout: 3 * time.Second, IdleTimeout: time.Minute},
		"both":         {ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(peer)
			srv := engineio.NewServer(&engineio.Options{
				PingInterval: 6 * time.Second, PingTimeout: 20 * time.Second,
				Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
					p.s = s
					p.receive = func(m engineio.Message) error {
						if string(m.Data) == "pause" {
							time.AfterFunc(8*time.Second, s.Resume)
							return engineio.ErrPause
						}
						return nil
					}
					return p, nil
				},
			})
			hs.Handler = srv
			onPipe(t, hs, func(t *testing.T, conn net.Conn) {
				l := newLine(t, conn)
				conn.SetDeadline(time.Time{})
				sid := l.open()
				for range 10 {
					l.send(get(sid))
					if r := l.answer(); r.body != "2" {
						t.Fatalf("%+v", r)
					}
					l.send(post(sid, "3"))
					if r := l.answer(); r.body != "ok" {
						t.Fatalf("%+v", r)
					}
				}
				// The answer of a POST waits, too, while the handler is paused.
				l.send(post(sid, "4pause\x1e4more"))
				if r := l.answer(); r.body != "ok" {
					t.Fatalf("%+v", r)
				}
				if m := p.messages(); len(m) != 2 {
					t.Errorf("%q", m)
				}
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A peer that reads no answer does not keep its connection, nor the kernel what it
// was sent (docs/reliability.md §4 row 3).
func TestServe_PeerThatReadsNothing_IsClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]string{
		"loop":            "GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
		"net/http":        "GET /large HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n",
		"net/http, file":  "GET /file HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n",
		"net/http, polls": strings.Replace(get(""), "Host: x", "Host: x\r\nTE: trailers", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if !fastPath() {
				t.Skip("the connections are net/http's alone here")
			}
			returned := make(chan struct{}, 1000)
			o := engineio.Options{
				WriteTimeout:  200 * time.Millisecond,
				InitialPacket: &engineio.Message{Data: make([]byte, 1<<20)}, MaxPayload: 2 << 20,
			}
			w := serveTCP(t, o, func(w *served) {
				w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					defer func() { returned <- struct{}{} }()
					switch r.URL.Path {
					case "/large":
						rw.Write(make([]byte, 32<<20))
					case "/file":
						http.ServeFile(rw, r, file)
					default:
						w.srv.ServeHTTP(rw, r)
					}
				})
			})
			l := w.line()
			l.send(strings.Repeat(request, 60))
			// The server's bytes are not there any more after a reset.
			eventually(t, "the connection is reset", func() bool { return errors.Is(pendingError(l.conn), unix.ECONNRESET) })
			// The reset may be seen before the handler has returned.
			eventually(t, "a handler has returned", func() bool { return len(returned) > 0 })
			if n := len(returned); n > 30 {
				t.Errorf("%d requests were served", n)
			}
		})
	}
}

// pendingError takes the error that a connection has, without reading from it.
func pendingError(conn net.Conn) (err error) {
	raw, e := conn.(*net.TCPConn).SyscallConn()
	if e != nil {
		return e
	}
	raw.Control(func(fd uintptr) {
		if n, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); n != 0 {
			err = unix.Errno(n)
		}
	})
	return err
}

// Files and other answers come whole, however they are sent.
func TestServe_LargeAnswersOfNetHTTP_ComeWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/file":
				http.ServeFile(rw, r, file)
			case "/reader":
				http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
			default:
				rw.Write(content)
			}
		})
	})
	l := w.line()
	for _, path := range []string{"/file", "/reader", "/bytes", "/file"} {
		l.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
		if r := l.answer(); r.body != string(content) {
			t.Errorf("%s: %d of %d bytes, lost: %v", path, len(r.body), len(content), r.lost)
		}
	}
}

// The engine gives its answers a deadline itself, where a plain http.Server has none.
func TestServer_PeerThatReadsNothing_IsClosedWithoutServe(t *testing.T) {
	for name, request := range map[string]string{
		"handshake": get(""), "unknown session": get("AAAAAAAAAAAAAAAAAAAA"), "unknown path": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"other method": "PUT /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			srv := engineio.NewServer(&engineio.Options{InitialPacket: &engineio.Message{Data: make([]byte, 100_000)}})
			onPipe(t, &http.Server{Handler: srv}, func(t *testing.T, conn net.Conn) {
				io.WriteString(conn, request)
				time.Sleep(11 * time.Second) // of the bubble
				if _, err := io.WriteString(conn, request); err == nil {
					t.Error("the connection is open")
				}
				srv.Shutdown(t.Context())
			})
		})
	}
}
