package socketio

import (
	"sync/atomic"
	"time"
)

// watch calls a function when something that has begun does not end in time. Its
// timer is left running when it does: what begins and ends within microseconds, and
// often, costs two stores instead of two operations on timers.
type watch struct {
	began atomic.Int64 // ns since epoch, doubled and odd; 0: nothing is under way
	armed atomic.Bool  // the timer runs
	timer *time.Timer
}

var epoch = time.Now()

// begin starts over. Calls of begin and end come one at a time.
func (w *watch) begin(limit time.Duration, late func()) {
	w.began.Store(int64(time.Since(epoch))<<1 | 1) // never 0
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
		w.look(limit, late)
	})
	close(ready)
}

func (w *watch) end() {
	if w.began.Load() != 0 {
		w.began.Store(0)
	}
}

// look is called when the time of some beginning is over.
func (w *watch) look(limit time.Duration, late func()) {
	began := w.began.Load()
	if began == 0 {
		w.armed.Store(false)
		if began = w.began.Load(); began == 0 || w.armed.Swap(true) {
			return // nothing, or begin has armed it meanwhile
		}
	}
	if left := limit - (time.Since(epoch) - time.Duration(began>>1)); left > 0 {
		w.timer.Reset(left)
		return
	}
	late()
}
