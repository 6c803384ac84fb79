package tlspoll

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Listener gives connections that crypto/tls may be put on and that can be detached.
type Listener struct{ net.Listener }

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c}, nil
}

// Conn is the connection below a TLS connection: another connection at first, and the
// descriptor of a Stream once it is detached.
type Conn struct {
	net.Conn
	stream *Stream // set before the descriptor is watched; nil: not detached
}

// Of returns the Conn below a TLS connection; nil when there is none.
func Of(conn net.Conn) (*tls.Conn, *Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		if c, ok := t.NetConn().(*Conn); ok {
			return t, c
		}
	}
	return nil, nil
}

// Raw gives access to the descriptor; nil when there is none.
func (c *Conn) Raw() syscall.RawConn { return netpoll.RawConn(c.Conn) }

// NetConn returns the connection that c began with.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.stream != nil {
		return c.stream.readRecords(p)
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.stream != nil {
		return c.stream.writeRecord(p)
	}
	return c.Conn.Write(p)
}

// The deadlines of a Stream are its owner's to keep. crypto/tls sets one for its
// close_notify, which does not block here.

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	if c.stream != nil {
		return nil
	}
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.stream != nil {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.stream != nil {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
