//go:build linux && !goroutinereaders

package engineio

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/fasthttp1"
)

// plainConn is a connection on which a loop waits for requests. One request at a
// time is served, by a worker; meanwhile the loop only watches. It ends as a
// WebSocket (become), in the hands of a handler (Hijack) or of net/http (hand), or
// closed.
//
// The descriptor is closed by the loop's goroutine only, also after Hijack, which
// duplicates it: so an event that was collected, and a task that waits, can never
// be another connection's that has got the same number. Until then a worker may
// use it, since the loop closes nothing that is busy.
type plainConn struct {
	front *front
	loop  *loop
	fd    int

	remote     netip.AddrPort
	remoteText string          // made for the first request
	ctx        context.Context // likewise

	// Of the goroutine that serves a request, and of the loop's while none does:
	request *http.Request
	arrival *arrival // of the request; nil: it has no order
	held    *buffer  // what came behind the request; nil: nothing

	early     *arrival    // of the request that comes next; belongs to the loop
	answering atomic.Bool // the answer is being written, or has been

	mu       sync.Mutex         // guards what follows; taken after Session.mu and loop.mu, a leaf
	busy     bool               // a goroutine serves a request
	piped    bool               // something came behind the request, in one read
	unread   bool               // something came meanwhile
	gone     bool               // the peer is, or has said its last word
	closed   bool               // the loop is to close it
	left     bool               // a handler has it: the loop is to close the descriptor
	out      bool               // it is the loop's no more
	served   bool               // at least one request
	proxied  bool               // the first request came through a proxy
	since    time.Duration      // of epoch: its beginning, or the last request's end
	cancel   context.CancelFunc // of the request's context
	stream   *stream            // what it has become
	waiting  chan struct{}      // gets a token when the peer has taken something
	deadline time.Time          // of the answer; zero: none
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
	c.gone = c.gone || t.events&parted != 0
	switch {
	case c.out:
		c.mu.Unlock()
	case c.left, c.closed && !c.busy:
		c.out = true
		c.mu.Unlock()
		c.end()
	case c.busy:
		// What comes in this moment has its mark: serveOne looks at it under mu.
		c.unread = c.unread || t.events&unix.EPOLLIN != 0 || t.woken
		cancel := c.cancel
		if !c.gone {
			cancel = nil
		}
		peek := t.events&unix.EPOLLIN != 0 && !c.piped && c.early == nil && c.answering.Load()
		c.mu.Unlock()
		if peek {
			c.peek()
		}
		if cancel != nil {
			cancel()
		}
	case c.held != nil:
		// No plain request, or one too late for us.
		c.mu.Unlock()
		c.hand(c.held.b)
		c.held.release()
		c.held = nil
	case c.front.retired.Load():
		c.mu.Unlock()
		c.hand(nil)
	case t.woken || t.events&readable != 0:
		c.mu.Unlock()
		c.read()
	default:
		c.mu.Unlock()
	}
}

// read takes the next request. It is called by the loop while no other is served.
func (c *plainConn) read() {
	buf := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buf)
	n, err := readFD(c.fd, buf[:])
	switch {
	case err != nil:
		c.mu.Lock()
		c.out = true
		c.mu.Unlock()
		c.end()
	case n == 0:
	case c.begin(buf[:n], n == len(buf)): // then there may be more without an edge of its own
		c.front.srv.workers.Go(c)
	default:
		c.hand(buf[:n])
	}
}

// begin makes data a request for Run; false leaves it to net/http.
func (c *plainConn) begin(data []byte, more bool) bool {
	head, err := fasthttp1.Parse(data)
	o := &c.front.srv.o
	if err != nil || !o.ServeAll && !strings.HasPrefix(head.Path, o.Path) || c.front.retired.Load() {
		return false
	}
	c.held = nil
	if rest := data[head.Size:]; len(rest) > 0 {
		c.held = takeBuffer()
		c.held.b = append(c.held.b, rest...)
	}
	if c.ctx == nil {
		c.remoteText, c.ctx = named(c.remote).String(), &connContext{c.front.context(c.fd), c}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.request = head.Request(ctx, c.remoteText)
	if c.arrival = c.early; c.arrival == nil && strings.HasPrefix(head.Path, o.Path) {
		c.arrival = c.front.srv.arrive(c.request)
	}
	c.early = nil
	c.answering.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.served {
		c.proxied = viaProxy(c.request.Header)
	}
	c.busy, c.served, c.cancel, c.piped = true, true, cancel, c.held != nil
	c.unread = c.unread || more
	if c.gone {
		cancel() // net/http does not tell half a farewell from a whole one either
	}
	return true
}

// Run serves a request, and those that are there already behind it.
func (c *plainConn) Run() {
	for c.serveOne() {
	}
}

// serveOne reports whether the next request has begun.
func (c *plainConn) serveOne() (next bool) {
	r := c.request
	w := fasthttp1.NewResponse(c, r.Close)
	c.request = nil
	returned := false
	defer func() {
		if returned {
			return
		}
		// nil: the handler has ended this goroutine (runtime.Goexit).
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value
			c.front.log("http: panic serving %s: %v\n%s", c.remoteText, v, debug.Stack())
		}
		c.answered(w, false)
	}()
	c.front.hs.Handler.ServeHTTP(w, r)
	returned = true
	return c.answered(w, w.Finish())
}

// answered ends a request; it reports whether the next one, which came together
// with it, has begun. keep says that the connection may carry more.
func (c *plainConn) answered(w *fasthttp1.Response, keep bool) bool {
	c.arrival.begin() // if it did not get so far
	c.arrival = nil
	taken := w.Hijacked()
	w.Release()
	c.mu.Lock()
	cancel := c.cancel
	c.cancel, c.deadline = nil, time.Time{}
	c.mu.Unlock()
	cancel()
	if taken {
		return false
	}
	if held := c.held; held != nil && keep && c.begin(held.b, false) {
		held.release()
		return true
	}
	if c.held != nil && !keep {
		c.held.release()
		c.held = nil
	}
	c.mu.Lock()
	c.busy = false
	c.closed = !keep
	c.since = time.Since(epoch)
	// An end of stream is for the loop to read: there may be a request before it.
	wake := c.closed || c.held != nil || c.unread || c.gone || c.front.retired.Load()
	c.unread = false
	c.mu.Unlock()
	if wake {
		c.loop.wake(c)
	}
	return false
}

// errPeerStalled is for answers that a peer does not take.
var errPeerStalled = errors.New("engineio: peer takes no answer")

// WriteAll implements fasthttp1.Conn. It waits for a peer that takes its time.
func (c *plainConn) WriteAll(b []byte) error {
	c.answering.Store(true) // before the peer can have seen it
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
	limit := c.front.srv.o.patience()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var late <-chan time.Time
	if d := c.writeDeadline(); !d.IsZero() {
		timer := time.NewTimer(time.Until(d))
		defer timer.Stop()
		late = timer.C
	}
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
			resetOnClose(c.fd)
			return errPeerStalled
		case <-late:
			resetOnClose(c.fd)
			return os.ErrDeadlineExceeded
		}
	}
}

// resetOnClose keeps the kernel from holding what the peer did not take, megabytes of
// it and for minutes, behind a descriptor that is closed.
func resetOnClose(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // then it is held
}

// SetWriteDeadline implements fasthttp1.Conn.
func (c *plainConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

func (c *plainConn) writeDeadline() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline
}

// graceOfNew is how long http.Server.Shutdown waits for the first request of a
// connection.
const graceOfNew = 5 * time.Second

// hand gives the connection to net/http, with what was read of it. It is called by
// the loop.
func (c *plainConn) hand(data []byte) {
	c.early.begin() // nothing is known of the order there
	c.mu.Lock()
	c.out = true
	proxied := c.proxied || !c.served && viaProxyHead(data)
	idle := len(data) == 0 && (c.served || time.Since(epoch)-c.since > graceOfNew)
	c.mu.Unlock()
	c.loop.detach(c.fd)
	c.front.count(-1)
	c.front.hand(c.fd, c.remote, bytes.Clone(data), proxied, idle)
}

// end closes a connection. It is called by the loop.
func (c *plainConn) end() {
	c.early.begin()
	c.loop.detach(c.fd)
	unix.Close(c.fd) //nolint:errcheck // nothing is left to be done
	c.front.count(-1)
	c.front.release(c.remote)
	if c.held != nil {
		c.held.release()
		c.held = nil
	}
}

// expired reports whether the peer has had its time to send a request. The loop
// then closes the connection.
func (c *plainConn) expired(now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.front.unused()
	switch {
	case !c.served:
		limit = c.front.headerTimeout
	case c.proxied:
		limit = c.front.idleTimeout
	}
	if c.busy || c.left || c.out || c.stream != nil || limit <= 0 || now-c.since < limit {
		return false
	}
	c.closed = true
	return true
}
