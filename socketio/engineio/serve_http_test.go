package engineio_test

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"posthouse/socketio/engineio"
)

// The tests in this file are about what handlers see and may do: as with net/http.

type baseKey struct{}

func TestServe_RequestContext_IsThatOfNetHTTP(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		contexts := make(chan context.Context, 2)
		remotes := make(chan string, 2)
		w := serveOn(t, addr, engineio.Options{}, func(w *served) {
			w.hs.BaseContext = func(net.Listener) context.Context { return context.WithValue(context.Background(), baseKey{}, "base") }
			w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				contexts <- r.Context()
				remotes <- r.RemoteAddr
				if r.Context().Err() != nil {
					t.Error("the context has ended early")
				}
			})
		})
		_, port, _ := net.SplitHostPort(w.addr)
		for _, host := range []string{"127.0.0.1", "::1"} {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				continue // not what it listens on
			}
			l := newLine(t, conn)
			l.send(get(""))
			if r := l.answer(); r.status != 200 {
				t.Fatalf("%+v", r)
			}
			ctx, remote := <-contexts, <-remotes
			if remote != conn.LocalAddr().String() {
				t.Errorf("%s: RemoteAddr %s, want %s", addr, remote, conn.LocalAddr())
			}
			if local, ok := ctx.Value(http.LocalAddrContextKey).(net.Addr); !ok || local.String() != conn.RemoteAddr().String() {
				t.Errorf("%s: local address %v, want %s", addr, local, conn.RemoteAddr())
			}
			if ctx.Value(http.ServerContextKey) != w.hs || ctx.Value(baseKey{}) != "base" {
				t.Errorf("%s: not the server, or not the base", addr)
			}
			<-ctx.Done() // at the end of the request
			conn.Close()
		}
		if fastPath() && w.fastRequests() == 0 {
			t.Error("nothing took the fast path")
		}
	}
}

func TestServe_RequestContext_EndsWhenThePeerLeaves(t *testing.T) {
	entered, over := make(chan struct{}), make(chan error)
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
			over <- r.Context().Err()
		})
	})
	l := w.line()
	l.send(get(""))
	<-entered
	l.conn.Close()
	if err := <-over; err != context.Canceled { //nolint:errorlint // the very value
		t.Errorf("%v", err)
	}
}

// Only plain requests take the fast path; on one connection there may be both.
func TestServe_UnusualRequests_AreNetHTTPs(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		mux := http.NewServeMux()
		mux.Handle("/engine.io/", w.srv)
		mux.HandleFunc("/page", func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "page") })
		w.hs.Handler = mux
	})
	l := w.line()
	l.open()
	fast := w.fastRequests()
	if fastPath() && fast != 1 {
		t.Errorf("%d requests took the fast path", fast)
	}
	l.send("GET /page HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n" + get(""))
	if r := l.answer(); r.body != "page" {
		t.Errorf("%+v", r)
	}
	if r := l.answer(); r.status != 200 {
		t.Errorf("behind the page: %+v", r)
	}
	for text, status := range map[string]int{
		"GET /engine.io/ HTTP/1.1\r\n\r\n":                                                        400, // no host
		"GET /engine.io/?EIO=4&transport=polling HTTP/1.0\r\nHost: x\r\n\r\n":                     200,
		"GET /engine.io/%2e%2e/page HTTP/1.1\r\nHost: x\r\n\r\n":                                  400,
		"BREW /engine.io/ HTTP/9.9\r\n\r\n":                                                       505,
		"GET /engine.io/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab": 400,
		"POST /engine.io/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n":                    501,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n":                                    400,
	} {
		l := w.line()
		l.send(text)
		if r := l.answer(); r.status != status {
			t.Errorf("%q: %+v", text, r)
		}
	}
	if n := w.fastRequests(); n != fast {
		t.Errorf("%d of these took the fast path", n-fast)
	}
}

func TestServe_HandlersThatPanic(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.RawQuery {
			case "panic":
				panic("oops")
			case "abort":
				panic(http.ErrAbortHandler)
			case "exit":
				runtime.Goexit()
			case "late":
				rw.Write([]byte("x"))
				http.NewResponseController(rw).Flush()
				runtime.Goexit()
			}
			io.WriteString(rw, "fine")
		})
	})
	for _, what := range []string{"panic", "abort", "exit", "late"} {
		l := w.line()
		l.send("GET /engine.io/?fine HTTP/1.1\r\nHost: x\r\n\r\n")
		if r := l.answer(); r.body != "fine" {
			t.Errorf("before %s: %+v", what, r)
		}
		l.send("GET /engine.io/?" + what + " HTTP/1.1\r\nHost: x\r\n\r\n" + get(""))
		if r := l.answer(); !r.lost {
			t.Errorf("%s: %+v", what, r)
		}
		l.ended()
	}
	if text := w.log.String(); strings.Count(text, "panic serving 127.0.0.1:") != 1 || !strings.Contains(text, "oops") {
		t.Errorf("the log has %q", text)
	}
}

func TestServe_HandlersThatHijack(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "raw" {
				conn, brw, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				go func() { // ends with the connection; the handler has returned
					defer conn.Close()
					io.Copy(conn, brw)
				}()
				return
			}
			c, err := websocket.Accept(rw, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil {
					return
				}
				c.Write(r.Context(), kind, b)
			}
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+w.addr+"/engine.io/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"a", "b"} {
		c.Write(ctx, websocket.MessageText, []byte(m))
		if _, b, err := c.Read(ctx); string(b) != m {
			t.Fatalf("%q, %v", b, err)
		}
	}
	c.Close(websocket.StatusNormalClosure, "")

	l := w.line()
	l.send("GET /engine.io/?raw HTTP/1.1\r\nHost: x\r\n\r\nearly")
	got := make([]byte, 5)
	if _, err := io.ReadFull(l.br, got); string(got) != "early" {
		t.Fatalf("%q, %v", got, err)
	}
	l.send("later")
	if _, err := io.ReadFull(l.br, got); string(got) != "later" {
		t.Fatalf("%q, %v", got, err)
	}
	l.conn.(*net.TCPConn).CloseWrite()
	if !l.ended() {
		t.Error("there is more")
	}
}

// unwrapper is what many middlewares put around a ResponseWriter.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// hijacker is one that wants to know who hijacks.
type hijacker struct {
	unwrapper
	seen *int
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*h.seen++
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

func TestServe_MiddlewaresAroundAWebSocket(t *testing.T) {
	seen := 0
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"unwraps":  func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{unwrapper{w}} },
		"hijacks":  func(w http.ResponseWriter) http.ResponseWriter { return hijacker{unwrapper{w}, &seen} },
		"in order": func(w http.ResponseWriter) http.ResponseWriter { return unwrapper{hijacker{unwrapper{w}, &seen}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := serveTCP(t, engineio.Options{}, func(w *served) {
				w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.srv.ServeHTTP(wrap(rw), r) })
			})
			c := w.dial()
			head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
			c.Write(appendMasked([]byte(head), "4early"))
			s := readSocket(t, c)
			s.recv()
			s.expect(t, "4early")
			s.send("4later")
			s.expect(t, "4later")
		})
	}
	if seen != 2 {
		t.Errorf("%d hijacks were seen", seen)
	}
	t.Run("neither", func(t *testing.T) { // like httptest.ResponseRecorder
		w := serveTCP(t, engineio.Options{}, func(w *served) {
			w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				w.srv.ServeHTTP(struct{ http.ResponseWriter }{rw}, r)
			})
		})
		l := w.line()
		l.send("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n")
		if r := l.answer(); r.status != 500 {
			t.Errorf("%+v", r)
		}
	})
}

func TestServe_WriteDeadlineOfAHandler(t *testing.T) {
	failed := make(chan error, 1)
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			_, err := rw.Write(make([]byte, 32<<20))
			failed <- err
		})
	})
	l := w.line()
	l.send(get(""))
	if e, ok := (<-failed).(net.Error); !ok || !e.Timeout() { //nolint:errorlint // of net.Conn, as it is
		t.Errorf("got %v", e)
	}
}

func TestServe_ListenersThatAreNotTCP(t *testing.T) {
	lis, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	for name, lis := range map[string]net.Listener{"unix": lis, "pipe": newPipeListener()} {
		srv := engineio.NewServer(nil)
		hs := &http.Server{Handler: srv, ErrorLog: log.New(io.Discard, "", 0)}
		errs := reading{serve: true}.run(srv, lis, hs)
		var conn net.Conn
		if p, ok := lis.(*pipeListener); ok {
			conn = p.dial()
		} else if conn, err = net.Dial("unix", lis.Addr().String()); err != nil {
			t.Fatal(err)
		}
		newLine(t, conn).open()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		hs.Close()
		if err := <-errs; err != http.ErrServerClosed { //nolint:errorlint // the very value
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Hooks of an http.Server that the fast path cannot honour leave the serving to net/http.
func TestServe_HTTPServersWithHooks_AreNetHTTPs(t *testing.T) {
	for name, change := range map[string]func(hs *http.Server){
		"ConnState": func(hs *http.Server) { hs.ConnState = func(net.Conn, http.ConnState) {} },
		"ConnContext": func(hs *http.Server) {
			hs.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return ctx }
		},
		"ReadTimeout":    func(hs *http.Server) { hs.ReadTimeout = time.Minute },
		"WriteTimeout":   func(hs *http.Server) { hs.WriteTimeout = time.Minute },
		"MaxHeaderBytes": func(hs *http.Server) { hs.MaxHeaderBytes = 1000 },
	} {
		w := serveTCP(t, engineio.Options{}, func(w *served) { change(w.hs) })
		w.line().open()
		if w.fastRequests() != 0 {
			t.Errorf("%s: the fast path", name)
		}
	}
}

func TestServe_TwoListeners(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	errs := reading{serve: true}.run(w.srv, lis, w.hs)
	first := w.line()
	sid := first.open()
	second, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, second)
	l.send(post(sid, "4x"))
	if r := l.answer(); r.body != "ok" {
		t.Errorf("%+v", r)
	}
	w.shutdown()
	w.hs.Close()
	if err := <-errs; err != http.ErrServerClosed { //nolint:errorlint // the very value
		t.Error(err)
	}
}
