package engineio

import (
	"errors"
	"fmt"
	"time"
)

// A peer is slow in one sense on every transport (docs/reliability.md §4 row 19):
// more than Options.MaxBuffered bytes wait for it and it has taken nothing for
// Options.WriteTimeout, or more than Options.MaxBacklog bytes wait. A WebSocket
// takes what the kernel accepts, a client that polls takes by a GET that is
// answered. A burst is no slowness: the next GET may be on its way.
//
// The sum of what all sessions keep above MaxBuffered is bounded too. When it is
// used up, MaxBuffered alone is the limit of each session.

// backlogsTotal is how many backlogs of full size the sum of all may hold.
const backlogsTotal = 16

var (
	// ErrSlow is the description of a session closed because its peer did not take
	// what was sent to it; see Options.MaxBuffered and Options.MaxBacklog.
	ErrSlow = errors.New("engineio: peer too slow, send buffer full")
	// errClosedSlow is what sends return once ErrSlow has closed the session.
	errClosedSlow = fmt.Errorf("%w: %w", ErrClosed, ErrSlow)
)

// slowError is the description of the end of a slow peer. It is an ErrSlow.
type slowError struct {
	transport      string
	waitingBytes   int    // bytes
	exceededOption string // that was exceeded
	cause          error  // of a write; may be nil
}

func (e *slowError) Error() string {
	return fmt.Sprintf("%v: %d bytes wait for %s, beyond %s", ErrSlow, e.waitingBytes, e.transport, e.exceededOption)
}

func (e *slowError) Unwrap() []error { return []error{ErrSlow, e.cause} }

// backlog is what a session has while more than Options.MaxBuffered bytes wait. It
// is guarded by Session.mu.
type backlog struct {
	excessBytes int           // bytes above MaxBuffered, which Server.excess contains
	lastTaken   time.Duration // of epoch: when the peer, which polls, last took something
	watchTimer  *time.Timer   // looks whether it has; a write of a WebSocket has its own
}

func (s *Session) waitingLocked() int {
	if s.ws != nil {
		return s.ws.waitingBytes()
	}
	return s.poll.waiting()
}

// closedErr is what sends return when the session is not open.
func (s *Session) closedErr() error {
	if s.closedAsSlow {
		return errClosedSlow
	}
	return ErrClosed
}

// checkSendBufferLocked closes the session when size more bytes are too many. One send is
// always taken while nothing waits: its size says nothing about the peer.
func (s *Session) checkSendBufferLocked(size int) error {
	o := &s.srv.o
	waiting := s.waitingLocked()
	total := waiting + size
	if waiting == 0 || total <= o.MaxBuffered {
		return nil
	}
	if total > o.MaxBacklog {
		s.slowLocked("Options.MaxBacklog", nil)
		return ErrSlow
	}
	others := s.srv.excessBytes.Load()
	if s.backlog != nil {
		others -= int64(s.backlog.excessBytes)
	}
	if others+int64(total-o.MaxBuffered) > backlogsTotal*int64(o.MaxBacklog) {
		s.slowLocked("Options.MaxBuffered, because the backlogs of all sessions together are full", nil)
		return ErrSlow
	}
	return nil
}

// updateBacklogLocked keeps the books of the backlog. It is called when something was
// queued, and when the peer has taken something.
func (s *Session) updateBacklogLocked() {
	if s.flushFrom != 0 && s.state.Load() != stateClosed {
		s.flushedLocked()
	}
	excess := s.waitingLocked() - s.srv.o.MaxBuffered
	if excess > 0 && s.state.Load() != stateClosed {
		s.growBacklogLocked(excess)
	} else if s.backlog != nil {
		s.dropBacklogLocked()
	}
}

func (s *Session) growBacklogLocked(excess int) {
	b := s.backlog
	if b == nil {
		b = &backlog{lastTaken: time.Since(epoch)}
		s.backlog = b
	}
	s.srv.excessBytes.Add(int64(excess - b.excessBytes))
	b.excessBytes = excess
	switch {
	case s.poll == nil && b.watchTimer != nil:
		b.watchTimer.Stop() // an upgrade took over
		b.watchTimer = nil
	case s.poll != nil && b.watchTimer == nil:
		b.watchTimer = time.AfterFunc(s.srv.o.patience(), s.watchBacklog)
	}
}

// dropBacklogLocked is called when no more than MaxBuffered waits, and at the end.
func (s *Session) dropBacklogLocked() {
	b := s.backlog
	s.backlog = nil
	s.srv.excessBytes.Add(-int64(b.excessBytes))
	if b.watchTimer != nil {
		b.watchTimer.Stop()
	}
}

// watchBacklog ends a session that polls and has taken nothing for too long.
func (s *Session) watchBacklog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.backlog
	if b == nil || b.watchTimer == nil {
		return
	}
	limit := s.srv.o.patience()
	idle := time.Since(epoch) - b.lastTaken
	switch {
	case s.poll.inFlightBytes > 0:
		b.watchTimer.Reset(limit) // the answer that is being written has a deadline of its own
	case idle < limit:
		b.watchTimer.Reset(limit - idle)
	default:
		s.slowLocked("Options.MaxBuffered, with nothing taken for Options.WriteTimeout", nil)
	}
}

// slowLocked ends the session of a slow peer.
func (s *Session) slowLocked(option string, cause error) {
	s.closedAsSlow = true
	s.endLocked(ReasonTransportError, &slowError{s.transportLocked(), s.waitingLocked(), option, cause})
}

// noteSlow tells the operator of a session that ended by e.
func (srv *Server) noteSlow(e *slowError) {
	hidden, ok := srv.slowLog.Allow()
	if !ok {
		return
	}
	srv.log.Warn("engineio: closed a session whose peer is too slow", "transport", e.transport,
		"waiting_bytes", e.waitingBytes, "limit", e.exceededOption, "max_buffered", srv.o.MaxBuffered,
		"max_backlog", srv.o.MaxBacklog, "write_timeout", srv.o.WriteTimeout, "left_out", hidden)
}
