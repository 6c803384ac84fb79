package sockettest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"posthouse/socketio"
)

// Server is a Socket.IO server that listens in memory. Register handlers on it
// as on any other.
type Server struct {
	*socketio.Server
	t        testing.TB
	opts     socketio.Options
	http     *http.Server
	listener *listener
}

// NewServer starts a server with the options of socketio.NewServer. It is shut
// down when the test ends; the test fails when that takes more than ten seconds.
func NewServer(t testing.TB, o *socketio.Options) *Server {
	t.Helper()
	io, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Server: io, t: t, listener: &listener{conns: make(chan net.Conn), closed: make(chan struct{})}}
	if o != nil {
		s.opts = *o
	}
	// Refuses every client: asking it shows that everything sent before has arrived.
	io.Of(probe).Use(func(context.Context, *socketio.Socket) error { return &socketio.ConnectError{Message: "probe"} })
	s.http = &http.Server{Handler: io}
	served := make(chan struct{})
	go func() { // ends with Close, and Cleanup waits for it
		defer close(served)
		_ = s.http.Serve(s.listener)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Errorf("sockettest: shutdown: %v", err)
		}
		_ = s.http.Close()
		<-served
	})
	return s
}

// For returns the server for a subtest (or the target of a fuzz test): clients
// made with it fail and end with t.
func (s *Server) For(t testing.TB) *Server {
	sub := *s
	sub.t = t
	return &sub
}

const probe = "/sockettest-probe"

// DialContext opens a connection to the server in memory, for an
// http.Transport; network and address are ignored.
func (s *Server) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case s.listener.conns <- server:
		return client, nil
	case <-s.listener.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Client returns an HTTP client whose every request goes to the server,
// whatever its host. Its connections are closed when the test ends.
func (s *Server) Client() *http.Client {
	transport := &http.Transport{DialContext: s.DialContext}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// listener hands the server ends of pipes to the HTTP server.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, errors.Join(http.ErrServerClosed, net.ErrClosed)
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }
