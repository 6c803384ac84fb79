package socketio

import (
	"slices"
)

// room is a set of sockets as a slice; each member knows its place in it, and
// each socket its rooms, so that leaving is swap and cut.
type room struct {
	name    string
	members []roomMember
}

type roomMember struct {
	socket    *Socket
	roomIndex int // index of this room in socket.rooms
}

type membership struct {
	room        *room
	memberIndex int // of the socket in room.members
}

// The room of a socket's own id has no room object: it is Socket.ownRoom, found
// through LocalAdapter.sockets. Ten thousand idle sockets are not ten thousand rooms.
// Should other sockets join a room of that name, they are in a room object, and
// the two together are the room.

// HasRoom reports whether any socket of this node is in room.
func (l *LocalAdapter) HasRoom(room string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.hasRoom(room)
}

func (l *LocalAdapter) hasRoom(name string) bool {
	if l.roomsByName[name] != nil {
		return true
	}
	s := l.socketsByID[name]
	return s != nil && s.ownRoom
}

// Rooms returns the names of all rooms of this node.
func (l *LocalAdapter) Rooms() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	names := make([]string, 0, len(l.roomsByName)+len(l.socketsByID))
	for name := range l.roomsByName {
		names = append(names, name)
	}
	for id, s := range l.socketsByID {
		if s.ownRoom && l.roomsByName[id] == nil {
			names = append(names, id)
		}
	}
	return names
}

// HasSocket reports whether the socket id is connected here.
func (l *LocalAdapter) HasSocket(id string) bool { return l.socketByID(id) != nil }

func (l *LocalAdapter) socketByID(id string) *Socket {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s := l.socketsByID[id]; s != nil && s.status.Load() == connected {
		return s
	}
	return nil
}

// connected counts the sockets that have been let in and have not begun to leave.
func (l *LocalAdapter) connected() (count int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, s := range l.socketsByID {
		if s.status.Load() == connected {
			count++
		}
	}
	return count
}

// Members returns the ids of the sockets of this node in a room.
func (l *LocalAdapter) Members(room string) []string {
	var ids []string
	for _, s := range l.collectTargets(BroadcastOptions{Rooms: []string{room}}) {
		ids = append(ids, s.id)
	}
	return ids
}

// addInOwnRoom makes s known and puts it into its own room.
func (l *LocalAdapter) addInOwnRoom(s *Socket, rooms ...string) {
	l.mu.Lock()
	if s.status.Load() == gone { // its end has begun; a successor may have its id
		l.mu.Unlock()
		return
	}
	l.addSocket(s)
	if !s.ownRoom {
		if !l.hasRoom(s.id) {
			l.queueRoomEvent(roomCreated, s.id, "", true)
		}
		s.ownRoom = true
		l.queueRoomEvent(roomJoined, s.id, s.id, true)
	}
	for _, name := range rooms {
		l.joinOne(s, name)
	}
	l.mu.Unlock()
	l.callRoomHooks()
}

// announceSocket is addInOwnRoom for a socket that is let in: watchers are told of it.
func (l *LocalAdapter) announceSocket(s *Socket) {
	l.addInOwnRoom(s)
	l.mu.Lock()
	if s.inAdapter && s.status.Load() != gone {
		s.announced = true
		l.queueConnected(s)
	}
	l.mu.Unlock()
	l.callRoomHooks()
}

func (l *LocalAdapter) addSocket(s *Socket) {
	if !s.inAdapter {
		s.inAdapter = true
		l.socketsByID[s.id] = s
	}
}

func (l *LocalAdapter) joinRooms(s *Socket, rooms []string) error {
	limits := &l.ns.server.options.Limits
	for _, name := range rooms {
		if exceeds(len(name), limits.RoomName) {
			return ErrRooms
		}
	}
	l.mu.Lock()
	if s.status.Load() == gone {
		l.mu.Unlock()
		return nil // no effect, as in Node
	}
	if exceeds(len(s.rooms)+len(rooms), limits.Rooms) {
		extra := 0
		for _, name := range rooms {
			if !l.isInRoom(s, name) {
				extra++
			}
		}
		if exceeds(len(s.rooms)+extra, limits.Rooms) {
			l.mu.Unlock()
			return ErrRooms
		}
	}
	l.addSocket(s)
	for _, name := range rooms {
		l.joinOne(s, name)
	}
	l.mu.Unlock()
	l.callRoomHooks()
	s.sessionChanged()
	return nil
}

func (l *LocalAdapter) joinOne(s *Socket, name string) {
	if l.isInRoom(s, name) {
		return
	}
	private := l.socketsByID[name] != nil
	if !l.hasRoom(name) {
		l.queueRoomEvent(roomCreated, name, "", private)
	}
	if name == s.id {
		s.ownRoom = true
	} else {
		r := l.roomsByName[name]
		if r == nil {
			r = &room{name: name}
			l.roomsByName[name] = r
		}
		r.members = append(r.members, roomMember{s, len(s.rooms)})
		s.rooms = append(s.rooms, membership{r, len(r.members) - 1})
	}
	l.queueRoomEvent(roomJoined, name, s.id, private)
}

func (l *LocalAdapter) leaveRoom(s *Socket, name string) {
	l.mu.Lock()
	if name == s.id {
		l.leaveOwn(s)
	} else if i := slices.IndexFunc(s.rooms, func(m membership) bool { return m.room.name == name }); i >= 0 {
		l.leaveRoomAt(s, i)
	}
	l.mu.Unlock()
	l.callRoomHooks()
	s.sessionChanged()
}

func (l *LocalAdapter) leaveOwn(s *Socket) {
	if !s.ownRoom {
		return
	}
	s.ownRoom = false
	l.queueRoomEvent(roomLeft, s.id, s.id, true)
	if l.roomsByName[s.id] == nil {
		l.queueRoomEvent(roomDeleted, s.id, "", true)
	}
}

// leaveRoomAt takes s out of its i-th room.
func (l *LocalAdapter) leaveRoomAt(s *Socket, i int) {
	m := s.rooms[i]
	members := m.room.members
	last := len(members) - 1
	members[m.memberIndex] = members[last]
	members[m.memberIndex].socket.rooms[members[m.memberIndex].roomIndex].memberIndex = m.memberIndex
	members[last] = roomMember{}
	m.room.members = members[:last]

	end := len(s.rooms) - 1
	if i != end {
		s.rooms[i] = s.rooms[end]
		s.rooms[i].room.members[s.rooms[i].memberIndex].roomIndex = i
	}
	s.rooms[end] = membership{}
	s.rooms = s.rooms[:end]

	private := l.socketsByID[m.room.name] != nil
	l.queueRoomEvent(roomLeft, m.room.name, s.id, private)
	if last == 0 {
		delete(l.roomsByName, m.room.name)
		if !l.hasRoom(m.room.name) {
			l.queueRoomEvent(roomDeleted, m.room.name, "", private)
		}
	} else if cap(members) > 64 && last < cap(members)/4 {
		m.room.members = slices.Clone(m.room.members) // give memory of a once large room back
	}
}

// removeSocket takes s out of all rooms and forgets it.
func (l *LocalAdapter) removeSocket(s *Socket, reason Reason) {
	l.mu.Lock()
	l.removeLocked(s, reason)
	if s.resumption != nil {
		s.resumption.formerRooms = nil
	}
	l.mu.Unlock()
	l.dropHolds(s)
	l.callRoomHooks()
}

func (l *LocalAdapter) removeLocked(s *Socket, reason Reason) {
	for len(s.rooms) > 0 {
		l.leaveRoomAt(s, len(s.rooms)-1)
	}
	s.rooms = nil
	l.leaveOwn(s)
	if l.socketsByID[s.id] == s { // a recovered successor may have taken its place
		delete(l.socketsByID, s.id)
	}
	s.inAdapter = false
	if s.announced {
		s.announced = false
		l.queueDisconnected(s, reason)
	}
}

func (l *LocalAdapter) isInRoom(s *Socket, name string) bool {
	if name == s.id {
		return s.ownRoom
	}
	return slices.ContainsFunc(s.rooms, func(m membership) bool { return m.room.name == name })
}

func (l *LocalAdapter) inRoom(s *Socket, name string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.isInRoom(s, name) || s.resumption != nil && slices.Contains(s.resumption.formerRooms, name)
}

func (l *LocalAdapter) roomsOf(s *Socket) []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s.resumption != nil && s.resumption.formerRooms != nil {
		return slices.Clone(s.resumption.formerRooms)
	}
	return l.roomNames(s)
}

func (l *LocalAdapter) roomNames(s *Socket) []string {
	names := make([]string, 0, len(s.rooms)+1)
	if s.ownRoom {
		names = append(names, s.id)
	}
	for _, m := range s.rooms {
		names = append(names, m.room.name)
	}
	return names
}
