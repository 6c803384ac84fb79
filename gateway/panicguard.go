package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"posthouse/internal/loglimit"

	"posthouse/internal/sleep"
)

// panicGuard keeps a panic in one task from ending the process: the panic is logged
// and counted, and the other connections of the replica live on. Every goroutine of the
// gateway runs below one. A nil guard logs to slog.Default and counts nothing.
type panicGuard struct {
	log     *slog.Logger
	metrics *metrics
	lines   loglimit.Keyed // by task: one may panic once a second
}

// guardedTasks are the tasks of the gateway, as labels.
var guardedTasks = []string{
	"login", "signup ping", "end", "react", "look", "poll", "spool", "senders", "keys", "development key", "eviction", "revoked tokens", "relay",
}

func newPanicGuard(m *metrics, log *slog.Logger) *panicGuard {
	return &panicGuard{log: log, metrics: m}
}

// runTask calls do; false when do panicked. task is a constant of the caller.
func (g *panicGuard) runTask(task string, do func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			g.reportPanic(task, v, debug.Stack())
		}
	}()
	do()
	return true
}

func (g *panicGuard) reportPanic(task string, v any, stack []byte) {
	if g == nil {
		slog.Default().Error("gateway: panic in a task", "task", task, "panic", fmt.Sprint(v), "stack", string(stack))
		return
	}
	g.metrics.panics.WithLabelValues(task).Inc()
	if held, ok := g.lines.Allow(task); ok {
		g.log.Error("gateway: panic in a task", "task", task, "panic", fmt.Sprint(v), "stack", string(stack), "not_logged", held)
	}
}

// restartPause lies between a panic of a background task and its next start.
const restartPause = time.Second

// keepRunning runs a background task that ends with ctx, and starts it again after a panic.
func (g *panicGuard) keepRunning(ctx context.Context, task string, do func(context.Context)) {
	for !g.runTask(task, func() { do(ctx) }) {
		if sleep.For(ctx, restartPause) != nil {
			return
		}
	}
}
