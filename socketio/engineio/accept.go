package engineio

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// The waits of an accept loop that has no descriptors: the first, and the longest.
	// It is short, because no event tells when a descriptor is free again.
	firstRetry   = 5 * time.Millisecond
	longestRetry = 100 * time.Millisecond
	// shortageLog is how often a shortage is logged at most.
	shortageLog = time.Minute
)

// shortage is the state of an accept loop that cannot accept.
type shortage struct {
	pause  time.Duration
	logged time.Time
}

func (s *shortage) over() { s.pause = 0 }

// wait waits until it is time to try again; false when done is closed.
func (s *shortage) wait(log *slog.Logger, err error, done <-chan struct{}) bool {
	if now := time.Now(); s.logged.IsZero() || now.Sub(s.logged) >= shortageLog {
		s.logged = now
		log.Error("engineio: new connections cannot be accepted and wait", "error", err,
			"fix", "raise the number of open files (ulimit -n, or LimitNOFILE of the service)")
	}
	s.pause = min(max(2*s.pause, firstRetry), longestRetry)
	timer := time.NewTimer(s.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// patientListener waits for descriptors in net/http's place, which tries again once a
// second only.
type patientListener struct {
	net.Listener
	log      *slog.Logger
	shortage shortage // of the one goroutine that accepts
	done     chan struct{}
	once     sync.Once
}

// Accept implements net.Listener.
func (l *patientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			l.shortage.over()
			return c, nil
		case !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE):
			return nil, err
		case !l.shortage.wait(l.log, err, l.done):
			return nil, net.ErrClosed
		}
	}
}

// Close implements net.Listener.
func (l *patientListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}
