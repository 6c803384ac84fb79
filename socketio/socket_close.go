package socketio

import (
	"context"

	"posthouse/socketio/internal/tally"
	"posthouse/socketio/parser"
)

// Disconnect makes the client leave the namespace (reason
// ReasonServerNamespace there and here): events it sent that are not handled yet
// are dropped. With closeConn all its other namespaces end the same way and the
// connection is closed, after what was sent has been written. The disconnect
// functions run later, in the socket's own order.
func (s *Socket) Disconnect(closeConn bool) {
	if closeConn {
		s.conn.disconnectAll(s)
	} else if s.disconnect() {
		s.conn.sendFarewell(s)
	}
}

// disconnect ends the socket. It reports whether the client is to be told.
func (s *Socket) disconnect() bool {
	// One that is not connected yet will have its CONNECT refused.
	return s.startClose(ReasonServerNamespace, nil) && s.conn.forgetSocket(s, true)
}

// disconnectPacket tells the client that the server disconnected the socket.
func (s *Socket) disconnectPacket() *parser.Packet {
	return &parser.Packet{Type: parser.Disconnect, Namespace: s.ns.name}
}

// startClose begins the end: it is decided once, here, and completed by leave when the
// mailbox gets there. It reports whether this call was the one.
func (s *Socket) startClose(reason Reason, err error) bool {
	cause := &DisconnectError{reason, err}
	s.mu.Lock()
	if s.closeQueued {
		s.mu.Unlock()
		return false
	}
	s.closeQueued = true
	s.keepable = reason.recoverable()
	if reason == ReasonServerNamespace || reason == ReasonServerShutdown {
		s.dropQueued.Store(true)
	}
	s.status.Store(gone)
	start := s.enqueueTask(&Event{taskKind: taskClose, socket: s, taskFunc: func() context.Context { s.finishClose(reason); return nil }})
	acks := s.pendingAcks
	s.pendingAcks = nil
	cancel := s.cancel
	s.heldFrames = nil
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause) // releases a handler that waits, so that the mailbox goes on
	}
	for _, ack := range acks {
		ack(Args{}, cause)
	}
	if start {
		s.ns.server.workers.Go((*drain)(s))
	}
	return true
}

// finishClose is the last task of the mailbox (docs/protocol.md §3.4: this order).
func (s *Socket) finishClose(reason Reason) {
	s.ns.traffic.Add(tally.Key(s.id), socketsOut, 1)
	l := s.currentListeners()
	shared := s.ns.sharedHandlers.Load()
	for _, fn := range shared.onDisconnecting {
		s.runGuarded(func() { fn(s, reason) })
	}
	for _, fn := range l.onDisconnecting {
		s.runGuarded(func() { fn(reason) })
	}
	s.persistSession(reason)
	s.ns.localAdapter.removeSocket(s, reason)
	for _, fn := range shared.onDisconnect {
		s.runGuarded(func() { fn(s, reason) })
	}
	for _, fn := range s.currentListeners().onDisconnect {
		s.runGuarded(func() { fn(reason) })
	}
	s.releaseOwners()
}

// releaseOwners lets go of the namespace and the server.
func (s *Socket) releaseOwners() {
	s.ns.releaseSocket()
	s.conn.countOut()
}
