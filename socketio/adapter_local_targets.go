package socketio

import "slices"

// targets collects the selected sockets, each once: the union of the rooms (or
// all) without the members of the excepted rooms. Sockets that are still in
// their middlewares, or already leaving, are not selected (docs/protocol.md §4.0).
func (l *Local) targets(o BroadcastOptions) []*Socket {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var except map[*Socket]struct{}
	var only *Socket // the usual exception is one socket: the sender
	for _, name := range o.Except {
		l.walk(name, func(s *Socket) {
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
		found = make([]*Socket, 0, len(l.sockets))
		for _, s := range l.sockets {
			take(s)
		}
	case 1:
		if r := l.rooms[o.Rooms[0]]; r != nil {
			found = make([]*Socket, 0, len(r.members)+1)
		}
		l.walk(o.Rooms[0], take)
	default:
		seen := map[*Socket]struct{}{}
		for i, name := range o.Rooms {
			if slices.Contains(o.Rooms[:i], name) {
				continue
			}
			l.walk(name, func(s *Socket) {
				if _, dup := seen[s]; !dup {
					seen[s] = struct{}{}
					take(s)
				}
			})
		}
	}
	return found
}

// walk visits the members of a room, the owner of a private one included.
func (l *Local) walk(name string, visit func(*Socket)) {
	if s := l.sockets[name]; s != nil && s.ownRoom {
		visit(s)
	}
	if r := l.rooms[name]; r != nil {
		for _, m := range r.members {
			visit(m.socket)
		}
	}
}
