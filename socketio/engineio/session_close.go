package engineio

import (
	"errors"
	"time"
)

// closeGrace is how long a closing session that polls waits for a GET to carry
// the close packet (docs/protocol.md §1.8).
const closeGrace = 30 * time.Second

// Close ends the session with ReasonForcedClose after what is queued has been
// written. It does not wait.
func (s *Session) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked()
}

func (s *Session) closeLocked() {
	if s.state.Load() != stateOpen {
		return
	}
	s.state.Store(stateClosing)
	if s.ws != nil {
		if !s.ws.writePending {
			s.endLocked(ReasonForcedClose, nil) // what is queued and the close frame leave in one write
		}
		return // else the drain ends it
	}
	s.poll.uncork()
	s.poll.beginClose()
}

// CloseWith sends messages, as SendMessages does, and then closes the session when
// all that was sent has been written: over the new transport, if an upgrade is
// under way.
func (s *Session) CloseWith(ms ...Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != stateOpen || len(ms) > 0 && s.checkSendBufferLocked(sizeOf(ms)) != nil {
		return
	}
	s.countOutLocked(len(ms), sizeOf(ms))
	if s.ws != nil {
		s.ws.addMessages(ms)
		s.updateBacklogLocked()
		s.closeLocked()
		return
	}
	s.poll.addMessages(ms)
	s.updateBacklogLocked()
	if !s.poll.after(s.Close) {
		s.closeLocked()
		return
	}
	s.poll.flush()
}

// Discard is Close without waiting for the queue.
func (s *Session) Discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(ReasonForcedClose, nil)
}

// drainedLocked is called when nothing waits any more.
func (s *Session) drainedLocked() {
	if s.state.Load() == stateClosing && s.ws != nil {
		s.endLocked(ReasonForcedClose, nil)
	}
}

func (s *Session) end(reason Reason, description error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, description)
}

// endLocked closes the session. It is the only way to stateClosed.
func (s *Session) endLocked(reason Reason, description error) {
	if s.state.Load() == stateClosed {
		return
	}
	s.state.Store(stateClosed)
	s.srv.counters.sessionClosed(s.transportLocked(), reason, s.closedAsSlow)
	s.srv.heartbeats.remove(s)
	if s.backlog != nil {
		s.dropBacklogLocked()
	}
	if s.closeTimer != nil {
		s.closeTimer.Stop()
	}
	s.unpauseLocked()
	s.recvFreedLocked()
	if s.pendingUpgrade != nil {
		s.pendingUpgrade.sessionEndedLocked(reason)
	}
	if s.poll != nil {
		s.poll.shut(reason)
	}
	if s.ws != nil {
		s.ws.shutdown(reason, description)
	}
	s.srv.forget(s)
	// On its own goroutine, because the caller may be a sender that holds locks,
	// or the handler itself. The server counts it, see Server.Shutdown.
	s.srv.workers.Go(&closeTask{s, reason, description})
}

// closeTask tells the handler that its session has ended.
type closeTask struct {
	s           *Session
	reason      Reason
	description error
}

// Run implements workers.Task. recvMu makes it wait for a Receive under way, and no
// Receive begins after stateClosed.
func (f *closeTask) Run() {
	s := f.s
	defer s.srv.done()
	if e, ok := errors.AsType[*slowError](f.description); ok {
		s.srv.noteSlow(e)
	}
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if s.srv.o.OnSessionEnd != nil {
		f.report()
	}
	if s.handler != nil {
		defer s.guard()
		s.handler.Closed(f.reason, f.description)
	}
}

// report tells Options.OnSessionEnd; recvMu is held.
func (f *closeTask) report() {
	s := f.s
	s.mu.Lock()
	end := SessionEnd{
		ID: s.id, Transport: s.transportLocked(), Reason: f.reason, Description: f.description, Refused: s.handler == nil,
		Duration: time.Since(epoch) - s.openedAt,
		Packets:  s.received.packets + s.sent.packets, Bytes: s.received.bytes + s.sent.bytes,
	}
	s.mu.Unlock()
	defer s.guard()
	s.srv.o.OnSessionEnd(&end)
}

// startCloser ends a closing session whose client does not poll any more.
func startCloser(s *Session) *time.Timer {
	return time.AfterFunc(closeGrace, func() { s.end(ReasonForcedClose, nil) })
}
