package engineio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// The tests in this file are about the end: of servers, listeners and connections.

// everyKind opens connections in every state in which the end may find them; check
// waits until all of them have ended.
func everyKind(w *served) (check func()) {
	idle := w.line() // has not sent anything
	used := w.line()
	used.open()
	parked := w.line()
	sid := parked.open()
	parked.send(get(sid))
	page := w.line() // is net/http's, and idle
	page.send("GET /page HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
	page.answer()
	half := w.line() // is net/http's, and waits
	half.send("GET /engine.io/ HTTP/1.1\r\nHo")
	s, _ := w.websocket()
	return func() {
		for _, l := range []*line{idle, used, parked, page, half} {
			l.ended()
			l.conn.Close()
		}
		for e := s.recv(); e.close == 0; e = s.recv() {
		}
		s.conn.Close()
	}
}

func TestServe_ShutdownInEveryOrder(t *testing.T) {
	type step struct {
		name string
		do   func(w *served) error
	}
	short := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), 300*time.Millisecond)
	}
	engine := step{"engine", func(w *served) error { w.shutdown(); return nil }}
	shutdown := step{"Shutdown", func(w *served) error {
		ctx, cancel := short()
		defer cancel()
		if err := w.hs.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil
	}}
	closing := step{"Close", func(w *served) error { return w.hs.Close() }}
	listener := step{"listener", func(w *served) error { w.lis.Close(); return nil }}
	for _, order := range [][]step{
		{engine, shutdown, closing}, {engine, closing}, {shutdown, engine, closing}, {closing, engine},
		{shutdown, closing, engine}, {closing, shutdown, engine}, {engine, engine, closing, closing},
		{listener, engine, closing}, {engine, listener, closing}, {closing, listener, engine},
	} {
		var names []string
		for _, s := range order {
			names = append(names, s.name)
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			w := serveTCP(t, engineio.Options{}, nil)
			check := everyKind(w)
			for _, s := range order {
				if err := s.do(w); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: %v", s.name, err)
				}
			}
			want := http.ErrServerClosed
			if !strings.HasPrefix(t.Name(), "TestServe_ShutdownInEveryOrder/Close") && strings.Contains(t.Name(), "listener") {
				want = nil // either error: which of the two is seen first
			}
			if err := <-w.errs; want != nil && err != want || err == nil { //nolint:errorlint // the very value
				t.Errorf("Serve: %v", err)
			}
			errs := make(chan error)
			close(errs)
			w.errs = errs
			check()
		})
	}
}

// Shutdown of the engine alone ends sessions, not the service.
func TestServe_AfterShutdown_NetHTTPAnswers(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, nil)
	idle, used, parked := w.line(), w.line(), w.line()
	used.open()
	sid := parked.open()
	parked.send(get(sid))
	if d := w.shutdown(); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	if r := parked.answer(); r.lost {
		t.Error("the waiting poll got no answer")
	}
	fast := w.fastRequests()
	for _, l := range []*line{idle, used, parked, w.line()} {
		l.send(get("unknown")) // keeps the connection
		if r := l.answer(); r.status != 400 {
			t.Errorf("got %+v", r)
		}
		l.send(get(""))
		if r := l.answer(); r.status != 503 {
			t.Errorf("got %+v", r)
		}
	}
	if n := w.fastRequests(); n != fast {
		t.Errorf("%d requests took the fast path", n-fast)
	}
}

// Connections that are only kept alive do not hold http.Server.Shutdown up, which
// waits five seconds for the request of a new one.
func TestServe_Shutdown_DoesNotWaitForIdleConnections(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, nil)
	var used []*line
	for range 10 {
		l := w.line()
		l.open()
		used = append(used, l)
	}
	begin := time.Now()
	w.shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.hs.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
	for _, l := range used {
		if !l.ended() {
			t.Error("there is more")
		}
	}
}

// A connection that was idle when the engine ended is not cut off in a request.
func TestServe_RequestBetweenTheShutdowns_IsAnswered(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		mux := http.NewServeMux()
		mux.Handle("/engine.io/", w.srv)
		mux.HandleFunc("/slow", func(rw http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			io.WriteString(rw, "done")
		})
		w.hs.Handler = mux
	})
	l := w.line()
	l.open()
	w.shutdown()
	l.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	over := make(chan error, 1)
	go func() { over <- w.hs.Shutdown(context.Background()) }() // ends with the request
	eventually(t, "nobody listens", func() bool {
		c, err := net.Dial("tcp", w.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if r := l.answer(); r.body != "done" {
		t.Errorf("got %+v", r)
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// Connections that are accepted in the very moment of the end must not hold it up.
func TestServe_ShutdownAmongConnects(t *testing.T) {
	for range 20 {
		w := serveTCP(t, engineio.Options{}, nil)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for i := range 20 {
			all.Go(func() {
				if i == 0 {
					close(begin)
				}
				for range 3 {
					conn, err := net.Dial("tcp", w.addr)
					if err != nil {
						return
					}
					defer conn.Close() // until then it is idle
					if i%2 == 0 {
						io.WriteString(conn, get(""))
					}
				}
			})
		}
		<-begin
		if d := w.shutdown(); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		w.hs.Close()
		all.Wait()
	}
}

// A request under way is answered, though the server ends.
func TestServe_Shutdown_RequestUnderWayIsAnswered(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			rw.Write([]byte("done"))
		})
	})
	l := w.line()
	l.send(get(""))
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := w.srv.Shutdown(ctx) // waits for it, since it is read by a loop
	if fastPath() && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	close(release)
	if r := l.answer(); r.body != "done" {
		t.Errorf("got %+v", r)
	}
}

func TestServe_ListenerClosedByItsOwner_Ends(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, nil)
	l := w.line()
	l.open()
	w.lis.Close()
	if conn, err := net.Dial("tcp", w.addr); err == nil { // not seen yet
		late := newLine(t, conn)
		io.WriteString(conn, get(""))
		if r := late.answer(); !r.lost {
			t.Errorf("an answer: %+v", r)
		}
	}
	if err := <-w.errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if c, err := net.Dial("tcp", w.addr); err == nil {
		c.Close()
		t.Error("it still listens")
	}
	errs := make(chan error)
	close(errs)
	w.errs = errs
}

func TestServe_AfterTheEnd(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, func(w *served) { w.hs.Close() })
	if err := <-w.errs; err != http.ErrServerClosed { //nolint:errorlint // the very value
		t.Errorf("Serve: %v", err)
	}
	errs := make(chan error)
	close(errs)
	w.errs = errs

	w = serveTCP(t, engineio.Options{}, func(w *served) { w.shutdown() })
	l := w.line()
	l.send(get(""))
	if r := l.answer(); r.status != 503 || w.fastRequests() != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestServe_SilentConnections_AreClosed(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.ReadHeaderTimeout, w.hs.IdleTimeout = 200*time.Millisecond, 600*time.Millisecond
	})
	begin := time.Now()
	parked := w.line()
	sid := parked.open()
	parked.send(get(sid))
	silent, half, used := w.line(), w.line(), w.line()
	half.send("GET /engine.io/ HTTP/1.1\r\nHo")
	used.open()
	for _, tt := range []struct {
		name string
		l    *line
		min  time.Duration
	}{{"silent", silent, 200}, {"half a head", half, 200}, {"idle", used, 600}} {
		tt.l.ended()
		if d := time.Since(begin) / time.Millisecond; d < tt.min-50 || d > 10_000 {
			t.Errorf("%s: closed after %d ms", tt.name, d)
		}
	}
	other := w.line() // in between, so that a poll that waits is seen to stay
	other.send(post(sid, "4x"))
	other.answer()
	if r := parked.answer(); r.body != "4x" {
		t.Errorf("the waiting poll got %+v", r)
	}
}

// A session that the end finds between its registration and Accept: nobody above
// learns of it, since nobody would tell them of its end.
func TestShutdown_BeforeAccept_RefusesTheSession(t *testing.T) {
	var srv *engineio.Server
	accepted := 0
	o := engineio.Options{
		OnInitialHeaders: func(http.Header, *http.Request) {
			over, cancel := context.WithCancel(context.Background())
			cancel()
			srv.Shutdown(over)
		},
		Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			accepted++
			return &peer{s: s}, nil
		},
	}
	inWorld(t, o, nil, func(w *world) {
		srv = w.server
		s := w.websocket("EIO=4&transport=websocket", nil)
		if s.refuse == nil || s.refuse.status != 503 || accepted != 0 {
			t.Errorf("%d accepted, got %+v", accepted, s.refuse)
		}
	})
}
