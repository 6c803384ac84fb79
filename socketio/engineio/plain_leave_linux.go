//go:build linux && !goroutinereaders

package engineio

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A connection leaves the loop of requests as a WebSocket, or in the hands of a
// handler.

// become makes the connection that of a WebSocket, on one of the loops for these. It
// is called by the request's goroutine, which does not touch the connection any more.
func (c *plainConn) become(st *stream) {
	s := st.s
	s.mu.Lock()
	early := c.held != nil
	if early {
		st.held, st.away = c.held, true
		c.held = nil
	}
	if c.front.srv.loops.adoptFD(st, c.fd) {
		st.begin()
		s.mu.Unlock()
		c.mu.Lock()
		c.left = true
		c.mu.Unlock()
		c.loop.wake(c) // to close its descriptor
		if early {
			st.loop.wake(st)
		}
		return
	}
	// There are no descriptors left: it stays where it is.
	// From here on the loop takes it for the stream's, which Session.mu holds up.
	c.mu.Lock()
	st.loop, st.fd = c.loop, c.fd
	c.stream = st
	wake := st.away || c.unread || c.gone
	c.mu.Unlock()
	c.loop.replace(c.fd, st)
	st.begin()
	s.mu.Unlock()
	c.front.count(-1)
	c.front.release(c.remote)
	if wake {
		c.loop.wake(st)
	}
}

// Hijack implements fasthttp1.Conn: for handlers that want the connection themselves.
func (c *plainConn) Hijack() (net.Conn, []byte, error) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	conn, err := netConn(fd)
	if err != nil {
		return nil, nil, err
	}
	var early []byte
	if c.held != nil {
		early = append(early, c.held.b...)
		c.held.release()
		c.held = nil
	}
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	c.loop.wake(c)
	return conn, early, nil
}
