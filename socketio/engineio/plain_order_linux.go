//go:build linux && !goroutinereaders

package engineio

import (
	"context"
	"strings"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/fasthttp1"
)

// The requests of a session begin in the order in which the loop finds them: see
// arrival.

// connContext is the context of a connection, which knows the arrival of the
// request that is served.
type connContext struct {
	context.Context
	c *plainConn
}

// Value implements context.Context.
func (ctx *connContext) Value(key any) any {
	if key == (arrivalKey{}) {
		return ctx.c.arrival
	}
	return ctx.Context.Value(key)
}

// peek looks at the request behind one whose answer has been written, but which is
// not over in our books: it has arrived now, before any that is found later.
func (c *plainConn) peek() {
	buf := readBuffers.Get().(*readBuffer)
	defer readBuffers.Put(buf)
	n, _, err := unix.Recvfrom(c.fd, buf[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err != nil || n <= 0 {
		return
	}
	head, err := fasthttp1.Parse(buf[:n])
	if err == nil && strings.HasPrefix(head.Path, c.front.srv.o.Path) {
		c.early = c.front.srv.arrive(head.Request(c.front.ctx, ""))
	}
}
