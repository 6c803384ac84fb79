package engineio

import (
	"sync/atomic"
	"time"
)

// heartbeat is the one timer of a session (sections 1.6 and 2.1). In revision 4
// the server pings after PingInterval and wants the pong within PingTimeout; in
// revision 3 the client pings and has the sum of both. The fields are guarded by
// Session.mu, except pong.
type heartbeat struct {
	timer *time.Timer
	due   time.Time // when the timer means something: it may fire early after a change
	// pong is read by the receiving side for every packet.
	pong atomic.Uint32
}

const (
	pongNotDue   uint32 = iota
	pongDue             // a ping was sent; other packets may extend the deadline
	pongExtended        // one has
)

// start begins the heartbeat of a new session.
func (h *heartbeat) start(s *Session) {
	d := s.srv.o.PingInterval
	if s.revision == 3 {
		d += s.srv.o.PingTimeout
	}
	h.due = time.Now().Add(d)
	h.timer = time.AfterFunc(d, s.tick)
}

func (h *heartbeat) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}

func (h *heartbeat) reset(d time.Duration) {
	h.due = time.Now().Add(d)
	h.timer.Reset(d)
}

// restart gives the peer a whole deadline again: after a pause of ours, and
// after an upgrade.
func (h *heartbeat) restart(s *Session) {
	if h.timer == nil || s.state.Load() == stateClosed {
		return
	}
	switch {
	case s.revision == 3:
		h.reset(s.srv.o.PingInterval + s.srv.o.PingTimeout)
	case h.pong.Load() != pongNotDue:
		h.reset(s.srv.o.PingTimeout)
	}
}

// tick is the timer's function.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.beat
	if s.state.Load() == stateClosed {
		return
	}
	if wait := time.Until(h.due); wait > 0 {
		h.timer.Reset(wait)
		return
	}
	if s.revision == 4 && h.pong.Load() == pongNotDue {
		h.pong.Store(pongDue)
		// Counted from when the ping was due, so that a late timer does not
		// move the deadline.
		h.due = h.due.Add(s.srv.o.PingTimeout)
		h.timer.Reset(time.Until(h.due))
		s.sendControlLocked(packetPing, nil)
		return
	}
	if s.pause != nil {
		// We are the ones who do not read: the deadline begins with Resume.
		h.reset(s.srv.o.PingTimeout)
		return
	}
	s.endLocked(ReasonPingTimeout, nil)
}

// onPong takes the answer to a ping. One that nobody asked for is ignored.
func (s *Session) onPong() {
	if s.beat.pong.Load() == pongNotDue {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.pong.Store(pongNotDue)
	if s.state.Load() != stateClosed {
		s.beat.reset(s.srv.o.PingInterval)
	}
}

// onSign restarts the deadline of a pong once: the peer lives, it is only busy
// sending (section 1.6).
func (s *Session) onSign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat.pong.CompareAndSwap(pongDue, pongExtended) && s.state.Load() != stateClosed {
		s.beat.reset(s.srv.o.PingTimeout)
	}
}

// onClientPing answers the ping of a revision 3 client.
func (s *Session) onClientPing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return
	}
	s.beat.reset(s.srv.o.PingInterval + s.srv.o.PingTimeout)
	s.sendControlLocked(packetPong, nil)
}
