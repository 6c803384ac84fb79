package engineio

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// ConnLimiter decides which TCP connections Serve keeps. It counts connections that
// carry HTTP: a slow peer holds one long before there is a session to count. Its
// methods are called by several goroutines at a time and must not block.
type ConnLimiter interface {
	// AdmitConn is asked about every accepted connection, before anything of it is
	// read. Status 0 keeps the connection; any other HTTP status is the answer that
	// the peer gets, with Retry-After in seconds, before the connection is closed.
	AdmitConn(remote netip.AddrPort) (status, retryAfter int)
	// ReleaseConn is called once for every kept connection: when it is closed, or
	// when it has become a WebSocket, which counts as a session from then on.
	ReleaseConn(remote netip.AddrPort)
}

// bareAnswer is the whole answer to a connection that was not kept.
func bareAnswer(status, retryAfter int) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nRetry-After: %d\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		status, http.StatusText(status), retryAfter)
}

// limitedListener asks a ConnLimiter where net/http accepts the connections itself.
// Only plain TCP connections are counted: net/http must see a TLS connection as it is.
type limitedListener struct {
	net.Listener
	srv *Server
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		tcp, ok := conn.(*net.TCPConn)
		if err != nil || !ok {
			return conn, err
		}
		remote := netip.AddrPort{}
		if a, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
			remote = a.AddrPort()
			remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
		}
		refusal := l.srv.admitConn(remote)
		if refusal == nil {
			return &limitedConn{TCPConn: tcp, srv: l.srv, remote: remote}, nil
		}
		// The send buffer of a new connection is empty: the deadline is never met.
		tcp.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the connection is being refused
		tcp.Write(refusal)                                //nolint:errcheck // the peer may be gone
		tcp.Close()                                       //nolint:errcheck // likewise
	}
}

// limitedConn is a connection that a ConnLimiter counts.
type limitedConn struct {
	*net.TCPConn
	srv         *Server
	remote      netip.AddrPort
	hasReleased atomic.Bool
}

// LeaveHTTP tells the ConnLimiter once that the connection is closed or a WebSocket.
func (c *limitedConn) LeaveHTTP() {
	if c.hasReleased.CompareAndSwap(false, true) {
		c.srv.releaseConn(c.remote)
	}
}

// PlainConn implements netpoll.Wrapped.
func (c *limitedConn) PlainConn() net.Conn { return c.TCPConn }

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.LeaveHTTP()
	return c.TCPConn.Close()
}
