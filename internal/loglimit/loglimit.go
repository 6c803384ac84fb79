// Package loglimit keeps repeated log lines from filling a disk: a line that many
// clients can cause is written a few times per interval, with the number of those left
// out.
package loglimit

import (
	"cmp"
	"sync"
	"time"
)

// Interval is the default time between two lines.
const Interval = 10 * time.Second

// Limiter lets the first lines of an interval through. The zero value lets one line per
// Interval through. A Limiter is safe for concurrent use.
type Limiter struct {
	Every time.Duration // the length of an interval; 0 is Interval
	Burst int           // lines of an interval; 0 is 1

	mu     sync.Mutex // guards window
	window window
}

// Allow reports whether a line may be written now, and how many lines were left out
// since the one before.
func (l *Limiter) Allow() (held int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.window.allow(time.Now(), cmp.Or(l.Every, Interval), max(l.Burst, 1))
}

// Keyed is a Limiter of one line per interval for each of several kinds of lines. The
// zero value is ready; a Keyed is safe for concurrent use.
type Keyed struct {
	Every   time.Duration // the length of an interval; 0 is Interval
	MaxKeys int           // keys that have lines within one interval; 0 is 64

	mu      sync.Mutex // guards the fields below
	windows map[string]*window
	unkeyed int64 // lines left out of keys that are not in windows
}

// Allow reports whether a line of this kind may be written now, and how many lines were
// left out since the one before: of this kind, and of kinds that had no place.
func (k *Keyed) Allow(key string) (held int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, every := time.Now(), cmp.Or(k.Every, Interval)
	w := k.windows[key]
	if w == nil {
		if w = k.addLocked(key, now, every); w == nil {
			k.unkeyed++
			return 0, false
		}
	}
	if held, ok = w.allow(now, every, 1); ok {
		held += k.unkeyed
		k.unkeyed = 0
	}
	return held, ok
}

// addLocked makes place for a key, if need be of keys whose interval is over; nil when
// there is none.
func (k *Keyed) addLocked(key string, now time.Time, every time.Duration) *window {
	if k.windows == nil {
		k.windows = map[string]*window{}
	}
	limit := cmp.Or(k.MaxKeys, 64)
	if len(k.windows) >= limit {
		for old, w := range k.windows {
			if now.Sub(w.start) >= every {
				k.unkeyed += w.held
				delete(k.windows, old)
			}
		}
		if len(k.windows) >= limit {
			return nil
		}
	}
	w := new(window)
	k.windows[key] = w
	return w
}

// window is an interval in which lines are counted.
type window struct {
	start   time.Time // of the interval; zero before the first line
	written int
	held    int64 // lines left out since the last one that was written
}

func (w *window) allow(now time.Time, every time.Duration, burst int) (held int64, ok bool) {
	if w.start.IsZero() || now.Sub(w.start) >= every {
		w.start, w.written = now, 0
	}
	if w.written >= burst {
		w.held++
		return 0, false
	}
	w.written++
	held, w.held = w.held, 0
	return held, true
}
