//go:build linux && !goroutinereaders

package fasthttp1

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
)

// netConn is a connection given to net/http with the bytes that were read before it
// was known to belong there. Until a handler takes it out of HTTP, it ends writes of
// which the peer takes nothing, as WriteAll of a Conn does.
//
// Reads belong to one goroutine, as do writes; deadlines may come from any.
type netConn struct {
	*net.TCPConn
	raw      syscall.RawConn // of TCPConn
	listener *Listener
	remote   netip.AddrPort
	released atomic.Bool

	early     []byte // what readers get first
	firstByte func() // called when a byte has come; nil: no need to

	// Read deadlines at the distance of idleTimeout become keepTime instead; 0: not.
	idleTimeout, keepTime time.Duration

	mu            sync.Mutex // guards what follows and the order of the deadlines; a leaf
	writeDeadline time.Time  // set by the handler; zero: none
	writeWaits    bool       // a write waits for the peer, and has a deadline of its own
	takenOut      bool       // of HTTP: nothing is added to what the handler does
}

// LeaveHTTP tells that the connection carries no HTTP any more.
func (c *netConn) LeaveHTTP() {
	if c.released.CompareAndSwap(false, true) {
		c.listener.release(c.remote)
	}
}

// PlainConn implements netpoll.Wrapped.
func (c *netConn) PlainConn() net.Conn {
	if len(c.early) > 0 {
		return nil
	}
	return c.TCPConn
}

// Close implements net.Conn.
func (c *netConn) Close() error {
	c.LeaveHTTP()
	return c.TCPConn.Close()
}

// Read implements net.Conn.
func (c *netConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	n, err := c.TCPConn.Read(p)
	if c.firstByte != nil {
		c.firstByte()
		c.firstByte = nil
	}
	return n, err
}

// WriteTo implements io.WriterTo: that of TCPConn would forget what is early.
func (c *netConn) WriteTo(w io.Writer) (int64, error) {
	early := c.early
	c.early = nil
	n, err := w.Write(early)
	if err != nil {
		return int64(n), err
	}
	rest, err := c.TCPConn.WriteTo(w)
	return int64(n) + rest, err
}

// SetReadDeadline implements net.Conn. The deadline of a connection that waits for
// its next request is known by its distance: net/http has no other like it.
func (c *netConn) SetReadDeadline(t time.Time) error {
	const slip = 100 * time.Millisecond
	if c.idleTimeout > 0 && !t.IsZero() && !c.isTakenOut() {
		if d := time.Until(t); c.idleTimeout-slip < d && d <= c.idleTimeout {
			t = t.Add(c.keepTime - c.idleTimeout)
		}
	}
	return c.TCPConn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn. net/http calls it when it gives the connection to
// a handler.
func (c *netConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takenOut, c.writeDeadline = true, t
	return c.TCPConn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *netConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = t
	return c.setWriteDeadlineLocked()
}

// setWriteDeadlineLocked sets the earlier one of the handler's deadline and,
// while a write waits, that for a peer which takes nothing.
func (c *netConn) setWriteDeadlineLocked() error {
	t := c.writeDeadline
	if c.writeWaits {
		if own := time.Now().Add(c.listener.cfg.WriteTimeout); t.IsZero() || own.Before(t) {
			t = own
		}
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// stall begins the time that the peer has to take something; false ends that.
func (c *netConn) stall(waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeWaits = waits
	c.setWriteDeadlineLocked() //nolint:errcheck // then it is closed, and writing tells
}

// isTakenOut reports whether a handler has the connection.
func (c *netConn) isTakenOut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takenOut
}

// Write implements net.Conn. A peer that takes no byte for the time of Config.WriteTimeout ends it.
func (c *netConn) Write(p []byte) (n int, err error) {
	if c.isTakenOut() {
		return c.TCPConn.Write(p)
	}
	waits, failure := false, error(nil)
	err = c.raw.Write(func(fd uintptr) bool {
		before := n
		for {
			var m int
			m, failure = netpoll.WriteFD(int(fd), p[n:])
			n += m
			if failure != nil || n == len(p) {
				return true
			}
			if m == 0 {
				break
			}
		}
		if !waits || n > before {
			waits = true
			c.stall(true)
		}
		return false
	})
	if err == nil && failure != nil {
		err = os.NewSyscallError("write", failure)
	}
	if waits {
		c.stall(false)
	}
	c.resetAfter(err)
	return n, err
}

// ReadFrom implements io.ReaderFrom: a file is sent by the system, as TCPConn does,
// but a piece at a time.
func (c *netConn) ReadFrom(r io.Reader) (n int64, err error) {
	if c.isTakenOut() {
		return c.TCPConn.ReadFrom(r)
	}
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	file, ok := limited.R.(*os.File)
	if !ok {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	const piece = 256 << 10
	defer c.stall(false)
	for limited.N > 0 {
		c.stall(true)
		m, err := c.TCPConn.ReadFrom(&io.LimitedReader{R: file, N: min(limited.N, piece)})
		n += m
		limited.N -= m
		late := errors.Is(err, os.ErrDeadlineExceeded) && !c.deadlinePassed()
		switch {
		case late && m > 0: // it has taken something
		case err != nil:
			c.resetAfter(err)
			return n, err
		case m == 0:
			return n, nil // the file is shorter
		}
	}
	return n, nil
}

// deadlinePassed reports whether the handler's deadline is over.
func (c *netConn) deadlinePassed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.writeDeadline.IsZero() && time.Until(c.writeDeadline) <= 0
}

// resetAfter makes Close a reset when the peer took nothing: the kernel would keep
// what waits for it, for minutes.
func (c *netConn) resetAfter(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.TCPConn.SetLinger(0) //nolint:errcheck // then it is kept
	}
}
