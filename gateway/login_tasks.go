package gateway

import (
	"context"
	"sync"
)

// taskGroup counts goroutines that come and go, so that their owner can wait for them.
// The zero value is ready.
type taskGroup struct {
	panicGuard *panicGuard // nil logs to slog.Default

	mu     sync.Mutex // guards what follows
	count  int
	closed bool
	idle   chan struct{} // closed when count reaches 0; nil when nobody waits
}

// start runs do on a goroutine; false when the group is closed.
func (g *taskGroup) start(do func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.count++
	go func() { // ends with do; wait waits for it
		defer g.done()
		g.panicGuard.runTask("login", do)
	}()
	return true
}

func (g *taskGroup) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count--; g.count == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// close refuses new tasks.
func (g *taskGroup) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// wait returns when no task runs, or ctx ends.
func (g *taskGroup) wait(ctx context.Context) {
	g.mu.Lock()
	if g.count == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
