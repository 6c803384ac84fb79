package adapter

import (
	"sync/atomic"
	"time"
)

// logLimit lets a repeated log line through once per ten seconds.
type logLimit struct{ last atomic.Int64 }

func (l *logLimit) allow() bool {
	now := time.Now().UnixNano()
	last := l.last.Load()
	if last != 0 && now-last < int64(10*time.Second) {
		return false
	}
	return l.last.CompareAndSwap(last, now)
}
