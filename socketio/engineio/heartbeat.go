package engineio

// A session has one deadline (docs/protocol.md §1.6 and §2.1). In revision 4 the server pings
// after PingInterval and wants the pong within PingTimeout; in revision 3 the client pings
// and has the sum of both.

// What Session.pong says.
const (
	pongNotDue   uint32 = iota
	pongDue             // a ping was sent; other packets may extend the deadline
	pongExtended        // one has
)

// startHeartbeat begins the heartbeat of a new session.
func (s *Session) startHeartbeat() {
	switch {
	case s.state.Load() == stateClosed:
	case s.revision == 3:
		s.srv.heartbeats.clientPingQueue.set(s)
	default:
		s.srv.heartbeats.pingQueue.set(s)
	}
}

// restartHeartbeat gives the peer a whole deadline again: after a pause of ours, and
// after an upgrade.
func (s *Session) restartHeartbeat() {
	switch {
	case s.state.Load() == stateClosed:
	case s.revision == 3:
		s.srv.heartbeats.clientPingQueue.set(s)
	case s.pong.Load() != pongNotDue:
		s.srv.heartbeats.pongQueue.set(s)
	}
}

// tick is called when the deadline has come.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed || s.srv.heartbeats.pending(s) {
		return // or it was moved in the last moment
	}
	if s.revision == 4 && s.pong.Load() == pongNotDue {
		s.pong.Store(pongDue)
		s.srv.heartbeats.pongQueue.set(s)
		s.sendControlLocked(packetPing, nil)
		return
	}
	if s.pauseEnd != nil {
		// The server has stopped reading: the deadline begins with Resume.
		s.srv.heartbeats.pongQueue.set(s)
		return
	}
	s.endLocked(ReasonPingTimeout, nil)
}

// onPong takes the answer to a ping. A pong without a ping is ignored.
func (s *Session) onPong() {
	if s.pong.Load() == pongNotDue {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pong.Store(pongNotDue)
	if s.state.Load() != stateClosed {
		s.srv.heartbeats.pingQueue.set(s)
	}
}

// onSign restarts the deadline of a pong once: the peer lives, it is only busy
// sending (docs/protocol.md §1.6).
func (s *Session) onSign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pong.CompareAndSwap(pongDue, pongExtended) && s.state.Load() != stateClosed {
		s.srv.heartbeats.pongQueue.set(s)
	}
}

// onClientPing answers the ping of a revision 3 client.
func (s *Session) onClientPing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return
	}
	s.srv.heartbeats.clientPingQueue.set(s)
	s.sendControlLocked(packetPong, nil)
}
