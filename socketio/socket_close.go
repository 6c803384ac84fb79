package socketio

import "posthouse/socketio/parser"

// Disconnect makes the client leave the namespace (reason
// ReasonServerNamespace there and here): events it sent that are not handled yet
// are dropped. With closeConn all its other namespaces end the same way and the
// connection is closed, after what was sent has been written. The disconnect
// functions run later, in the socket's own order.
func (s *Socket) Disconnect(closeConn bool) {
	if closeConn {
		s.conn.part(s)
	} else if s.expel() {
		s.conn.send(s.farewell())
	}
}

// expel ends the socket. It reports whether the client is to be told.
func (s *Socket) expel() bool {
	// One that is not connected yet will have its CONNECT refused.
	return s.end(ReasonServerNamespace, nil) && s.conn.forget(s, true)
}

// farewell tells the client that the server disconnected the socket.
func (s *Socket) farewell() *parser.Packet {
	return &parser.Packet{Type: parser.Disconnect, Namespace: s.ns.name}
}

// end begins the end: it is decided once, here, and completed by leave when the
// mailbox gets there. It reports whether this call was the one.
func (s *Socket) end(reason Reason, err error) bool {
	cause := &DisconnectError{reason, err}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return false
	}
	s.closing = true
	s.keepable = reason.recoverable()
	if reason == ReasonServerNamespace || reason == ReasonServerShutdown {
		s.dropping.Store(true)
	}
	s.status.Store(gone)
	start := s.enqueue(&Event{task: taskClose, socket: s, fn: func() { s.finish(reason) }})
	acks := s.acks
	s.acks = nil
	cancel := s.cancel
	s.held = nil
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

// finish is the last task of the mailbox (docs/protocol.md §3.4: this order).
func (s *Socket) finish(reason Reason) {
	l := s.snapshot()
	shared := s.ns.shared.Load()
	for _, fn := range shared.disconnecting {
		s.guard(func() { fn(s, reason) })
	}
	for _, fn := range l.disconnecting {
		s.guard(func() { fn(reason) })
	}
	s.persist(reason)
	s.ns.local.remove(s)
	for _, fn := range shared.disconnect {
		s.guard(func() { fn(s, reason) })
	}
	for _, fn := range s.snapshot().disconnect {
		s.guard(func() { fn(reason) })
	}
	s.release()
}

// release lets go of the namespace and the server.
func (s *Socket) release() {
	s.ns.release()
	s.conn.ended()
}
