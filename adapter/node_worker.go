package adapter

import (
	"context"
	"log/slog"
)

// maxWaitingRequests bounds the requests of other nodes that wait to be answered.
const maxWaitingRequests = 1024

// requestWorker answers requests of other nodes, in order, so that a long answer or a
// slow listener does not hold up the broadcasts that arrive behind it.
type requestWorker struct {
	tasks chan func()
	stats *counters
	log   *slog.Logger
}

func newWorker(st *counters, log *slog.Logger) *requestWorker {
	return &requestWorker{tasks: make(chan func(), maxWaitingRequests), stats: st, log: log}
}

// queueTask queues task, or drops it when too many wait: whoever asked will time out.
func (w *requestWorker) queueTask(task func()) {
	select {
	case w.tasks <- task:
	default:
		w.stats.requestsLost.Add(1)
	}
}

func (w *requestWorker) run(ctx context.Context) {
	for {
		select {
		case task := <-w.tasks:
			w.performTask(task)
		case <-ctx.Done():
			return
		}
	}
}

func (w *requestWorker) performTask(task func()) {
	defer recoverMessage(w.stats, w.log, "request")
	task()
}
