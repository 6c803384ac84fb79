package engineio_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// http.Server.Shutdown alone is enough: it waits for requests on either path.
func TestServe_ShutdownOfTheHTTPServer_WaitsForRequests(t *testing.T) {
	for name, field := range map[string]string{"fast path": "", "net/http": "TE: trailers\r\n"} {
		t.Run(name, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			w := serveTCP(t, engineio.Options{}, func(w *served) { w.hs.Handler = slowHandler(begun, release) })
			l := w.line()
			l.send("GET /slow HTTP/1.1\r\nHost: x\r\n" + field + "\r\n")
			<-begun
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := w.hs.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown did not wait: %v", err)
			}
			ended := make(chan error, 1)
			go func() { ended <- w.hs.Shutdown(context.Background()) }() // ends with the request
			close(release)
			if r := l.answer(); r.body != "/slow" {
				t.Errorf("%+v", r)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// http.Server.Close does not wait, as without Serve.
func TestServe_CloseOfTheHTTPServer_DoesNotWaitForRequests(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) { w.hs.Handler = slowHandler(begun, release) })
	l := w.line()
	l.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	w.hs.Close()
	if err := <-w.errs; err != http.ErrServerClosed { //nolint:errorlint // the very value
		t.Errorf("Serve: %v", err)
	}
	errs := make(chan error)
	close(errs)
	w.errs = errs
	close(release)
}

// Shutdown of the http.Server ends the sessions, so that it need not wait for polls.
func TestServe_ShutdownOfTheHTTPServer_EndsSessions(t *testing.T) {
	for name, change := range map[string]func(*served){
		"fast path": nil,
		"net/http":  func(w *served) { w.hs.ConnState = func(net.Conn, http.ConnState) {} },
	} {
		t.Run(name, func(t *testing.T) {
			hooked := make(chan struct{})
			o := engineio.Options{OnShutdown: func() { close(hooked) }} // not twice
			w := serveTCP(t, o, change)
			l := w.line()
			sid := l.open()
			polling := <-w.peers
			l.send(get(sid))
			s, socketPeer := w.websocket()
			eventually(t, "the poll has reached the handler", func() bool { return w.requests() == 3 })
			if err := w.hs.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			<-hooked
			if r := l.answer(); r.lost {
				t.Errorf("the poll got %+v", r)
			}
			for e := s.recv(); e.close == 0; e = s.recv() {
			}
			s.conn.Close()
			for _, p := range []*peer{polling, socketPeer} {
				eventually(t, "the session has ended", p.ended)
				if reason, _ := p.end(); reason != engineio.ReasonForcedClose {
					t.Errorf("reason %q", reason)
				}
			}
			w.shutdown()
		})
	}
}

// The sessions live as long as one http.Server serves them.
func TestServe_ShutdownOfOneOfTwoHTTPServers_SessionsLiveOn(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: w.srv}
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(lis, other) }() // ends with other
	s, _ := w.websocket()
	first, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l := newLine(t, first) // other serves it, so it is about to be accepted
	l.open()
	if err := other.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != http.ErrServerClosed { //nolint:errorlint // the very value
		t.Errorf("Serve: %v", err)
	}
	s.send("4x")
	s.expect(t, "4x")
	if err := w.hs.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for e := s.recv(); e.close == 0; e = s.recv() {
	}
	s.conn.Close()
}
