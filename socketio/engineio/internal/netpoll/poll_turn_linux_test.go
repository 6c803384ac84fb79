//go:build linux && !goroutinereaders

package netpoll_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// starter is a handler that starts a goroutine at its first event, as a message does.
type starter struct {
	begun   bool
	started *int          // of all starters; the loop's
	ran     *atomic.Int64 // how many goroutines have
	enough  int
	atLast  chan<- int64 // gets ran when enough have been started
}

func (h *starter) Ready(netpoll.Events) bool {
	if h.begun {
		return false
	}
	h.begun = true
	if *h.started++; *h.started == h.enough {
		h.atLast <- h.ran.Load()
	}
	go h.ran.Add(1)
	return false
}

func (h *starter) Woken() bool { return false }

// While more descriptors are ready than the loop takes at once, the goroutines of the first
// handlers run before the last handlers are called.
func TestLoop_ManyReady_HandlersGoroutinesRunBetween(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := newRig()
	l := g.Ordered()
	gate := newRecorder(t)
	if err := l.Add(gate.fd, gate); err != nil {
		t.Fatal(err)
	}
	const many = 1000
	var ran atomic.Int64
	atLast := make(chan int64, 1)
	var fds []int
	gate.next(t, "ready", func() bool { // the loop is here until all are ready
		started := 0
		for range many {
			fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Error(err)
				return false
			}
			fds = append(fds, fd)
			h := &starter{started: &started, ran: &ran, enough: many, atLast: atLast}
			if err := l.Add(fd, h); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if n := <-atLast; n < many/4 {
		t.Errorf("%d of %d goroutines have run when the last handler is called", n, many)
	}
	l.Wake(leaver{l, append(fds, gate.fd)})
	g.running.Wait()
	unix.Close(gate.peer)
}

// leaver takes descriptors from their loop.
type leaver struct {
	loop *netpoll.Loop
	fds  []int
}

func (h leaver) Ready(netpoll.Events) bool { return false }

func (h leaver) Woken() bool {
	for _, fd := range h.fds {
		h.loop.Remove(fd)
		unix.Close(fd)
	}
	return false
}
