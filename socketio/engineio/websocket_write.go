package engineio

import (
	"errors"
	"net"
	"os"
	"time"
)

const (
	// writeChunk is what one blocking write may carry. Of a connection without a
	// descriptor (TLS) that is what must leave within Options.WriteTimeout, since
	// nothing tells how much of a write has left: no more than a TLS record.
	writeChunk = 16 << 10
)

// startWriter leaves the rest of a write to the loop, or to a goroutine, which can wait
// for a slow peer.
func (st *wsTransport) startWriter() {
	if st.writePending {
		return
	}
	st.writePending = true
	if st.loop != nil {
		st.limitStall()
		st.writeBlocked.Store(true)
		// The edge may have come before the loop could know what it means.
		st.proceedWriting()
		return
	}
	st.s.srv.track()
	go st.writeLoop()
}

// proceedWriting is what the loop does when a slow peer has taken something.
func (st *wsTransport) proceedWriting() {
	for st.writePending && st.sendBuf.totalBytes > 0 {
		b, scratch := st.sendBuf.join(bufferKeep)
		n, err := st.tryWrite(b)
		if scratch != nil {
			scratch.release()
		}
		switch {
		case err != nil:
			st.fail(err)
			return
		case n == 0:
			return
		}
		st.sendBuf.drop(n)
		st.limitStall()
	}
	st.weigh()
	if st.writePending {
		st.endWriting()
		st.drained()
	}
}

// limitStall bounds the time until the next byte leaves.
func (st *wsTransport) limitStall() {
	if st.stallTimer != nil {
		st.stallTimer.Stop()
	}
	d := st.s.srv.o.WriteTimeout
	if d <= 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		if st.stallTimer == t && st.writePending && !st.isClosed {
			st.stalled(os.ErrDeadlineExceeded)
		}
	})
	st.stallTimer = t
}

func (st *wsTransport) endWriting() {
	st.writePending = false
	st.writeBlocked.Store(false)
	if st.stallTimer != nil {
		st.stallTimer.Stop()
		st.stallTimer = nil
	}
}

// writeLoop writes what waits until nothing does. The server counts it; a write
// deadline or the closing of the connection ends it.
func (st *wsTransport) writeLoop() {
	defer st.s.srv.done()
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for !st.isClosed && st.sendBuf != nil && st.sendBuf.totalBytes > 0 {
		o := st.sendBuf
		st.sendBuf, st.inFlight = nil, o.totalBytes
		if err := st.writeAll(o); err != nil {
			st.writePending = false
			st.stalled(err)
			st.inFlight = 0
			o.release()
			return
		}
		s.runAfterFlush(o.afterFlush)
		o.release()
	}
	st.writePending = false
	if !st.isClosed {
		st.drained()
	}
}

// stalled ends a transport whose writes fail: by the deadline when the peer takes
// nothing, otherwise because it is gone.
func (st *wsTransport) stalled(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) && !st.closing && st.s.ws == st {
		st.s.slowLocked("Options.WriteTimeout, in which it took nothing", err)
		return
	}
	st.fail(err)
}

// writeAll writes o. It is called with mu, which is not held during the writes.
func (st *wsTransport) writeAll(o *sendBuffer) error {
	for o.totalBytes > 0 {
		if st.isClosed {
			return net.ErrClosed
		}
		if d := st.s.srv.o.WriteTimeout; d > 0 {
			if err := st.conn.SetWriteDeadline(time.Now().Add(d)); err != nil {
				return err
			}
		}
		b, scratch := o.join(writeChunk)
		st.s.mu.Unlock()
		n, err := st.conn.Write(b[:min(len(b), writeChunk)])
		if scratch != nil {
			scratch.release()
		}
		st.s.mu.Lock()
		if n > 0 && st.fd >= 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // the kernel took a part, and the rest may follow
		}
		if err != nil {
			return err
		}
		o.drop(n)
		st.inFlight = o.totalBytes
		st.weigh()
	}
	return nil
}

// weigh notes that the peer has taken something.
func (st *wsTransport) weigh() {
	if st.s.ws == st && (st.s.backlog != nil || st.s.flushFrom != 0) {
		st.s.updateBacklogLocked()
	}
}
