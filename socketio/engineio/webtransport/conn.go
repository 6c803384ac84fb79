package webtransport

import (
	"context"
	"io"
	"net"
	"time"

	wt "github.com/quic-go/webtransport-go"
)

// farewell is how long a session outlives the last byte we wrote: closing a
// session drops what the peer has not received yet, and QUIC does not tell.
const farewell = 500 * time.Millisecond

// quicStream is what a conn needs of a *wt.Stream.
type quicStream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	SetDeadline(time.Time) error
}

// conn is the one bidirectional stream of a session, as the engine wants it (see
// engineio.OpenFunc). One goroutine may read while another writes.
type conn struct {
	stream  quicStream
	session *wt.Session
	end     context.CancelFunc // makes the session's guard close it

	in      inbound
	raw     [4 << 10]byte
	pending []byte // translated, not read yet
	kept    []byte // what pending is part of
	readErr error

	out outbound
	buf []byte
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		if c.readErr != nil {
			return 0, c.readErr
		}
		var n int
		n, c.readErr = c.stream.Read(c.raw[:])
		c.kept = c.in.translate(c.kept[:0], c.raw[:n])
		c.pending = c.kept
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.buf = c.out.translate(c.buf[:0], p)
	if len(c.buf) > 0 {
		if _, err := c.stream.Write(c.buf); err != nil {
			// The part that had left cannot be told in the engine's bytes; the stream is
			// lost anyway.
			return 0, err
		}
	}
	if cap(c.buf) > 64<<10 {
		c.buf = nil
	}
	if c.out.closed {
		err := c.stream.Close() // the last byte is marked as such
		time.AfterFunc(farewell, c.end)
		return len(p), err
	}
	return len(p), nil
}

// Close implements net.Conn. It does not wait: the session's guard closes it.
func (c *conn) Close() error {
	c.end()
	return nil
}

func (c *conn) LocalAddr() net.Addr                { return c.session.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr               { return c.session.RemoteAddr() }
func (c *conn) SetDeadline(t time.Time) error      { return c.stream.SetDeadline(t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.stream.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
