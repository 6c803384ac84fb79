//go:build linux && !goroutinereaders

package fasthttp1

import (
	"context"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Conn is a connection on which a loop waits for requests. One request at a time is
// served, by a worker; meanwhile the loop only watches. The connection ends upgraded
// (Upgrade), in the hands of a handler (Hijack) or of net/http (leave), or closed.
//
// Ownership: the connection is idle or serving. While it is serving, the worker
// owns the fields of the request; otherwise the loop's goroutine does. begin makes it
// serving, answered makes it idle. The change is made under mu, so that the other
// side sees the fields as they were left.
//
// The descriptor is closed by the loop's goroutine only, also after Hijack and
// Upgrade, which duplicate it: so an event that was collected, and a call of Woken
// that is due, can never be another connection's with the same number. The worker may
// use the descriptor as long as it serves, because the loop closes nothing that does.
type Conn struct {
	listener *Listener
	fd       int

	remote     netip.AddrPort
	remoteAddr string          // remote as text; made for the first request
	ctx        context.Context // the base of the requests' contexts; likewise

	// Of the request, see above:
	request   *http.Request
	arrival   Arrival // nil: the request has no order
	pipelined *[]byte // came behind the request, in one read; nil: nothing

	nextArrival Arrival     // of a request that peek has seen; owned by the loop's goroutine
	answerBegun atomic.Bool // the answer is being written, or has been
	returned    atomic.Bool // the handler has returned, and has not taken the connection

	mu            sync.Mutex         // guards what follows; a leaf: taken after Loop.mu
	serving       bool               // a worker serves a request
	hasPipelined  bool               // pipelined is set
	unread        bool               // bytes may have come during the request
	readingAhead  bool               // the loop is in readAhead, and goes on from there
	ahead         *requestAhead      // the next request, for the worker to go on with; nil: none
	held          *heldRequest       // a request whose body is not complete; nil: none
	peerClosed    bool               // the peer has ended its side, or the connection is broken
	closing       bool               // the loop is to close the connection
	leftHTTP      bool               // a duplicate of the descriptor lives on: the loop is to close this one
	detached      bool               // the loop does not watch it any more
	hadRequest    bool               // at least one
	viaProxy      bool               // the first request came through a proxy
	idleSince     time.Duration      // since epoch: the beginning, or the end of the last request
	cancelRequest context.CancelFunc // of the request's context
	successor     netpoll.Handler    // gets the events since an upgrade without a duplicate
	writable      chan struct{}      // gets a token when the peer has taken something; nil: no write waits
	writeDeadline time.Duration      // of the answer, since epoch; 0: none
}

// Ready implements netpoll.Handler.
func (c *Conn) Ready(e netpoll.Events) (again bool) { return c.handle(e, false) }

// Woken implements netpoll.Handler.
func (c *Conn) Woken() (again bool) { return c.handle(0, true) }

// handle looks at the state of the connection and does the one thing that it asks
// for. It runs on the loop's goroutine.
func (c *Conn) handle(e netpoll.Events, woken bool) (again bool) {
	c.mu.Lock()
	if h := c.successor; h != nil {
		if c.unread {
			e |= netpoll.Readable
		}
		if c.peerClosed {
			e |= netpoll.Readable | netpoll.PeerClosed
		}
		c.unread, c.peerClosed = false, false
		c.mu.Unlock()
		return c.passOn(h, e)
	}
	if c.writable != nil && e.Has(netpoll.Writable|netpoll.PeerClosed) {
		select {
		case c.writable <- struct{}{}:
		default:
		}
	}
	c.peerClosed = c.peerClosed || e.Has(netpoll.PeerClosed)
	switch {
	case c.detached:
		c.mu.Unlock()
	case c.leftHTTP, c.closing && !c.serving:
		c.detached = true
		c.mu.Unlock()
		c.close()
	case c.serving:
		next := e.Has(netpoll.Readable) && !c.hasPipelined && c.ahead == nil && c.nextArrival == nil
		c.readingAhead = next && c.returned.Load() && !c.unread && !c.peerClosed
		ahead, peek := c.readingAhead, next && !c.readingAhead && c.answerBegun.Load()
		// answered looks at unread under mu, so bytes that come right now are not lost.
		c.unread = c.unread || e.Has(netpoll.Readable) && !ahead || woken
		cancel := c.cancelRequest
		if !c.peerClosed {
			cancel = nil
		}
		c.mu.Unlock()
		switch {
		case ahead:
			c.readAhead()
		case peek:
			c.peek()
		}
		if cancel != nil {
			cancel()
		}
	case c.pipelined != nil:
		// The next request is here already, and is not complete, nothing for a worker, or
		// came too late.
		c.mu.Unlock()
		data := *c.pipelined
		c.pipelined = nil
		c.take(data, true)
	case c.held != nil && (c.held.late || c.listener.stopping()):
		c.mu.Unlock()
		c.leaveHeld()
	case c.listener.stopping():
		c.mu.Unlock()
		c.leave(nil)
	case woken || e.Has(netpoll.Readable|netpoll.PeerClosed):
		c.mu.Unlock()
		c.read()
	default:
		c.mu.Unlock()
	}
	return false
}

// read reads the next request, or what is missing of one. It runs on the loop's
// goroutine, while the connection is idle.
func (c *Conn) read() {
	if c.held != nil {
		c.readHeld()
		return
	}
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	n, err := netpoll.ReadFD(c.fd, buf[:])
	switch {
	case err != nil:
		c.failed()
	case n > 0:
		c.take(buf[:n], n == len(buf)) // a full buffer: more may be there without an edge of its own
	}
}

// failed closes a connection that cannot be read, or has ended.
func (c *Conn) failed() {
	c.mu.Lock()
	c.detached = true
	c.mu.Unlock()
	c.close()
}

// take makes data a request for a worker, holds it until it is one, or leaves it to
// net/http. more says that there may be bytes to read without a further event. It runs on
// the loop's goroutine, while the connection is idle.
func (c *Conn) take(data []byte, more bool) {
	size, ok := c.begin(data, more)
	switch {
	case ok:
		c.listener.cfg.Workers.Go(c)
	case c.hold(data, size):
		c.readHeld() // the rest may have come without an event of its own, or meanwhile
	default:
		c.leave(data)
	}
}

// begin makes data a request for a worker, and the connection serving. false leaves data
// as it is; then size is that of the request of which data is the beginning, or 0.
func (c *Conn) begin(data []byte, more bool) (size int, ok bool) {
	head, err := Parse(data)
	switch {
	case c.listener.stopping():
		return 0, false
	case err == ErrIncomplete: //nolint:errorlint // the very value
		if a := c.listener.arrived(&head); a != nil {
			begin(a) // the handler is to see it now, not when the body is complete
			return 0, false
		}
		return head.Size, false
	case err != nil:
		return 0, false
	}
	arrival := c.nextArrival
	if arrival == nil {
		arrival = c.listener.arrived(&head)
	}
	c.nextArrival = nil
	c.beginParsed(&head, arrival, data[head.Size:], more)
	return head.Size, true
}

// beginParsed is begin for a request that was parsed. rest came behind it.
func (c *Conn) beginParsed(head *Head, arrival Arrival, rest []byte, more bool) {
	c.pipelined = nil
	if len(rest) > 0 {
		own := append([]byte(nil), rest...)
		c.pipelined = &own
	}
	if c.ctx == nil {
		c.remoteAddr = withZoneName(c.remote).String()
		c.ctx = &connContext{c.listener.connContextOf(c.fd), c}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.request, c.arrival = head.Request(ctx, c.remoteAddr), arrival
	c.answerBegun.Store(false)
	c.returned.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hadRequest {
		c.viaProxy = viaProxy(c.request.Header)
	}
	c.serving, c.hadRequest, c.cancelRequest, c.hasPipelined = true, true, cancel, c.pipelined != nil
	c.unread = c.unread || more
	if c.peerClosed {
		cancel() // net/http cancels on a half-close too
	}
}

// Run implements workers.Task: it serves the request that begin made, and those that
// came together with it.
func (c *Conn) Run() {
	for c.serveOne() {
	}
}

// serveOne reports whether the next request has begun.
func (c *Conn) serveOne() (next bool) {
	r := c.request
	w := NewResponse(c, r.Close)
	c.request = nil
	returned := false
	defer func() {
		if returned {
			return
		}
		// nil: the handler has ended this goroutine (runtime.Goexit).
		if v := recover(); v != nil && v != http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value
			c.listener.logf("http: panic serving %s: %v\n%s", c.remoteAddr, v, debug.Stack())
		}
		c.answered(w, false)
	}()
	c.listener.hs.Handler.ServeHTTP(w, r)
	returned = true
	c.returned.Store(!w.Hijacked()) // before the peer can have seen all of the answer
	return c.answered(w, w.Finish())
}

// answered ends a request. keep says that the connection may carry more. It reports
// whether the next request, which came together with this one, has begun; otherwise
// the connection is idle, and the loop's goroutine owns it.
func (c *Conn) answered(w *Response, keep bool) bool {
	begin(c.arrival) // if the handler did not get so far
	c.arrival = nil
	taken := w.Hijacked()
	w.Release()
	c.mu.Lock()
	cancel := c.cancelRequest
	c.cancelRequest, c.writeDeadline = nil, 0
	c.mu.Unlock()
	cancel()
	if taken {
		return false
	}
	if c.pipelined != nil && keep {
		if _, ok := c.begin(*c.pipelined, false); ok {
			return true
		}
	}
	if !keep {
		c.pipelined = nil
	}
	c.mu.Lock()
	if ahead := c.ahead; ahead != nil && keep {
		c.ahead = nil
		if ahead.unusual == nil {
			c.mu.Unlock()
			c.beginParsed(&ahead.head, ahead.arrival, ahead.rest, false)
			return true
		}
		c.pipelined = &ahead.unusual // for the loop to take
	}
	c.serving = false
	c.closing = !keep
	c.idleSince = time.Since(epoch)
	// The loop reads the end of the stream, because a request may be before it.
	wake := c.closing || c.pipelined != nil || c.unread || c.peerClosed || c.listener.stopping()
	wake = wake && !c.readingAhead // then readAhead looks
	c.unread = false
	c.mu.Unlock()
	if wake {
		c.listener.cfg.Loop.Wake(c)
	}
	return false
}

// expired reports whether the peer has had its time to send a request. The loop
// then closes the connection, or leaves what has come of the request to net/http.
func (c *Conn) expired(now time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		c.held.late = now-c.held.since >= heldTime
		return c.held.late
	}
	limit := c.listener.keepTime()
	switch {
	case !c.hadRequest:
		limit = c.listener.headerTimeout
	case c.viaProxy:
		limit = c.listener.idleTimeout
	}
	if c.serving || c.leftHTTP || c.detached || c.successor != nil || limit <= 0 || now-c.idleSince < limit {
		return false
	}
	c.closing = true
	return true
}
