package netpoll

import (
	"log/slog"
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

// Shortage is the state of an accept loop that gets no descriptors. It belongs to
// the goroutine that accepts.
type Shortage struct {
	pause  time.Duration
	logged time.Time
}

// Over tells that a connection was accepted.
func (s *Shortage) Over() { s.pause = 0 }

// Wait waits until it is time to try again; false when done is closed.
func (s *Shortage) Wait(log *slog.Logger, err error, done <-chan struct{}) bool {
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
