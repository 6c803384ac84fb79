package socketio

import (
	"slices"
)

// room is a set of sockets as a slice; each member knows its place in it, and
// each socket its rooms, so that leaving is swap and cut.
type room struct {
	name    string
	members []member
}

type member struct {
	socket *Socket
	back   int // index of this room in socket.rooms
}

type membership struct {
	room  *room
	index int // of the socket in room.members
}

// The room of a socket's own id has no room object: it is Socket.ownRoom, found
// through Local.sockets. Ten thousand idle sockets are not ten thousand rooms.
// Should other sockets join a room of that name, they are in a room object, and
// the two together are the room.

// HasRoom reports whether any socket of this node is in room.
func (l *Local) HasRoom(room string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.hasRoom(room)
}

func (l *Local) hasRoom(name string) bool {
	if l.rooms[name] != nil {
		return true
	}
	s := l.sockets[name]
	return s != nil && s.ownRoom
}

// Rooms returns the names of all rooms of this node.
func (l *Local) Rooms() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	names := make([]string, 0, len(l.rooms)+len(l.sockets))
	for name := range l.rooms {
		names = append(names, name)
	}
	for id, s := range l.sockets {
		if s.ownRoom && l.rooms[id] == nil {
			names = append(names, id)
		}
	}
	return names
}

// HasSocket reports whether the socket id is connected here.
func (l *Local) HasSocket(id string) bool { return l.socket(id) != nil }

func (l *Local) socket(id string) *Socket {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s := l.sockets[id]; s != nil && s.status.Load() == connected {
		return s
	}
	return nil
}

// connected counts the sockets that have been let in and have not begun to leave.
func (l *Local) connected() (count int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.sockets {
		if s.status.Load() == connected {
			count++
		}
	}
	return count
}

// Members returns the ids of the sockets of this node in a room.
func (l *Local) Members(room string) []string {
	var ids []string
	for _, s := range l.targets(BroadcastOptions{Rooms: []string{room}}) {
		ids = append(ids, s.id)
	}
	return ids
}

// add makes s known and puts it into its own room.
func (l *Local) add(s *Socket, rooms ...string) {
	l.mu.Lock()
	if s.status.Load() == gone { // its end has begun; a successor may have its id
		l.mu.Unlock()
		return
	}
	l.know(s)
	if !s.ownRoom {
		if !l.hasRoom(s.id) {
			l.notice(roomCreated, s.id, "", true)
		}
		s.ownRoom = true
		l.notice(roomJoined, s.id, s.id, true)
	}
	for _, name := range rooms {
		l.joinOne(s, name)
	}
	l.mu.Unlock()
	l.deliverNotices()
}

func (l *Local) know(s *Socket) {
	if !s.known {
		s.known = true
		l.sockets[s.id] = s
	}
}

func (l *Local) join(s *Socket, rooms []string) error {
	limits := &l.ns.server.opts.Limits
	for _, name := range rooms {
		if over(len(name), limits.RoomName) {
			return ErrRooms
		}
	}
	l.mu.Lock()
	if s.status.Load() == gone {
		l.mu.Unlock()
		return nil // no effect, as in Node
	}
	if over(len(s.rooms)+len(rooms), limits.Rooms) {
		extra := 0
		for _, name := range rooms {
			if !l.has(s, name) {
				extra++
			}
		}
		if over(len(s.rooms)+extra, limits.Rooms) {
			l.mu.Unlock()
			return ErrRooms
		}
	}
	l.know(s)
	for _, name := range rooms {
		l.joinOne(s, name)
	}
	l.mu.Unlock()
	l.deliverNotices()
	return nil
}

func (l *Local) joinOne(s *Socket, name string) {
	if l.has(s, name) {
		return
	}
	private := l.sockets[name] != nil
	if !l.hasRoom(name) {
		l.notice(roomCreated, name, "", private)
	}
	if name == s.id {
		s.ownRoom = true
	} else {
		r := l.rooms[name]
		if r == nil {
			r = &room{name: name}
			l.rooms[name] = r
		}
		r.members = append(r.members, member{s, len(s.rooms)})
		s.rooms = append(s.rooms, membership{r, len(r.members) - 1})
	}
	l.notice(roomJoined, name, s.id, private)
}

func (l *Local) leaveRoom(s *Socket, name string) {
	l.mu.Lock()
	if name == s.id {
		l.leaveOwn(s)
	} else if i := slices.IndexFunc(s.rooms, func(m membership) bool { return m.room.name == name }); i >= 0 {
		l.cut(s, i)
	}
	l.mu.Unlock()
	l.deliverNotices()
}

func (l *Local) leaveOwn(s *Socket) {
	if !s.ownRoom {
		return
	}
	s.ownRoom = false
	l.notice(roomLeft, s.id, s.id, true)
	if l.rooms[s.id] == nil {
		l.notice(roomDeleted, s.id, "", true)
	}
}

// cut takes s out of its i-th room.
func (l *Local) cut(s *Socket, i int) {
	m := s.rooms[i]
	members := m.room.members
	last := len(members) - 1
	members[m.index] = members[last]
	members[m.index].socket.rooms[members[m.index].back].index = m.index
	members[last] = member{}
	m.room.members = members[:last]

	end := len(s.rooms) - 1
	if i != end {
		s.rooms[i] = s.rooms[end]
		s.rooms[i].room.members[s.rooms[i].index].back = i
	}
	s.rooms[end] = membership{}
	s.rooms = s.rooms[:end]

	private := l.sockets[m.room.name] != nil
	l.notice(roomLeft, m.room.name, s.id, private)
	if last == 0 {
		delete(l.rooms, m.room.name)
		if !l.hasRoom(m.room.name) {
			l.notice(roomDeleted, m.room.name, "", private)
		}
	} else if cap(members) > 64 && last < cap(members)/4 {
		m.room.members = slices.Clone(m.room.members) // give memory of a once large room back
	}
}

// remove takes s out of all rooms and forgets it.
func (l *Local) remove(s *Socket) {
	l.mu.Lock()
	l.removeLocked(s)
	if s.resume != nil {
		s.resume.formerRooms = nil
	}
	l.mu.Unlock()
	l.deliverNotices()
}

func (l *Local) removeLocked(s *Socket) {
	for len(s.rooms) > 0 {
		l.cut(s, len(s.rooms)-1)
	}
	s.rooms = nil
	l.leaveOwn(s)
	if l.sockets[s.id] == s { // a recovered successor may have taken its place
		delete(l.sockets, s.id)
	}
	s.known = false
}

func (l *Local) has(s *Socket, name string) bool {
	if name == s.id {
		return s.ownRoom
	}
	return slices.ContainsFunc(s.rooms, func(m membership) bool { return m.room.name == name })
}

func (l *Local) inRoom(s *Socket, name string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.has(s, name) || s.resume != nil && slices.Contains(s.resume.formerRooms, name)
}

func (l *Local) roomsOf(s *Socket) []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s.resume != nil && s.resume.formerRooms != nil {
		return slices.Clone(s.resume.formerRooms)
	}
	return l.roomNames(s)
}

func (l *Local) roomNames(s *Socket) []string {
	names := make([]string, 0, len(s.rooms)+1)
	if s.ownRoom {
		names = append(names, s.id)
	}
	for _, m := range s.rooms {
		names = append(names, m.room.name)
	}
	return names
}
