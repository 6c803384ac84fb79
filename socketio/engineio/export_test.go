package engineio

import (
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio/engineio/internal/netpoll"
)

const raceEnabled = testenv.Race

// RaceEnabled tells tests that count allocations to look away.
func RaceEnabled() bool { return raceEnabled }

// HasLoops reports whether this build has event loops.
const HasLoops = netpoll.Supported

// UseGoroutineReaders makes a goroutine read each connection of srv, as on systems
// without event loops.
func UseGoroutineReaders(srv *Server) { srv.loopGroup = netpoll.Group{} }

// RequestConns returns how many connections the loop of requests has.
func RequestConns(srv *Server) int {
	l := srv.loopGroup.Ordered()
	if l == nil {
		return 0
	}
	return l.Len()
}

const LingerTime = lingerTime

// FlusherWorkers returns how many goroutines write what bursts queued.
func FlusherWorkers(srv *Server) int {
	srv.flusher.mu.Lock()
	defer srv.flusher.mu.Unlock()
	return srv.flusher.workerCount
}

// AwaitFlusher waits until everything that bursts queued has been written. It sleeps: a
// loop around runtime.Gosched would keep a core from taking work of the other one.
func AwaitFlusher(srv *Server) {
	for f := srv.flusher; ; time.Sleep(50 * time.Microsecond) {
		f.mu.Lock()
		idle := f.workerCount == 0 && f.head == len(f.dirtySessions)
		f.mu.Unlock()
		if idle {
			return
		}
	}
}
