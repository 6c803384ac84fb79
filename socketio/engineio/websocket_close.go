package engineio

import (
	"errors"
	"net"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/ws"
)

// The end of a WebSocket (RFC 6455 §7.1): the server ends its side of the connection
// behind the peer's close frame. Behind its own it waits for that, unless the peer
// has broken the protocol: nothing that comes then can be understood, so the server
// ends its side at once and drops what comes until the peer ends the other.

const (
	// lingerTime is how long a connection we have closed waits for the peer's
	// close frame, or its end of stream, so that what we sent last is not lost to a
	// TCP reset.
	lingerTime = 2 * time.Second
	// lingerBytes is how much is read and dropped meanwhile.
	lingerBytes = 16 << 20
)

// shutdown ends the transport. What waits and a close frame may still leave within
// lingerTime; a slow peer's pending data is dropped.
func (st *wsTransport) shutdown(reason Reason, description error) {
	if st.closing {
		return
	}
	st.closing = true
	if !st.isConnected {
		return // start will see it
	}
	if errors.Is(description, ErrSlow) {
		st.hangUp()
		return
	}
	st.corked = false
	o := st.openSendBuffer()
	if !st.peerClosed {
		code := 0
		if e, ok := errors.AsType[*ws.Error](description); ok {
			code = e.Code
		}
		o.setTail(ws.AppendClose(o.tail(), code, ""))
	}
	if st.writePending {
		st.startLinger()
		return
	}
	st.flush()
}

// afterCloseFrame follows the last write of a transport that is closing.
func (st *wsTransport) afterCloseFrame() {
	st.closeSent = true
	if st.peerClosed {
		st.hangUp()
		return
	}
	if st.isDiscarding {
		st.sendFIN()
	}
	st.startLinger()
}

// sendFIN ends our side of the connection, behind our close frame. The other side
// stays open until the peer has ended it, or until the end of lingerTime.
func (st *wsTransport) sendFIN() {
	switch {
	case st.isClosed || st.finSent:
	case st.stream != nil:
		st.stream.CloseWrite()
	case st.fd >= 0:
		netpoll.ShutdownWrite(st.fd)
	default:
		// It may block for a moment, and mu is held.
		st.s.srv.track()
		st.s.srv.workers.Go(&writeCloser{st.s.srv, st.conn})
	}
	st.finSent = true
}

// writeCloser is a task: to end our side of a connection without a descriptor.
type writeCloser struct {
	srv  *Server
	conn net.Conn
}

// Run implements workers.Task.
func (c *writeCloser) Run() {
	defer c.srv.done()
	closeWrite(c.conn)
}

// closeWrite ends our side of conn, of TLS and of what is below it.
func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite() //nolint:errcheck // the connection is about to be closed
	}
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		closeWrite(c.NetConn())
	}
}

// closeDrained prepares the closing of a connection on which everything was said:
// bytes in the receive buffer would make the kernel send a reset, which can take
// the close frame from a peer that has not read it yet. So our side is ended first,
// and what has come is dropped, a bounded part of it. What comes later is a breach
// of RFC 6455 §5.5.1.
func closeDrained(conn net.Conn) {
	closeWrite(conn)
	for {
		c, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = c.NetConn()
	}
	if raw := netpoll.RawConn(conn); raw != nil {
		raw.Control(func(fd uintptr) { netpoll.DrainFD(int(fd)) }) //nolint:errcheck // it is open
	}
}

func (st *wsTransport) startLinger() {
	if st.lingerTimer != nil || st.isClosed {
		return
	}
	st.lingerTimer = time.AfterFunc(lingerTime, func() {
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		st.hangUp()
	})
}
