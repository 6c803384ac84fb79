//go:build linux && !goroutinereaders

package engineio

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/http1"
)

// plainConn is a connection on which a loop waits for requests. One request at a
// time is served, by a goroutine that exists as long as it takes; meanwhile the
// loop only watches. It ends as a WebSocket (become), in the hands of net/http, or
// closed by the loop.
type plainConn struct {
	front *front
	loop  *loop
	fd    int

	remote     netip.AddrPort
	remoteText string // made for the first request

	mu      sync.Mutex         // guards what follows; a leaf, but for Session.mu
	busy    bool               // a goroutine serves a request
	unread  bool               // something came meanwhile
	gone    bool               // the peer is
	closed  bool               // the loop is to close it
	out     bool               // it is the loop's no more
	served  bool               // at least one request
	since   time.Duration      // of epoch: the last request's end
	cancel  context.CancelFunc // of the request's context
	request *http.Request
	held    *buffer       // what came behind the request
	stream  *stream       // what it has become
	waiting chan struct{} // gets a token when the peer has taken something
}

func (c *plainConn) descriptor() int { return c.fd }

const (
	readable = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	parted   = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// servePlain is the loop's part.
func (l *loop) servePlain(c *plainConn, t *task) {
	c.mu.Lock()
	if st := c.stream; st != nil {
		c.mu.Unlock()
		l.serveStream(st, t)
		return
	}
	if c.waiting != nil && t.events&(unix.EPOLLOUT|parted) != 0 {
		select {
		case c.waiting <- struct{}{}:
		default:
		}
	}
	switch {
	case c.out:
		c.mu.Unlock()
	case c.busy:
		c.unread = c.unread || t.events&unix.EPOLLIN != 0 || t.woken
		var cancel context.CancelFunc
		if t.events&parted != 0 {
			c.gone, cancel = true, c.cancel
		}
		c.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	case c.closed:
		c.out = true
		c.mu.Unlock()
		l.endPlain(c)
	case c.front.retired.Load():
		c.mu.Unlock()
		c.hand(nil)
	case t.woken || t.events&readable != 0:
		c.mu.Unlock()
		c.read(t.events&parted != 0)
	default:
		c.mu.Unlock()
	}
}

// read takes the next request. It is called by the loop while no other is served.
func (c *plainConn) read(parted bool) {
	buf := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buf)
	n, err := readFD(c.fd, buf[:])
	switch {
	case err != nil:
		c.mu.Lock()
		c.out = true
		c.mu.Unlock()
		c.loop.endPlain(c)
	case n > 0:
		c.unread = n == len(buf) // there may be more without an edge of its own
		if c.begin(buf[:n], parted) {
			c.front.srv.workers.Go(c)
		}
	}
}

// begin looks at what was read: a request for Run, or something for net/http.
func (c *plainConn) begin(data []byte, parted bool) bool {
	head, err := http1.Parse(data)
	if err != nil || !strings.HasPrefix(head.Path, c.front.srv.o.Path) || c.front.retired.Load() {
		c.hand(data)
		return false
	}
	if rest := data[head.Size:]; len(rest) > 0 {
		c.held = takeBuffer()
		c.held.b = append(c.held.b, rest...)
	}
	if c.remoteText == "" {
		c.remoteText = c.remote.String()
	}
	ctx, cancel := context.WithCancel(c.front.ctx)
	c.mu.Lock()
	c.busy, c.served, c.cancel = true, true, cancel
	c.gone = parted
	c.mu.Unlock()
	if parted {
		cancel()
	}
	c.request = head.Request(ctx, c.remoteText)
	return true
}

// Run serves a request, and those that are there already behind it.
func (c *plainConn) Run() {
	for c.serveOne() {
	}
}

// serveOne reports whether the next request has begun.
func (c *plainConn) serveOne() bool {
	r, cancel := c.request, c.cancel
	c.request = nil
	w := http1.NewResponse(c)
	ok := c.handle(w, r)
	taken := w.Hijacked()
	keep := ok && w.Finish()
	cancel()
	w.Release()
	if taken {
		return false
	}
	c.mu.Lock()
	c.cancel = nil
	c.since = time.Since(epoch)
	c.closed = !keep || c.gone
	held := c.held
	c.held = nil
	if held != nil && !c.closed {
		c.busy = false
		c.mu.Unlock()
		defer held.release()
		return c.begin(held.b, false)
	}
	c.busy = false
	wake := c.closed || c.unread || c.front.retired.Load()
	c.unread = false
	c.mu.Unlock()
	if held != nil {
		held.release()
	}
	if wake {
		c.loop.wake(c)
	}
	return false
}

// handle runs the handler; false when it panicked.
func (c *plainConn) handle(w *http1.Response, r *http.Request) (ok bool) {
	defer func() {
		if ok {
			return
		}
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value
			c.front.log("panic serving %s: %v\n%s", c.remoteText, v, debug.Stack())
		}
	}()
	c.front.hs.Handler.ServeHTTP(w, r)
	return true
}

// errPeerStalled is for answers that a peer does not take.
var errPeerStalled = errors.New("engineio: peer takes no answer")

// WriteAll implements http1.Conn. It waits for a peer that takes its time.
func (c *plainConn) WriteAll(b []byte) error {
	n, err := writeFD(c.fd, b)
	if err != nil || n == len(b) {
		return err
	}
	c.mu.Lock()
	c.waiting = make(chan struct{}, 1)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.waiting = nil
		c.mu.Unlock()
	}()
	limit := c.front.srv.o.WriteTimeout
	if limit <= 0 {
		limit = c.front.srv.o.PingTimeout
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for b = b[n:]; ; b = b[n:] {
		// The edge may have come before somebody waited for it: try first.
		if n, err = writeFD(c.fd, b); err != nil || n == len(b) {
			return err
		}
		if n > 0 {
			timer.Reset(limit)
		}
		select {
		case <-c.waiting:
		case <-timer.C:
			return errPeerStalled
		}
	}
}

// become makes the connection that of a WebSocket. It is called by the request's
// goroutine, which does not touch the connection any more.
func (c *plainConn) become(st *stream) {
	s := st.s
	s.mu.Lock()
	c.mu.Lock()
	if c.held != nil {
		st.held, st.away = c.held, true
		c.held = nil
	}
	st.loop, st.fd = c.loop, c.fd
	c.stream = st
	wake := st.away || c.unread || c.gone
	c.mu.Unlock()
	c.loop.replace(c.fd, st)
	st.begin()
	s.mu.Unlock()
	c.front.count(-1)
	if wake {
		c.loop.wake(st)
	}
}

// Hijack implements http1.Conn: for handlers that want the connection themselves.
func (c *plainConn) Hijack() (net.Conn, []byte, error) {
	c.mu.Lock()
	c.out = true
	held := c.held
	c.held = nil
	c.mu.Unlock()
	c.loop.detach(c.fd)
	c.front.count(-1)
	var early []byte
	if held != nil {
		early = append(early, held.b...)
		held.release()
	}
	conn, err := netConn(c.fd)
	return conn, early, err
}

// hand gives the connection to net/http, with what was read of it.
func (c *plainConn) hand(data []byte) {
	c.mu.Lock()
	c.out = true
	c.mu.Unlock()
	c.loop.detach(c.fd)
	c.front.count(-1)
	c.front.hand(c.fd, append([]byte(nil), data...))
}

// endPlain closes a connection. It is called by the loop.
func (l *loop) endPlain(c *plainConn) {
	l.remove(c.fd)
	unix.Close(c.fd) //nolint:errcheck // nothing is left to be done
	c.front.count(-1)
}

// expired reports whether the peer has had its time to send a request. The loop
// then closes the connection.
func (c *plainConn) expired(now time.Duration) bool {
	limit := c.front.idleTimeout
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.served {
		limit = c.front.headerTimeout
	}
	if c.busy || c.out || c.stream != nil || limit <= 0 || now-c.since < limit {
		return false
	}
	c.closed = true
	return true
}
