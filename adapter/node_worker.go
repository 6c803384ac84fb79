package adapter

import (
	"context"
	"log/slog"
)

// maxWaitingRequests bounds the requests of other nodes that wait to be answered.
const maxWaitingRequests = 1024

// worker answers requests of other nodes, in order, so that a long answer or a
// slow listener does not hold up the broadcasts that arrive behind it.
type worker struct {
	tasks chan func()
	stats *stats
	log   *slog.Logger
}

func newWorker(st *stats, log *slog.Logger) *worker {
	return &worker{tasks: make(chan func(), maxWaitingRequests), stats: st, log: log}
}

// do queues task, or drops it when too many wait: whoever asked will time out.
func (w *worker) do(task func()) {
	select {
	case w.tasks <- task:
	default:
		w.stats.requestsLost.Add(1)
	}
}

func (w *worker) run(ctx context.Context) {
	for {
		select {
		case task := <-w.tasks:
			w.perform(task)
		case <-ctx.Done():
			return
		}
	}
}

func (w *worker) perform(task func()) {
	defer recoverMessage(w.stats, w.log, "request")
	task()
}
