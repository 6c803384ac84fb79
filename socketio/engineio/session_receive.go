package engineio

import (
	"errors"
	"runtime/debug"
	"time"
)

var (
	errHeartbeatDirection = errors.New("engineio: invalid heartbeat direction")
	// errOver stops the reading of a transport whose session has ended.
	errOver  = errors.New("engineio: session is over")
	errFlood = errors.New("engineio: too many control packets")
)

var errPanic = errors.New("engineio: handler panicked")

// guard ends the session when its handler panics; the process lives. It is for
// deferring around calls of the handler.
func (s *Session) guard() {
	if v := recover(); v != nil {
		s.srv.log.Error("engineio: handler panicked", "panic", v, "stack", string(debug.Stack()))
		s.end(ReasonForcedClose, errPanic)
	}
}

// lockForRead takes recvMu for the reader of a WebSocket, without waiting: the reader may
// be a loop with other connections. ok says that it has the lock. Otherwise free is
// closed when the delivery of a POST from before an upgrade, which has the lock, may have
// ended. Both are zero once the session is closed: a slow Handler.Closed may hold recvMu
// then and must not stall the loop, and no packet reaches the handler any more, so the
// reader goes on without the lock.
func (s *Session) lockForRead() (ok bool, free <-chan struct{}) {
	if s.recvMu.TryLock() {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return false, nil
	}
	if s.recvFree == nil {
		s.recvFree = make(chan struct{})
	}
	// unlockForRead may have been called before it could see the channel.
	if s.recvMu.TryLock() {
		return true, nil
	}
	return false, s.recvFree
}

// unlockForRead gives recvMu back and wakes the reader of a WebSocket that waits for it.
func (s *Session) unlockForRead() {
	s.recvMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recvFreedLocked()
}

func (s *Session) recvFreedLocked() {
	if s.recvFree == nil {
		return
	}
	close(s.recvFree)
	s.recvFree = nil
	if s.ws != nil && s.ws.loop != nil {
		s.ws.loop.Wake(s.ws)
	}
}

// receive takes one packet from the current transport. The caller holds recvMu.
// ErrPause and errOver stop the delivery of what follows.
func (s *Session) receive(p packet) error {
	if s.state.Load() != stateOpen {
		return s.receiveClosing(p)
	}
	if p.Type != packetPong && s.pong.Load() == pongDue {
		s.onSign()
	}
	if p.Type != packetMessage && p.Type != packetClose {
		if drop, err := s.flood(); drop {
			return err
		}
	}
	switch p.Type {
	case packetMessage:
		s.unnoted.packets++
		s.unnoted.bytes += uint32(len(p.Data))
		err := s.handler.Receive(Message{Data: p.Data, Binary: p.Binary})
		if err == nil || errors.Is(err, ErrPause) {
			return err
		}
		s.end(ReasonForcedClose, err)
		return errOver
	case packetPing:
		if s.revision == 4 {
			s.end(ReasonTransportError, errHeartbeatDirection)
			return errOver
		}
		s.onClientPing()
	case packetPong:
		if s.revision == 3 {
			s.end(ReasonTransportError, errHeartbeatDirection)
			return errOver
		}
		s.onPong()
	case packetClose:
		s.end(ReasonTransportClose, nil)
		return errOver
	}
	return nil // open, upgrade and noop mean nothing here
}

// flood counts the packets that are no messages. A peer needs few of them
// within a second: more are dropped, far more end the session (docs/reliability.md §4 row 10).
func (s *Session) flood() (drop bool, err error) {
	limit := s.srv.o.MaxControl
	if limit < 0 {
		return false, nil
	}
	if now := time.Since(epoch); s.controlPackets == 0 || now-s.controlSince >= time.Second {
		s.controlSince, s.controlPackets = now, 0
	}
	s.controlPackets++
	if int(s.controlPackets) > 10*limit {
		s.end(ReasonTransportError, errFlood)
		return true, errOver
	}
	return int(s.controlPackets) > limit, nil
}

// receiveClosing drops what comes after Close, except the peer's own close.
func (s *Session) receiveClosing(p packet) error {
	if s.state.Load() == stateClosed {
		return errOver
	}
	if p.Type == packetClose {
		s.end(ReasonTransportClose, nil)
		return errOver
	}
	return nil
}
