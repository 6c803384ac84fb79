package socketio

import "slices"

// Watcher is told what happens to the sockets of a namespace on this node. It is for
// tools that watch, such as socketio/admin: it can be added and taken away while clients
// are connected, and a namespace without one pays nothing. Nil fields are skipped. The
// functions must not block, and a panic of one of them touches no socket.
type Watcher struct {
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

// Watch adds a watcher and returns what takes it away. A call that is under way
// may still come after that.
func (n *Namespace) Watch(o Watcher) (stop func()) {
	added := &o
	n.updateHandlers(func(h *sharedHandlers) { h.watchers = append(h.watchers, added) })
	n.localAdapter.setWatchers(n)
	return func() {
		n.updateHandlers(func(h *sharedHandlers) {
			h.watchers = slices.DeleteFunc(h.watchers, func(o *Watcher) bool { return o == added })
		})
		n.localAdapter.setWatchers(n)
	}
}

// setWatchers takes over the watchers of the namespace, for the order of rooms.
func (l *LocalAdapter) setWatchers(n *Namespace) {
	l.mu.Lock()
	l.roomEvents.watchers = n.sharedHandlers.Load().watchers
	l.mu.Unlock()
}

// AfterRoomEvents calls fn once, when room hooks and watchers have been told of all
// changes that were made before the call. It has the rules of RoomHooks.
func (l *LocalAdapter) AfterRoomEvents(fn func()) {
	l.mu.Lock()
	l.roomEvents.queue = append(l.roomEvents.queue, roomEvent{eventKind: roomBarrier, barrier: fn})
	l.mu.Unlock()
	l.callRoomHooks()
}

// watchesSent reports whether a function wants to see what is sent.
func (h *sharedHandlers) watchesSent() bool {
	return len(h.onAnyOutgoing) > 0 || len(h.watchers) > 0
}

// tellWatchers calls tell for each watcher of the namespace.
func (s *Socket) tellWatchers(tell func(o *Watcher)) {
	for _, o := range s.ns.sharedHandlers.Load().watchers {
		s.ns.localAdapter.runGuarded(func() { tell(o) })
	}
}

func (s *Socket) tellDataChanged() {
	if len(s.ns.sharedHandlers.Load().watchers) == 0 {
		return // without the closure below
	}
	s.tellWatchers(func(o *Watcher) {
		if o.DataChanged != nil {
			o.DataChanged(s)
		}
	})
}

// callWatcher tells a watcher of what happened to sockets and rooms.
func (e *roomEvent) callWatcher(o *Watcher) {
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
