// Package workers runs short tasks on goroutines that stay for the next ones.
//
// A new goroutine begins with a small stack, which the first handler makes grow:
// copying it costs more than everything else about starting one. A worker keeps
// the stack it has got. Every task has a goroutine of its own at once, so that one
// that blocks holds up no other: the pool bounds how many workers wait for work, not
// how many work.
package workers

import (
	"sync"
	"time"
)

// Task is something to be done.
type Task interface{ Run() }

// Pool starts tasks. The zero value is ready to use. Its workers end by themselves
// within half a second when nothing is left to do, and at once after Close.
type Pool struct {
	mu     sync.Mutex // guards what follows
	idle   []*worker  // the last one comes first: its stack is in the caches
	spare  int        // workers that were idle all the time since trim looked
	timer  *time.Timer
	closed bool
}

type worker struct{ tasks chan Task }

const (
	// maxIdle bounds what a burst leaves behind.
	maxIdle = 256
	// patience is how often workers that had nothing to do are let go. A worker keeps
	// 4 to 16 KiB of stack: after a burst of handshakes that is more than what the
	// connections themselves keep.
	patience = 250 * time.Millisecond
)

// Go runs t on a goroutine. It does not wait for it.
func (p *Pool) Go(t Task) {
	p.mu.Lock()
	n := len(p.idle)
	if n == 0 {
		p.mu.Unlock()
		w := &worker{make(chan Task, 1)}
		go p.work(w, t)
		return
	}
	w := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	p.spare = min(p.spare, n-1)
	p.mu.Unlock()
	w.tasks <- t // it waits, or is about to
}

func (p *Pool) work(w *worker, t Task) {
	for ok := true; ok; t, ok = <-w.tasks {
		t.Run()
		if !p.rest(w) {
			return
		}
	}
}

// rest puts w among the idle ones, if there is room.
func (p *Pool) rest(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= maxIdle {
		return false
	}
	p.idle = append(p.idle, w)
	if p.timer == nil {
		p.timer = time.AfterFunc(patience, p.trim)
	}
	return true
}

// trim lets those go that were idle all the time since it last looked.
func (p *Pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.dismiss(p.spare)
	p.spare = len(p.idle)
	if len(p.idle) == 0 {
		p.timer = nil
		return
	}
	p.timer.Reset(patience)
}

// dismiss ends the n workers that have been idle for longest.
func (p *Pool) dismiss(n int) {
	for _, w := range p.idle[:n] {
		close(w.tasks)
	}
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
}

// Close ends the workers: those that wait now, the others behind their task. Tasks
// may still be started; they just get goroutines of their own.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.dismiss(len(p.idle))
}
