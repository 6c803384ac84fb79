package engineio

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"posthouse/socketio/engineio/internal/fasthttp1"
	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/tlspoll"
	"posthouse/socketio/engineio/internal/ws"
)

// Serve accepts the connections of ln and serves them with hs.Handler, which must
// lead to this server somewhere (it may stand behind middlewares and a router). It
// is hs.Serve(ln) with a fast path: where that is possible, plain HTTP/1.1 requests
// are read by the event loop that reads WebSockets too, and do without package
// net/http. Everything else, and whatever is out of the ordinary, goes to hs as ever.
// Handlers see no difference, except that they can send no informational (1xx)
// answers and no trailers on the fast path.
//
// Where net/http accepts the connections, the WebSockets among them are still read by event
// loops when they are plain: a *net.TCPConn or *net.UnixConn, or one around it whose method
// PlainConn() net.Conn returns that.
//
// The fast path exists on Linux, for a *net.TCPListener, when hs has none of
// ConnContext, ConnState, ReadTimeout and WriteTimeout. Of hs it uses Handler,
// BaseContext, ReadHeaderTimeout, IdleTimeout and ErrorLog; connections of which the
// peer takes no byte for Options.WriteTimeout are closed, and so are those that had
// no request for PingInterval + PingTimeout, unless they come from a proxy: these
// have IdleTimeout.
//
// It always returns an error: http.ErrServerClosed after Shutdown or Close of hs.
//
// Both ends may come in any order. Shutdown of hs ends the sessions too, as Shutdown
// of this server does, when no other http.Server is served by Serve; so polls that
// wait are answered, and it waits for all requests, those of the fast path included.
// Shutdown of this server ends the sessions and the fast path, and waits for its
// requests; hs then goes on with everything else.
func (srv *Server) Serve(ln net.Listener, hs *http.Server) error {
	srv.beginServing(hs)
	err := srv.serveListener(ln, hs)
	if errors.Is(err, http.ErrServerClosed) {
		srv.endServing(hs)
	}
	return err
}

func (srv *Server) serveListener(ln net.Listener, hs *http.Server) error {
	// The one call of fasthttp1. Without it net/http serves everything.
	if ok, err := fasthttp1.Serve(ln, hs, &fasthttp1.Config{
		Loop: srv.loopGroup.Ordered(), Workers: &srv.workers, Log: srv.log,
		WriteTimeout: srv.o.patience(),
		KeepTime:     srv.o.PingInterval + srv.o.PingTimeout,
		Stopping:     srv.shutdownBegun.Load,
		Admit:        srv.admitConn, Release: srv.releaseConn,
		Arrived: func(path, query string) fasthttp1.Arrival {
			if strings.HasPrefix(path, srv.o.Path) {
				if a := srv.arrive(query); a != nil {
					return a
				}
			}
			return nil
		},
		ArrivalKey: arrivalKey{},
	}); ok {
		return err
	}
	return hs.Serve(srv.guardListener(ln))
}

// ServeTLS is hs.ServeTLS(ln, certFile, keyFile) with what Serve adds: connections are
// limited before their TLS handshake, and the end of hs and of this server belong
// together. The files may be empty when hs.TLSConfig has certificates. WebSockets need
// HTTP/1.1: hs.Protocols says whether clients are offered HTTP/2 beside it.
//
// On Linux, WebSockets are read by the event loops as those of Serve are: an idle one
// holds no goroutine. HTTP requests are those of net/http.
func (srv *Server) ServeTLS(ln net.Listener, hs *http.Server, certFile, keyFile string) error {
	srv.beginServing(hs)
	err := hs.ServeTLS(tlspoll.Listener{Listener: srv.guardListener(ln)}, certFile, keyFile)
	if errors.Is(err, http.ErrServerClosed) {
		srv.endServing(hs)
	}
	return err
}

// guardListener applies the limits of connections to ln.
func (srv *Server) guardListener(ln net.Listener) net.Listener {
	ln = &patientListener{Listener: ln, log: srv.log, closeSignal: make(chan struct{})}
	if srv.o.ConnLimiter != nil {
		ln = &limitedListener{ln, srv}
	}
	return ln
}

// beginServing makes Shutdown of hs the end of this server too.
func (srv *Server) beginServing(hs *http.Server) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.httpServers[hs] {
		return
	}
	if srv.httpServers == nil {
		srv.httpServers = make(map[*http.Server]bool)
	}
	srv.httpServers[hs] = true
	hs.RegisterOnShutdown(func() { // a goroutine of hs, which does not wait for it
		if srv.endServing(hs) {
			srv.beginShutdown()
		}
	})
}

// endServing forgets hs, and reports whether no http.Server is left.
func (srv *Server) endServing(hs *http.Server) (last bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.httpServers, hs)
	return len(srv.httpServers) == 0
}

// takenConn is a connection that was taken out of HTTP, for a WebSocket.
type takenConn struct {
	loopResponse loopResponse // a loop reads the connection already; nil: conn is set
	conn         net.Conn
	earlyBytes   []byte // what the client sent behind its request
}

// loopResponse is a response writer of a connection that an event loop reads.
type loopResponse interface {
	// Take reserves the connection for Upgrade; false says that it is too late.
	Take() bool
	// Upgrade calls s.TakeOver and makes the loop forget the connection.
	Upgrade(s netpoll.Successor)
}

// takeOver takes the connection of w.
func takeOver(w http.ResponseWriter) (t takenConn, err error) {
	if t.loopResponse = loopResponseOf(w); t.loopResponse != nil && t.loopResponse.Take() {
		return t, nil
	}
	t.loopResponse = nil
	t.conn, t.earlyBytes, err = ws.Hijack(w)
	return t, err
}

// start makes the connection that of st.
func (t takenConn) start(st *wsTransport) {
	if t.loopResponse != nil {
		st.startUpgraded(t.loopResponse)
		return
	}
	leaveHTTP(t.conn)
	st.start(t.conn, t.earlyBytes)
}

// leaveHTTP tells the ConnLimiter of a connection, which TLS may hide, that it is a
// WebSocket now.
func leaveHTTP(conn net.Conn) {
	switch c := conn.(type) {
	case interface{ LeaveHTTP() }:
		c.LeaveHTTP()
	case interface{ NetConn() net.Conn }:
		leaveHTTP(c.NetConn())
	}
}

// loopResponseOf returns the writer below w that knows the loop; nil when there is
// none.
func loopResponseOf(w http.ResponseWriter) loopResponse {
	for {
		switch x := w.(type) {
		case loopResponse:
			return x
		case http.Hijacker:
			return nil // it wants to know
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return nil
		}
	}
}

// admitConn asks Options.ConnLimiter about a connection. nil keeps it; anything else
// is the answer that the peer gets.
func (srv *Server) admitConn(remote netip.AddrPort) (refusal []byte) {
	if srv.o.ConnLimiter == nil {
		return nil
	}
	if status, retryAfter := srv.o.ConnLimiter.AdmitConn(remote); status != 0 {
		return bareAnswer(status, retryAfter)
	}
	return nil
}

// releaseConn tells Options.ConnLimiter that a connection carries no HTTP any more.
func (srv *Server) releaseConn(remote netip.AddrPort) {
	if srv.o.ConnLimiter != nil {
		srv.o.ConnLimiter.ReleaseConn(remote)
	}
}
