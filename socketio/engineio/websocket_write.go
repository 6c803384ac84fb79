package engineio

import (
	"errors"
	"fmt"
	"os"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

const (
	// writeChunk is what one blocking write may carry, and so what must leave
	// within Options.WriteTimeout.
	writeChunk = 64 << 10
	// lingerTime is how long a connection we have closed waits for the peer's
	// close frame, so that what we sent last is not lost to a TCP reset.
	lingerTime = 2 * time.Second
)

// startWriter leaves the rest of a write to whoever can wait for a slow peer.
func (st *stream) startWriter() {
	if st.writing {
		return
	}
	st.writing = true
	if st.loop != nil {
		st.limitStall()
		st.blocked.Store(true)
		// The edge may have come before the loop could know what it means.
		st.proceedWriting()
		return
	}
	st.s.srv.track()
	go st.writeLoop()
}

// proceedWriting is what the loop does when a slow peer has taken something.
func (st *stream) proceedWriting() {
	for st.writing && st.out.size > 0 {
		b, scratch := st.out.join()
		n, err := st.try(b)
		if scratch != nil {
			scratch.release()
		}
		switch {
		case err != nil:
			st.failed(err)
			return
		case n == 0:
			return
		}
		st.out.drop(n)
		st.limitStall()
	}
	if st.writing {
		st.endWriting()
		st.drained()
	}
}

// limitStall bounds the time until the next byte leaves.
func (st *stream) limitStall() {
	if st.stall != nil {
		st.stall.Stop()
	}
	d := st.s.srv.o.WriteTimeout
	if d <= 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		if st.stall == t && st.writing && !st.closed {
			st.stalled(os.ErrDeadlineExceeded)
		}
	})
	st.stall = t
}

func (st *stream) endWriting() {
	st.writing = false
	st.blocked.Store(false)
	if st.stall != nil {
		st.stall.Stop()
		st.stall = nil
	}
}

// writeLoop writes what waits until nothing does. The server counts it; a write
// deadline or the closing of the connection ends it.
func (st *stream) writeLoop() {
	defer st.s.srv.done()
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for !st.closed && st.out != nil && st.out.size > 0 {
		o := st.out
		st.out, st.flight = nil, o.size
		s.mu.Unlock()
		err := st.writeAll(o)
		s.mu.Lock()
		st.flight = 0
		if err != nil {
			o.release()
			st.writing = false
			st.stalled(err)
			return
		}
		s.runAfterFlush(o.after)
		o.release()
	}
	st.writing = false
	if !st.closed {
		st.drained()
	}
}

// stalled ends a stream whose writes fail: by the deadline when the peer takes
// nothing, otherwise because it is gone.
func (st *stream) stalled(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) && !st.over && st.s.stream == st {
		st.s.endLocked(ReasonTransportError, fmt.Errorf("%w: %w", ErrSlow, err))
		return
	}
	st.failed(err)
}

func (st *stream) writeAll(o *outbox) error {
	for o.size > 0 {
		b, scratch := o.join()
		b = b[:min(len(b), writeChunk)]
		if d := st.s.srv.o.WriteTimeout; d > 0 {
			if err := st.conn.SetWriteDeadline(time.Now().Add(d)); err != nil {
				return err
			}
		}
		n, err := st.conn.Write(b)
		if scratch != nil {
			scratch.release()
		}
		if err != nil {
			return err
		}
		o.drop(n)
	}
	return nil
}

// shut ends the stream. What waits and a close frame may still leave, for as long
// as the stream lingers; of a peer that is too slow nothing is kept.
func (st *stream) shut(reason Reason, description error) {
	if st.over {
		return
	}
	st.over = true
	if !st.begun {
		return // start will see it
	}
	if errors.Is(description, ErrSlow) {
		st.hangUp()
		return
	}
	st.corked = false
	o := st.box()
	if !st.parted {
		code := 0
		if e, ok := errors.AsType[*ws.Error](description); ok {
			code = e.Code
		}
		o.setTail(ws.AppendClose(o.tail(), code, ""))
	}
	if st.writing {
		st.startLinger()
		return
	}
	st.flush()
}

// farewell follows the last write of a stream that is over.
func (st *stream) farewell() {
	if st.parted {
		st.hangUp()
		return
	}
	st.startLinger()
}

func (st *stream) startLinger() {
	if st.linger != nil || st.closed {
		return
	}
	st.linger = time.AfterFunc(lingerTime, func() {
		st.s.mu.Lock()
		defer st.s.mu.Unlock()
		st.hangUp()
	})
}
