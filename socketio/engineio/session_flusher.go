package engineio

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// flushChunk is how many sessions a worker of the flusher takes at once: enough that
	// starting another worker costs little next to their writes, few enough that a room of
	// some hundred members occupies several cores.
	flushChunk = 32
	// gatherLimit bounds how long bursts that overlap hold up what is queued.
	gatherLimit = 5 * time.Millisecond
)

// flusher writes what SendSoon and bursts queued. One list of sessions serves all cores:
// the worker that takes sessions from it and leaves some starts another worker, up to one
// for each core. So a message to few sessions wakes one goroutine, and a large room all
// cores. The order within a session needs no worker of its own: frames are queued and
// written under Session.mu.
//
// While a burst is under way no worker begins: on several cores it would write the first
// message of a burst before the second one is queued. See gatherLimit.
type flusher struct {
	srv        *Server
	maxWorkers int          // GOMAXPROCS when the server was made
	bursts     atomic.Int32 // under way

	mu            sync.Mutex // guards what follows; taken alone
	dirtySessions []*Session // from head on; each session is in it once, see Session.inFlusher
	head          int
	dirtySince    time.Duration // of epoch: when the list was empty last
	workerCount   int
	gatherTimer   *time.Timer // calls start; nil: not made yet
	timerIsSet    bool
}

func newFlusher(srv *Server) *flusher {
	return &flusher{srv: srv, maxWorkers: runtime.GOMAXPROCS(0)}
}

// add appends sessions that have become dirty.
func (f *flusher) add(sessions ...*Session) {
	f.mu.Lock()
	if f.head == len(f.dirtySessions) {
		f.dirtySessions, f.head = f.dirtySessions[:0], 0
		f.dirtySince = time.Since(epoch)
	} else if f.head > 0 && len(f.dirtySessions)+len(sessions) > cap(f.dirtySessions) {
		rest := copy(f.dirtySessions, f.dirtySessions[f.head:])
		clear(f.dirtySessions[rest:])
		f.dirtySessions, f.head = f.dirtySessions[:rest], 0
	}
	f.dirtySessions = append(f.dirtySessions, sessions...)
	f.unlockAndStart()
}

// start starts the first worker if there is something to write.
func (f *flusher) start() {
	f.mu.Lock()
	f.unlockAndStart()
}

func (f *flusher) unlockAndStart() {
	begin := f.workerCount == 0 && f.head < len(f.dirtySessions) && !f.gathersLocked()
	if begin {
		f.workerCount++
	}
	f.mu.Unlock()
	if begin {
		f.startWorker()
	}
}

// gathersLocked reports whether writing has to wait for a burst, whose end, or the timer,
// calls start.
func (f *flusher) gathersLocked() bool {
	if f.bursts.Load() == 0 || time.Since(epoch)-f.dirtySince >= gatherLimit {
		return false
	}
	if !f.timerIsSet {
		f.timerIsSet = true
		if f.gatherTimer == nil {
			f.gatherTimer = time.AfterFunc(gatherLimit, f.gatherTimeout)
		} else {
			f.gatherTimer.Reset(gatherLimit)
		}
	}
	return true
}

func (f *flusher) gatherTimeout() {
	f.mu.Lock()
	f.timerIsSet = false
	f.unlockAndStart()
}

func (f *flusher) startWorker() {
	f.srv.track()
	f.srv.workers.Go(f)
}

// Run implements workers.Task: it is one worker.
func (f *flusher) Run() {
	defer f.srv.done()
	var chunk [flushChunk]*Session
	for n := f.take(chunk[:]); n > 0; n = f.take(chunk[:]) {
		for _, s := range chunk[:n] {
			s.flushDirty()
		}
	}
}

// take moves sessions into chunk, and starts another worker when some are left. 0 ends
// the worker.
func (f *flusher) take(chunk []*Session) (n int) {
	f.mu.Lock()
	if f.head < len(f.dirtySessions) && !f.gathersLocked() {
		n = copy(chunk, f.dirtySessions[f.head:])
		clear(f.dirtySessions[f.head : f.head+n])
		f.head += n
	}
	if n == 0 {
		f.workerCount--
	}
	another := n > 0 && f.head < len(f.dirtySessions) && f.workerCount < f.maxWorkers
	if another {
		f.workerCount++
	}
	f.mu.Unlock()
	if another {
		f.startWorker()
	}
	return n
}

func (s *Session) flushDirty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlusher = false
	switch {
	case s.state.Load() == stateClosed:
	case s.ws != nil:
		s.ws.writeWaiting()
	default:
		s.poll.flush()
	}
}
