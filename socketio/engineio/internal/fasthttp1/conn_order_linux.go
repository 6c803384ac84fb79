//go:build linux && !goroutinereaders

package fasthttp1

import (
	"context"
	"net/http"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Workers start requests in any order; Config.Arrived learns the order in which the
// loop found them.

func (l *Listener) arrived(r *http.Request) Arrival {
	if l.cfg.Arrived == nil {
		return nil
	}
	return l.cfg.Arrived(r)
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

// peek looks at the request behind one whose answer has been written, while its
// worker has not finished yet: the next request has arrived now, before any that is
// found later. It runs on the loop's goroutine.
func (c *Conn) peek() {
	buf := netpoll.TakeReadBuffer()
	defer buf.Release()
	n, _, err := unix.Recvfrom(c.fd, buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil || n <= 0 {
		return
	}
	if head, err := Parse(buf[:n]); err == nil {
		c.nextArrival = c.listener.arrived(head.Request(c.listener.baseCtx, ""))
	}
}
