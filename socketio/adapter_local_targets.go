package socketio

import "slices"

// collectTargets collects the selected sockets, each once: the union of the rooms (or
// all) without the members of the excepted rooms. Sockets that are still in
// their middlewares, or already leaving, are not selected (docs/protocol.md §4.0).
func (l *LocalAdapter) collectTargets(o BroadcastOptions) []*Socket {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var except map[*Socket]struct{}
	var only *Socket // the usual exception is one socket: the sender
	for _, name := range o.Except {
		l.forEachInRoom(name, func(s *Socket) {
			if only == nil && except == nil {
				only = s
				return
			}
			if except == nil {
				except = map[*Socket]struct{}{only: {}}
			}
			except[s] = struct{}{}
		})
	}
	excepted := func(s *Socket) bool {
		if except == nil {
			return s == only
		}
		_, ok := except[s]
		return ok
	}
	var found []*Socket
	take := func(s *Socket) {
		if s.status.Load() == connected && !excepted(s) {
			found = append(found, s)
		}
	}
	switch len(o.Rooms) {
	case 0:
		found = make([]*Socket, 0, len(l.socketsByID))
		for _, s := range l.socketsByID {
			take(s)
		}
	case 1:
		if r := l.roomsByName[o.Rooms[0]]; r != nil {
			found = make([]*Socket, 0, len(r.members)+1)
		}
		l.forEachInRoom(o.Rooms[0], take)
	default:
		seen := map[*Socket]struct{}{}
		for i, name := range o.Rooms {
			if slices.Contains(o.Rooms[:i], name) {
				continue
			}
			l.forEachInRoom(name, func(s *Socket) {
				if _, dup := seen[s]; !dup {
					seen[s] = struct{}{}
					take(s)
				}
			})
		}
	}
	return found
}

// forEachInRoom visits the members of a room, the owner of a private one included.
func (l *LocalAdapter) forEachInRoom(name string, visit func(*Socket)) {
	if s := l.socketsByID[name]; s != nil && s.ownRoom {
		visit(s)
	}
	if r := l.roomsByName[name]; r != nil {
		for _, m := range r.members {
			visit(m.socket)
		}
	}
}
