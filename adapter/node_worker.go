package adapter

import "context"

// maxWaitingRequests bounds the requests of other nodes that wait to be answered.
const maxWaitingRequests = 1024

// worker answers requests of other nodes, in order, so that a long answer or a
// slow listener does not hold up the broadcasts that arrive behind it.
type worker struct {
	tasks chan func()
	stats *stats
}

func newWorker(st *stats) *worker {
	return &worker{tasks: make(chan func(), maxWaitingRequests), stats: st}
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
			task()
		case <-ctx.Done():
			return
		}
	}
}
