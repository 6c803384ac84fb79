package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// idealServer answers events on the core of another server, one after the other, and takes
// the same time for each. It shares memory with the generator, so that there is no kernel, no
// connection and no garbage between them: what its events wait for is the queue of that load,
// and the machine, which takes the processors away now and then. No server of that cost can
// do better.
type idealServer struct {
	service time.Duration

	asked, answered atomic.Uint64
	taken           uint64 // of the answers, by the generator
	clock           func() time.Duration

	stopping atomic.Bool
	ended    sync.WaitGroup
}

// startIdeal starts one on core, beside the generator's own.
func startIdeal(core int, service time.Duration, clock func() time.Duration) *idealServer {
	s := &idealServer{service: service, clock: clock}
	processors := runtime.GOMAXPROCS(2)
	pinned := make(chan struct{})
	s.ended.Go(func() {
		defer runtime.GOMAXPROCS(processors)
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		_ = PinThread(0, core) // a test may run where there is one core only
		close(pinned)
		s.serve()
	})
	<-pinned
	return s
}

func (s *idealServer) serve() {
	for done := uint64(0); !s.stopping.Load(); {
		if done == s.asked.Load() {
			continue
		}
		for end := s.clock() + s.service; s.clock() < end; { //nolint:revive // it works, that is, spins
		}
		done++
		s.answered.Store(done)
	}
}

func (s *idealServer) stop() {
	s.stopping.Store(true)
	s.ended.Wait()
}

// send implements line.
func (s *idealServer) send(int) error {
	s.asked.Add(1)
	return nil
}

// receive implements line.
func (s *idealServer) receive(until time.Duration, got func(i int)) error {
	for {
		all := s.answered.Load()
		if s.taken < all {
			for ; s.taken < all; s.taken++ {
				got(int(s.taken))
			}
			return nil
		}
		if s.clock() >= until {
			return nil
		}
	}
}

// pending implements line.
func (s *idealServer) pending() int { return int(s.asked.Load() - s.taken) }
