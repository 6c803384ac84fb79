package socketio

import "slices"

// Observer is told what happens to the sockets of a namespace on this node. It is for
// tools that watch, such as socketio/admin: it can be added and taken away while clients
// are connected, and a namespace without one pays nothing. Nil fields are skipped. The
// functions must not block, and a panic of one of them touches no socket.
type Observer struct {
	// Connected, Disconnected, Joined and Left come one at a time for each namespace,
	// in the order of the changes: rooms holds those that earlier calls of Joined told,
	// and later ones are told by Joined. A recovered socket is connected anew.
	// Rooms that a middleware joins are told although the socket may yet be refused.
	Connected    func(s *Socket, rooms []string)
	Disconnected func(s *Socket, reason Reason)
	Joined       func(room, id string)
	Left         func(room, id string)
	// Upgraded is told when the connection of a socket has another transport.
	Upgraded func(s *Socket, transport string)
	// DataChanged is told after Key.Set and Key.Delete, but not for private keys.
	DataChanged func(s *Socket)
	// Received sees the events of clients before every handler; Sent sees those that
	// are sent, once for each receiving socket. Arguments are valid only during the
	// call unless cloned.
	Received func(e *Event)
	Sent     func(s *Socket, event string, args Args)
}

// Observe adds an observer and returns what takes it away. A call that is under way
// may still come after that.
func (n *Namespace) Observe(o Observer) (stop func()) {
	added := &o
	n.updateHandlers(func(h *sharedHandlers) { h.observers = append(h.observers, added) })
	n.localAdapter.setObservers(n)
	return func() {
		n.updateHandlers(func(h *sharedHandlers) {
			h.observers = slices.DeleteFunc(h.observers, func(o *Observer) bool { return o == added })
		})
		n.localAdapter.setObservers(n)
	}
}

// setObservers takes over the observers of the namespace, for the order of rooms.
func (l *LocalAdapter) setObservers(n *Namespace) {
	l.mu.Lock()
	l.roomEvents.observers = n.sharedHandlers.Load().observers
	l.mu.Unlock()
}

// AfterRoomEvents calls fn once, when room hooks and observers have been told of all
// changes that were made before the call. It has the rules of RoomHooks.
func (l *LocalAdapter) AfterRoomEvents(fn func()) {
	l.mu.Lock()
	l.roomEvents.queue = append(l.roomEvents.queue, roomEvent{eventKind: roomBarrier, barrier: fn})
	l.mu.Unlock()
	l.callRoomHooks()
}

// observesSent reports whether a function wants to see what is sent.
func (h *sharedHandlers) observesSent() bool {
	return len(h.onAnyOutgoing) > 0 || len(h.observers) > 0
}

// tellObservers calls tell for each observer of the namespace.
func (s *Socket) tellObservers(tell func(o *Observer)) {
	for _, o := range s.ns.sharedHandlers.Load().observers {
		s.ns.localAdapter.runGuarded(func() { tell(o) })
	}
}

func (s *Socket) tellDataChanged() {
	if len(s.ns.sharedHandlers.Load().observers) == 0 {
		return // without the closure below
	}
	s.tellObservers(func(o *Observer) {
		if o.DataChanged != nil {
			o.DataChanged(s)
		}
	})
}

// callObserver tells an observer of what happened to sockets and rooms.
func (e *roomEvent) callObserver(o *Observer) {
	switch {
	case e.eventKind == socketConnected && o.Connected != nil:
		o.Connected(e.socket, e.rooms)
	case e.eventKind == socketDisconnected && o.Disconnected != nil:
		o.Disconnected(e.socket, e.reason)
	case e.eventKind == roomJoined && o.Joined != nil:
		o.Joined(e.roomName, e.socketID)
	case e.eventKind == roomLeft && o.Left != nil:
		o.Left(e.roomName, e.socketID)
	}
}
