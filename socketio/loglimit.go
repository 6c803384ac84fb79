package socketio

import (
	"sync"
	"time"
)

// logLimit bounds the lines of one kind that clients can cause: logLines within
// logInterval. The next line that passes tells how many did not.
type logLimit struct {
	mu            sync.Mutex // guards the fields below
	intervalStart time.Time  // when the interval began
	linesWritten  int        // written within it
	suppressed    int        // since the last line
}

const (
	logLines    = 10
	logInterval = 10 * time.Second
)

// allow reports whether a line may be written now, and how many were suppressed
// before it.
func (l *logLimit) allow() (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.intervalStart) >= logInterval {
		l.intervalStart, l.linesWritten = now, 0
	}
	if l.linesWritten++; l.linesWritten > logLines {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
