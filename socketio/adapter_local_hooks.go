package socketio

// roomEventKind is what happened to a room.
type roomEventKind uint8

const (
	roomCreated roomEventKind = iota
	roomDeleted
	roomJoined
	roomLeft
	socketConnected    // only watchers are told of this
	socketDisconnected // and of this
	roomBarrier        // see AfterRoomEvents
)

type roomEvent struct {
	eventKind          roomEventKind
	roomName, socketID string
	isPrivate          bool

	socket  *Socket // of the last three kinds
	rooms   []string
	reason  Reason
	barrier func()
}

// RoomHooks are called when rooms of this node change. They come in order, after the change, on the
// goroutine that made it (or one that made another), with no lock held, and must
// not block. Nil fields are skipped.
type RoomHooks struct {
	Create func(room string)
	Delete func(room string)
	Join   func(room, id string)
	Leave  func(room, id string)
}

// roomEventQueue is the queue of changes that listeners have not been told of yet: it exists so that
// hooks run in order and yet outside of the lock. Guarded by LocalAdapter.mu. It holds
// no more than what concurrent callers added while one of them delivers.
type roomEventQueue struct {
	hooks      []RoomHooks
	watchers   []*Watcher
	queue      []roomEvent
	delivering bool
}

// OnRooms adds hooks for the rooms of this node. Add them before clients connect.
func (l *LocalAdapter) OnRooms(h RoomHooks) {
	l.mu.Lock()
	l.roomEvents.hooks = append(l.roomEvents.hooks[:len(l.roomEvents.hooks):len(l.roomEvents.hooks)], h)
	l.mu.Unlock()
}

// queueRoomEvent queues a change; the caller holds l.mu and calls callRoomHooks later.
func (l *LocalAdapter) queueRoomEvent(kind roomEventKind, room, id string, private bool) {
	if len(l.roomEvents.hooks)+len(l.roomEvents.watchers) == 0 && (l.roomWatcher == nil || kind > roomDeleted) {
		return
	}
	l.roomEvents.queue = append(l.roomEvents.queue, roomEvent{eventKind: kind, roomName: room, socketID: id, isPrivate: private})
}

// queueConnected and queueDisconnected queue what only watchers are told; the caller
// holds l.mu.
func (l *LocalAdapter) queueConnected(s *Socket) {
	if len(l.roomEvents.watchers) > 0 {
		l.roomEvents.queue = append(l.roomEvents.queue, roomEvent{eventKind: socketConnected, socket: s, rooms: l.roomNames(s)})
	}
}

func (l *LocalAdapter) queueDisconnected(s *Socket, reason Reason) {
	if len(l.roomEvents.watchers) > 0 {
		l.roomEvents.queue = append(l.roomEvents.queue, roomEvent{eventKind: socketDisconnected, socket: s, reason: reason})
	}
}

func (l *LocalAdapter) callRoomHooks() {
	l.mu.Lock()
	if l.roomEvents.delivering || len(l.roomEvents.queue) == 0 {
		l.mu.Unlock()
		return
	}
	l.roomEvents.delivering = true
	for len(l.roomEvents.queue) > 0 {
		queue, hooks, watchers := l.roomEvents.queue, l.roomEvents.hooks, l.roomEvents.watchers
		l.roomEvents.queue = nil
		l.mu.Unlock()
		for _, n := range queue {
			l.runGuarded(func() { l.callRoomHook(n, hooks) }) // a panic must not stop the next ones
			for _, o := range watchers {
				l.runGuarded(func() { n.callWatcher(o) })
			}
		}
		l.mu.Lock()
	}
	l.roomEvents.delivering = false
	l.mu.Unlock()
}

func (l *LocalAdapter) callRoomHook(n roomEvent, hooks []RoomHooks) {
	if n.eventKind == roomBarrier {
		n.barrier()
		return
	}
	if l.roomWatcher != nil {
		switch n.eventKind {
		case roomCreated:
			l.roomWatcher.RoomCreated(n.roomName, n.isPrivate)
		case roomDeleted:
			l.roomWatcher.RoomDeleted(n.roomName, n.isPrivate)
		}
	}
	for _, h := range hooks {
		switch {
		case n.eventKind == roomCreated && h.Create != nil:
			h.Create(n.roomName)
		case n.eventKind == roomDeleted && h.Delete != nil:
			h.Delete(n.roomName)
		case n.eventKind == roomJoined && h.Join != nil:
			h.Join(n.roomName, n.socketID)
		case n.eventKind == roomLeft && h.Leave != nil:
			h.Leave(n.roomName, n.socketID)
		}
	}
}
