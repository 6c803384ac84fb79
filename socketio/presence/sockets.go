package presence

import (
	"errors"
	"reflect"
	"runtime"
	"weak"

	"posthouse/socketio"
	"posthouse/socketio/internal/declare"
)

// Namespace is what a Presence applies to: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type Namespace interface {
	Use(fn socketio.Middleware)
	OnConnection(fn func(*socketio.Socket))
	OnDisconnecting(fn func(*socketio.Socket, socketio.Reason))
	OnEvent(event string, fn func(*socketio.Event))
}

type socketKey struct {
	namespace *socketio.Namespace
	id        string
}

// tracked is a socket in rooms with presence.
type tracked struct {
	user    string
	rooms   map[string]struct{}
	leaving bool // its end has begun
}

// Apply counts the sockets of a namespace, and lets its clients ask with the event
// "presence". Call it before clients connect, and have Run running.
func (p *Presence) Apply(n Namespace) {
	n.OnConnection(func(s *socketio.Socket) {
		p.watch(s.Namespace())
		for _, room := range s.Rooms() {
			p.joined(s, room)
		}
	})
	n.OnDisconnecting(func(s *socketio.Socket, _ socketio.Reason) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if t := p.sockets[socketKey{s.Namespace(), s.ID()}]; t != nil {
			t.leaving = true
		}
	})
	n.OnEvent("presence", p.handle)
	declare.Accepts[List](n, "presence", reflect.TypeFor[string]())
	declare.Emits[notice](n, "presence")
}

// watch hears of the rooms of a namespace from its first socket on.
func (p *Presence) watch(n *socketio.Namespace) {
	key := weak.Make(n)
	p.mu.Lock()
	_, done := p.watched[key]
	p.watched[key] = struct{}{}
	p.mu.Unlock()
	if done {
		return
	}
	runtime.AddCleanup(n, p.forget, key) // dynamic namespaces come and go
	n.LocalAdapter().OnRooms(socketio.RoomHooks{
		Join: func(room, id string) {
			if !p.o.Rooms(room) {
				return
			}
			// A socket that is not connected yet is counted when it is.
			if s := n.Socket(id); s != nil {
				p.joined(s, room)
			}
		},
		Leave: func(room, id string) {
			if p.o.Rooms(room) {
				p.left(n, room, id)
			}
		},
	})
}

// forget drops a namespace that is gone.
func (p *Presence) forget(key weak.Pointer[socketio.Namespace]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watched, key)
}

// joined counts a socket in a room, once.
func (p *Presence) joined(s *socketio.Socket, room string) {
	if !p.o.Rooms(room) || room == s.ID() {
		return
	}
	user := p.o.User(s)
	if user == "" {
		return
	}
	key := socketKey{s.Namespace(), s.ID()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.InRoom(room) {
		return // it has left meanwhile
	}
	t := p.sockets[key]
	if t == nil {
		t = &tracked{user: user, rooms: map[string]struct{}{}}
		p.sockets[key] = t
	}
	if _, counted := t.rooms[room]; counted {
		return
	}
	t.rooms[room] = struct{}{}
	p.enter(key.namespace, room, t.user)
}

// left takes a socket out of a room.
func (p *Presence) left(n *socketio.Namespace, room, id string) {
	key := socketKey{n, id}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.sockets[key]
	if t == nil {
		return
	}
	if _, counted := t.rooms[room]; !counted {
		return
	}
	delete(t.rooms, room)
	p.exit(n, room, t.user, t.leaving)
	if len(t.rooms) == 0 {
		delete(p.sockets, key)
	}
}

// errors for clients.
var (
	errMember      = &socketio.EventError{Code: "forbidden", Message: "only members of the room may do that"}
	errNone        = &socketio.EventError{Code: "bad_request", Message: "this room has no presence"}
	errArgument    = &socketio.EventError{Code: "bad_request", Message: "the argument must be a room"}
	errUnavailable = &socketio.EventError{Code: "unavailable", Message: "the members are not known now"}
)

// handle answers the event "presence".
func (p *Presence) handle(e *socketio.Event) {
	list, err := p.answer(e)
	if err != nil {
		var told *socketio.EventError
		if !errors.As(err, &told) {
			err = errUnavailable
		}
		e.AckError(err)
		return
	}
	_ = e.Ack(list) // no answer was asked for, or the client has gone
}

func (p *Presence) answer(e *socketio.Event) (*List, error) {
	var room string
	if e.Bind(&room) != nil || room == "" {
		return nil, errArgument
	}
	s := e.Socket()
	if room == s.ID() || !s.InRoom(room) {
		return nil, errMember
	}
	if !p.Watches(room) {
		return nil, errNone
	}
	return p.Members(e.Context(), s.Namespace(), room)
}
