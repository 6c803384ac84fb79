//go:build linux && !goroutinereaders

package fasthttp1

import (
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Many clients write the head of a request and its body one after the other, or a large
// body in pieces, so that a read finds the beginning only. This file holds it until the
// rest has come. Requests that have an order (Config.Arrived) are not held: a handler has to
// know of them before their body is there, to refuse a second one, or to see that one broke off.

const (
	// maxHeld is how many requests of a listener are held, in a buffer each. net/http gets
	// the others, as it gets those that do not fit into a buffer.
	maxHeld = 256
	// heldTime is how long a request is held: the rest of a body that was sent at once is
	// there by then. net/http and its handlers go on with a slow one, and with their limits.
	heldTime = time.Second
)

// heldRequest is the beginning of a request. It is owned by the loop's goroutine, but for
// late, which Conn.mu guards.
type heldRequest struct {
	buf   *netpoll.ReadBuffer
	n     int // bytes that have come
	size  int // bytes of the whole request
	since time.Duration
	late  bool // net/http is to go on with it
}

// hold keeps data, the beginning of a request of size bytes, until the rest comes; false
// if it cannot.
func (c *Conn) hold(data []byte, size int) (ok bool) {
	if size == 0 || size > len(netpoll.ReadBuffer{}) || c.listener.heldCount == maxHeld {
		return false
	}
	h := &heldRequest{buf: netpoll.TakeReadBuffer(), n: len(data), size: size, since: time.Since(epoch)}
	copy(h.buf[:], data)
	c.setHeld(h)
	c.listener.heldCount++
	return true
}

func (c *Conn) setHeld(h *heldRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = h
}

// readHeld reads what is missing of the request that is held, and takes it when it is
// complete.
func (c *Conn) readHeld() {
	h := c.held
	room := h.buf[h.n:]
	n, err := netpoll.ReadFD(c.fd, room)
	h.n += n
	switch {
	case err != nil:
		c.failed()
	case h.n >= h.size:
		c.releaseHeld(func(data []byte) { c.take(data, n == len(room)) })
	}
}

// leaveHeld gives net/http the request that is held.
func (c *Conn) leaveHeld() { c.releaseHeld(c.leave) }

// dropHeld forgets the request that is held, if any.
func (c *Conn) dropHeld() {
	if c.held != nil {
		c.releaseHeld(func([]byte) {})
	}
}

// releaseHeld ends the holding; next gets what has come.
func (c *Conn) releaseHeld(next func(data []byte)) {
	h := c.held
	defer h.buf.Release()
	c.setHeld(nil)
	c.listener.heldCount--
	next(h.buf[:h.n])
}
