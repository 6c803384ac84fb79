//go:build linux && !goroutinereaders

package fasthttp1

import (
	"bytes"
	"context"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Workers start requests in any order; Config.Arrived learns the order in which the
// loop found them.

func (l *Listener) arrived(h *Head) Arrival {
	if l.cfg.Arrived == nil || h.header["Upgrade"] != nil {
		return nil
	}
	return l.cfg.Arrived(h.Path, h.query())
}

// connContext is the context of a connection, which knows the arrival of the
// request that is served.
type connContext struct {
	context.Context
	c *Conn
}

// Value implements context.Context.
func (ctx *connContext) Value(key any) any {
	if key == ctx.c.listener.cfg.ArrivalKey {
		return ctx.c.arrival
	}
	return ctx.Context.Value(key)
}

// requestAhead is a request that the loop has read while the worker of the one before
// it had not finished.
type requestAhead struct {
	head    Head
	arrival Arrival
	rest    []byte // what came behind it
	unusual []byte // nil, or what is no request for a worker yet: the rest is not set then
}

// readAhead reads the request behind one whose handler has returned: it has arrived
// now, before any that is found later. The worker, which only has to finish, goes on
// with it; when it has finished by then, this goroutine does, as the owner of an idle
// connection. It runs on the loop's goroutine.
func (c *Conn) readAhead() {
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	n, err := netpoll.ReadFD(c.fd, buf[:])
	data, more := buf[:n], n == len(buf) || err != nil
	var next *requestAhead
	if head, err := Parse(data); err == nil {
		next = &requestAhead{head: head, arrival: c.listener.arrived(&head), rest: bytes.Clone(data[head.Size:])}
	} else if n > 0 {
		next = &requestAhead{unusual: bytes.Clone(data)}
	}
	c.mu.Lock()
	c.readingAhead = false
	c.unread = c.unread || more
	if c.serving {
		c.ahead = next
		c.mu.Unlock()
		return
	}
	closing := c.closing
	c.unread = false
	c.mu.Unlock()
	switch {
	case next == nil:
		c.handle(0, true)
	case closing:
		begin(next.arrival)
		c.handle(0, true)
	case next.unusual != nil:
		c.take(next.unusual, more)
	default:
		c.beginParsed(&next.head, next.arrival, next.rest, more)
		c.listener.cfg.Workers.Go(c)
	}
}

// peek looks at the request behind one whose answer has been written, while its handler
// has not returned and may still take the connection: the request has arrived now,
// before any that is found later. It runs on the loop's goroutine.
func (c *Conn) peek() {
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	n, _, err := unix.Recvfrom(c.fd, buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil || n <= 0 {
		return
	}
	if head, err := Parse(buf[:n]); err == nil {
		c.nextArrival = c.listener.arrived(&head)
	}
}
