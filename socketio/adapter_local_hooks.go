package socketio

// noticeKind is what happened to a room.
type noticeKind uint8

const (
	roomCreated noticeKind = iota
	roomDeleted
	roomJoined
	roomLeft
)

type notice struct {
	kind     noticeKind
	room, id string
	private  bool
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

// notices is the queue of changes nobody was told of yet: it exists so that
// hooks run in order and yet outside of the lock. Guarded by Local.mu. It holds
// no more than what concurrent callers added while one of them delivers.
type notices struct {
	hooks      []RoomHooks
	queue      []notice
	delivering bool
}

// OnRooms adds hooks for the rooms of this node. Add them before clients connect.
func (l *Local) OnRooms(h RoomHooks) {
	l.mu.Lock()
	l.notices.hooks = append(l.notices.hooks[:len(l.notices.hooks):len(l.notices.hooks)], h)
	l.mu.Unlock()
}

// notice queues a change; the caller holds l.mu and calls deliverNotices later.
func (l *Local) notice(kind noticeKind, room, id string, private bool) {
	if len(l.notices.hooks) == 0 && (l.watcher == nil || kind > roomDeleted) {
		return
	}
	l.notices.queue = append(l.notices.queue, notice{kind, room, id, private})
}

func (l *Local) deliverNotices() {
	l.mu.Lock()
	if l.notices.delivering || len(l.notices.queue) == 0 {
		l.mu.Unlock()
		return
	}
	l.notices.delivering = true
	for len(l.notices.queue) > 0 {
		queue, hooks := l.notices.queue, l.notices.hooks
		l.notices.queue = nil
		l.mu.Unlock()
		for _, n := range queue {
			l.guard(func() { l.tell(n, hooks) }) // a panic must not stop the next ones
		}
		l.mu.Lock()
	}
	l.notices.delivering = false
	l.mu.Unlock()
}

func (l *Local) tell(n notice, hooks []RoomHooks) {
	if l.watcher != nil {
		switch n.kind {
		case roomCreated:
			l.watcher.RoomCreated(n.room, n.private)
		case roomDeleted:
			l.watcher.RoomDeleted(n.room, n.private)
		}
	}
	for _, h := range hooks {
		switch {
		case n.kind == roomCreated && h.Create != nil:
			h.Create(n.room)
		case n.kind == roomDeleted && h.Delete != nil:
			h.Delete(n.room)
		case n.kind == roomJoined && h.Join != nil:
			h.Join(n.room, n.id)
		case n.kind == roomLeft && h.Leave != nil:
			h.Leave(n.room, n.id)
		}
	}
}
