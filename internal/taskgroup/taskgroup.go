// Package taskgroup counts tasks that come and go, so that their owner can refuse new
// ones and wait for those under way. A sync.WaitGroup cannot be waited for while it may
// still grow, nor with a context.
package taskgroup

import (
	"context"
	"sync"
)

// Group counts tasks. The zero value is open and empty; it is safe for concurrent use.
type Group struct {
	mu        sync.Mutex // guards the fields below
	taskCount int
	isClosed  bool
	idle      chan struct{} // closed when taskCount reaches 0; nil when no caller waits
}

// Add counts one task, for which the caller calls Done. It reports false when the group
// is closed.
func (g *Group) Add() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isClosed {
		return false
	}
	g.taskCount++
	return true
}

// Done ends a task that Add has counted.
func (g *Group) Done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taskCount--; g.taskCount == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Go runs a task on a goroutine of its own. It reports false when the group is closed.
func (g *Group) Go(task func()) bool {
	if !g.Add() {
		return false
	}
	go func() { // ends with task; Wait waits for it
		defer g.Done()
		task()
	}()
	return true
}

// Close refuses new tasks.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isClosed = true
}

// Wait returns nil at a moment without tasks, or the cause of the end of ctx when that
// comes first.
func (g *Group) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.taskCount == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
