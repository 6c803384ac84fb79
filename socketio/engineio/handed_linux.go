//go:build linux && !goroutinereaders

package engineio

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// unused is how long a connection is kept behind an answer: no longer than a session
// lives whose client is gone, whose connections would otherwise outlive it. Proxies
// keep theirs for other clients, so theirs have http.Server.IdleTimeout.
func (f *front) unused() time.Duration {
	if f.idleTimeout > 0 {
		return min(f.idleTimeout, f.keepTime)
	}
	return f.keepTime
}

// proxyFields are those of requests that came through a proxy.
var proxyFields = []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"}

func viaProxy(h http.Header) bool {
	for _, name := range proxyFields {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// viaProxyHead is viaProxy for a request that net/http is to read.
func viaProxyHead(data []byte) bool {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	head = bytes.ToLower(head)
	for _, name := range proxyFields {
		if bytes.Contains(head, append([]byte("\n"), bytes.ToLower([]byte(name+":"))...)) {
			return true
		}
	}
	return false
}

// SetReadDeadline implements net.Conn. The deadline of a connection that waits for
// its next request is known by its distance: net/http has no other like it.
func (c *handedConn) SetReadDeadline(t time.Time) error {
	const slip = 100 * time.Millisecond
	if c.idle > 0 && !t.IsZero() && !c.handlers() {
		if d := time.Until(t); c.idle-slip < d && d <= c.idle {
			t = t.Add(c.unused - c.idle)
		}
	}
	return c.TCPConn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn. net/http calls it when it gives the connection to
// a handler.
func (c *handedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given, c.deadline = true, t
	return c.TCPConn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *handedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.setWriteDeadline()
}

// setWriteDeadline sets the earlier one of the handler's deadline and,
// while a write waits, that for a peer which takes nothing. mu is held.
func (c *handedConn) setWriteDeadline() error {
	t := c.deadline
	if c.writing {
		if own := time.Now().Add(c.patience); t.IsZero() || own.Before(t) {
			t = own
		}
	}
	return c.TCPConn.SetWriteDeadline(t)
}

// stall begins the time that the peer has to take something; false ends that.
func (c *handedConn) stall(waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = waits
	c.setWriteDeadline() //nolint:errcheck // then it is closed, and writing tells
}

// handlers reports whether nothing is added to what is done with the connection: a
// handler has it, or no front has made it.
func (c *handedConn) handlers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given || c.raw == nil
}

// Write implements net.Conn. A peer that takes no byte for the time of patience ends it.
func (c *handedConn) Write(p []byte) (n int, err error) {
	if c.handlers() {
		return c.TCPConn.Write(p)
	}
	waits, failure := false, error(nil)
	err = c.raw.Write(func(fd uintptr) bool {
		before := n
		for {
			var m int
			m, failure = writeFD(int(fd), p[n:])
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
func (c *handedConn) ReadFrom(r io.Reader) (n int64, err error) {
	if c.handlers() {
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
		late := errors.Is(err, os.ErrDeadlineExceeded) && !c.past()
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

// past reports whether the handler's deadline is over.
func (c *handedConn) past() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.deadline.IsZero() && time.Until(c.deadline) <= 0
}

// resetAfter makes Close a reset when the peer took nothing: the kernel would keep
// what waits for it, for minutes.
func (c *handedConn) resetAfter(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.TCPConn.SetLinger(0) //nolint:errcheck // then it is kept
	}
}
