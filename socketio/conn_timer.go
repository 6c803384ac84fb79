package socketio

import (
	"sync/atomic"
	"time"
)

// lazyTimer calls a function when something that has begun does not end in time. Its
// timer is left running when it does: what begins and ends within microseconds, and
// often, costs two stores instead of two operations on timers.
type lazyTimer struct {
	beganAt atomic.Int64 // ns since epoch, doubled and odd; 0: nothing is under way
	armed   atomic.Bool  // the timer runs
	timer   *time.Timer
}

var epoch = time.Now()

// begin starts over. Calls of begin and end come one at a time.
func (w *lazyTimer) begin(limit time.Duration, late func()) {
	w.beganAt.Store(int64(time.Since(epoch))<<1 | 1) // never 0
	if w.armed.Swap(true) {
		return
	}
	if w.timer != nil {
		w.timer.Reset(limit)
		return
	}
	ready := make(chan struct{})
	w.timer = time.AfterFunc(limit, func() {
		<-ready // timer is set
		w.checkDeadline(limit, late)
	})
	close(ready)
}

func (w *lazyTimer) end() {
	if w.beganAt.Load() != 0 {
		w.beganAt.Store(0)
	}
}

// checkDeadline is called when the time of some beginning is over.
func (w *lazyTimer) checkDeadline(limit time.Duration, late func()) {
	began := w.beganAt.Load()
	if began == 0 {
		w.armed.Store(false)
		if began = w.beganAt.Load(); began == 0 || w.armed.Swap(true) {
			return // nothing, or begin has armed it meanwhile
		}
	}
	if left := limit - (time.Since(epoch) - time.Duration(began>>1)); left > 0 {
		w.timer.Reset(left)
		return
	}
	late()
}
