// Package loglimit keeps repeated log lines from filling a disk: a line that many
// clients can cause is written once per interval, with the number of those left out.
package loglimit

import (
	"sync/atomic"
	"time"
)

// Interval is the time between two lines of one Limiter.
const Interval = 10 * time.Second

// Limiter lets one line per Interval through. The zero value is ready to use, and
// safe for concurrent use.
type Limiter struct {
	last atomic.Int64 // ns of the wall clock, 0: no line was written
	held atomic.Int64 // lines left out since
}

// Allow reports whether a line may be written now, and how many lines were left out
// since the one before.
func (l *Limiter) Allow() (held int64, ok bool) {
	now, last := time.Now().UnixNano(), l.last.Load()
	// A clock that was set back ends the interval too.
	if last != 0 && now >= last && now-last < int64(Interval) || !l.last.CompareAndSwap(last, now) {
		l.held.Add(1)
		return 0, false
	}
	return l.held.Swap(0), true
}
