package engineio

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"posthouse/socketio/engineio/internal/fasthttp1"
	"posthouse/socketio/engineio/internal/ws"
)

// Serve accepts the connections of ln and serves them with hs.Handler, which must
// lead to this server somewhere (it may stand behind middlewares and a router). It
// is hs.Serve(ln) with a shorter way for requests below Options.Path (for all of
// them with Options.ServeAll): where that is possible, they are read by the event loop that reads WebSockets too, and do
// without package net/http. Anything else, and whatever is out of the ordinary,
// goes to hs as ever. Handlers see no difference.
//
// The shorter way exists on Linux, for a *net.TCPListener, when hs has none of
// ConnContext, ConnState, ReadTimeout and WriteTimeout and Options.GoroutineReaders
// is off. Of hs it uses Handler, BaseContext, ReadHeaderTimeout, IdleTimeout and
// ErrorLog; connections of which the peer takes no byte for Options.WriteTimeout are
// closed, and so are those that had no request for PingInterval + PingTimeout, unless
// they come from a proxy: these have IdleTimeout.
// Handlers can send no informational (1xx) answers and no trailers there.
//
// It always returns an error: http.ErrServerClosed after Shutdown or Close of hs.
// Shutdown of this server ends the shorter way, and waits for its requests, which
// hs does not know of: call it first.
func (srv *Server) Serve(ln net.Listener, hs *http.Server) error {
	if f := srv.newFront(ln, hs); f != nil {
		return f.serve()
	}
	ln = &patientListener{Listener: ln, log: srv.log, done: make(chan struct{})}
	if srv.o.ConnLimiter != nil {
		ln = &limitedListener{ln, srv.o.ConnLimiter}
	}
	return hs.Serve(ln)
}

// takenConn is a connection that was taken out of HTTP, for a WebSocket.
type takenConn struct {
	plain *plainConn // a loop reads it already
	conn  net.Conn
	early []byte // what the client sent behind its request
}

// takeOver takes the connection of w.
func takeOver(w http.ResponseWriter) (t takenConn, err error) {
	if t.plain = plainOf(w); t.plain != nil {
		return t, nil
	}
	t.conn, t.early, err = ws.Hijack(w)
	return t, err
}

// start makes the connection that of st.
func (t takenConn) start(st *stream) {
	if t.plain != nil {
		t.plain.become(st)
		return
	}
	if c, ok := t.conn.(*handedConn); ok {
		c.release()
	}
	st.start(t.conn, t.early)
}

// plainOf returns the connection below w if a loop reads it, and marks it as taken.
func plainOf(w http.ResponseWriter) *plainConn {
	for {
		switch x := w.(type) {
		case *fasthttp1.Response:
			if c, ok := x.Conn.(*plainConn); ok && x.Take() {
				return c
			}
			return nil
		case http.Hijacker:
			return nil // it wants to know
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return nil
		}
	}
}

// handedConn is a connection given to net/http with the bytes that were read
// before somebody saw that it belongs there.
type handedConn struct {
	*net.TCPConn
	early []byte
	stirs func() // called when something is read; nil: no need to

	limiter  ConnLimiter // nil: none
	remote   netip.AddrPort
	released atomic.Bool

	// See handed_linux.go.
	raw          syscall.RawConn
	patience     time.Duration // for a peer that takes nothing
	idle, unused time.Duration // read deadlines of idle are unused instead; 0: not
	mu           sync.Mutex    // guards what follows and the order of the deadlines; a leaf
	deadline     time.Time     // for writing, set by the handler; zero: none
	writing      bool          // a write waits, and has a deadline of its own
	given        bool          // to a handler: nothing is added to what it does
}

// release tells the ConnLimiter once that the connection is closed or a WebSocket.
func (c *handedConn) release() {
	if c.limiter != nil && c.released.CompareAndSwap(false, true) {
		c.limiter.ReleaseConn(c.remote)
	}
}

// Close implements net.Conn.
func (c *handedConn) Close() error {
	c.release()
	return c.TCPConn.Close()
}

// Read implements net.Conn.
func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	n, err := c.TCPConn.Read(p)
	if c.stirs != nil {
		c.stirs()
		c.stirs = nil
	}
	return n, err
}

// WriteTo implements io.WriterTo: that of TCPConn would forget what is early.
func (c *handedConn) WriteTo(w io.Writer) (int64, error) {
	early := c.early
	c.early = nil
	n, err := w.Write(early)
	if err != nil {
		return int64(n), err
	}
	rest, err := c.TCPConn.WriteTo(w)
	return int64(n) + rest, err
}

var errTooManyHanded = errors.New("engineio: too many connections wait for net/http")
