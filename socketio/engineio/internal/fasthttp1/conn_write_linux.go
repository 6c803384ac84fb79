//go:build linux && !goroutinereaders

package fasthttp1

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// errPeerStalled is for answers that a peer does not take.
var errPeerStalled = errors.New("engineio: peer takes no answer")

// WriteAll implements ResponseConn. It waits for a slow peer, on the worker's
// goroutine.
func (c *Conn) WriteAll(b []byte) error {
	c.answerBegun.Store(true) // before the peer can have seen any of it
	n, err := netpoll.WriteFD(c.fd, b)
	if err != nil || n == len(b) {
		return err
	}
	writable, deadline := c.beginWait()
	defer c.endWait()
	limit := c.listener.cfg.WriteTimeout
	stalled := time.NewTimer(limit)
	defer stalled.Stop()
	var late <-chan time.Time
	if deadline != 0 {
		timer := time.NewTimer(deadline - time.Since(epoch))
		defer timer.Stop()
		late = timer.C
	}
	for b = b[n:]; ; b = b[n:] {
		// The edge may have come before writable was set: try first.
		if n, err = netpoll.WriteFD(c.fd, b); err != nil || n == len(b) {
			return err
		}
		if n > 0 {
			stalled.Reset(limit)
		}
		select {
		case <-writable:
		case <-stalled.C:
			resetOnClose(c.fd)
			return errPeerStalled
		case <-late:
			resetOnClose(c.fd)
			return os.ErrDeadlineExceeded
		}
	}
}

// beginWait makes the loop tell when the peer has taken something.
func (c *Conn) beginWait() (writable <-chan struct{}, deadline time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writable = make(chan struct{}, 1)
	return c.writable, c.writeDeadline
}

func (c *Conn) endWait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writable = nil
}

// resetOnClose keeps the kernel from holding what the peer did not take, megabytes of
// it and for minutes, behind a descriptor that is closed.
func resetOnClose(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) //nolint:errcheck // then it is held
}

// SetWriteDeadline implements ResponseConn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	deadline := time.Duration(0)
	if !t.IsZero() {
		deadline = t.Sub(epoch)
		if deadline == 0 { // which would mean none
			deadline = 1
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeDeadline = deadline
	return nil
}
