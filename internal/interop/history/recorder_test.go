package history_test

import (
	"slices"
	"sync"
	"time"

	"posthouse/internal/interop/history"
)

// recorder is the history of a run while it is written.
type recorder struct {
	begin time.Time

	mu      sync.Mutex // guards what follows
	entries []history.Entry
	last    int
}

// add appends an entry; its time is that of the call.
func (r *recorder) add(e history.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Since(r.begin)
	r.entries = append(r.entries, e)
}

// invoke appends the beginning of an operation and returns what ends it, once.
func (r *recorder) invoke(e history.Entry) (end func(phase history.Phase, fill func(*history.Entry))) {
	r.mu.Lock()
	r.last++
	e.ID = r.last
	r.mu.Unlock()
	e.Phase = history.Invoke
	r.add(e)
	return func(phase history.Phase, fill func(*history.Entry)) {
		e.Phase = phase
		if fill != nil {
			fill(&e)
		}
		r.add(e)
	}
}

func (r *recorder) snapshot() []history.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.entries)
}
