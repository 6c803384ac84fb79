package client

import (
	"slices"

	"posthouse/socketio"
)

// socketListeners are the functions registered on a socket. The slices are replaced when
// they change, so that a copy taken under Manager.mu can be walked without it.
type socketListeners struct {
	byName           []listener
	catchAll         []listener
	catchAllOutgoing []outgoingListener
	onConnect        []func()
	onConnectError   []func(error)
	onDisconnect     []func(socketio.Reason, error)
	lastID           uint32
}

type listener struct {
	eventName string
	fn        func(*Event)
	id        uint32
	callOnce  bool
}

type outgoingListener struct {
	fn func(event string, args socketio.Args)
	id uint32
}

// Listener is a registered function; Off takes it back.
type Listener struct {
	socket *Socket
	id     uint32
}

// Off removes the listener. It is idempotent.
func (l Listener) Off() {
	if l.socket != nil {
		l.socket.removeListener(l.id)
	}
}

func (s *Socket) removeListener(id uint32) (found bool) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	same := func(l listener) bool { return l.id == id }
	l := &s.listeners
	for _, list := range []*[]listener{&l.byName, &l.catchAll} {
		if slices.ContainsFunc(*list, same) {
			*list = slices.DeleteFunc(slices.Clone(*list), same)
			return true
		}
	}
	before := len(l.catchAllOutgoing)
	l.catchAllOutgoing = slices.DeleteFunc(slices.Clone(l.catchAllOutgoing), func(o outgoingListener) bool { return o.id == id })
	s.hasOutgoing.Store(len(l.catchAllOutgoing) > 0)
	return len(l.catchAllOutgoing) < before
}

func (s *Socket) addListener(register func(l *socketListeners, id uint32)) Listener {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	s.listeners.lastID++
	register(&s.listeners, s.listeners.lastID)
	return Listener{s, s.listeners.lastID}
}

// with returns a copy of list with one more.
func with[T any](list []T, more T) []T { return append(slices.Clip(list), more) }

// On calls fn for each event of that name. The handlers of one socket run one at a time
// and in the order of arrival; they stay registered when the connection is lost. A
// handler may wait, for an acknowledgement as well.
func (s *Socket) On(event string, fn func(*Event)) Listener {
	return s.addListener(func(l *socketListeners, id uint32) {
		l.byName = with(l.byName, listener{eventName: event, fn: fn, id: id})
	})
}

// Once is On for the next event of that name only.
func (s *Socket) Once(event string, fn func(*Event)) Listener {
	return s.addListener(func(l *socketListeners, id uint32) {
		l.byName = with(l.byName, listener{eventName: event, fn: fn, id: id, callOnce: true})
	})
}

// Off removes all listeners of an event.
func (s *Socket) Off(event string) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	s.listeners.byName = slices.DeleteFunc(slices.Clone(s.listeners.byName), func(l listener) bool { return l.eventName == event })
}

// OnAny calls fn for every event, before the listeners of its name.
func (s *Socket) OnAny(fn func(*Event)) Listener {
	return s.addListener(func(l *socketListeners, id uint32) { l.catchAll = with(l.catchAll, listener{fn: fn, id: id}) })
}

// OnAnyOutgoing calls fn for every event that is emitted, not for acknowledgements. It
// runs on the goroutine that emits. The arguments are valid during the call only.
func (s *Socket) OnAnyOutgoing(fn func(event string, args socketio.Args)) Listener {
	return s.addListener(func(l *socketListeners, id uint32) {
		l.catchAllOutgoing = with(l.catchAllOutgoing, outgoingListener{fn, id})
		s.hasOutgoing.Store(true)
	})
}

// OnConnect calls fn each time that the namespace was joined: Recovered tells whether the
// session goes on.
func (s *Socket) OnConnect(fn func()) {
	s.addListener(func(l *socketListeners, _ uint32) { l.onConnect = with(l.onConnect, fn) })
}

// OnConnectError calls fn when the socket could not connect. A *socketio.ConnectError is
// the refusal of a middleware: the socket is not active any more, and its Data, when
// there is some, is a json.RawMessage. After any other error the manager tries again.
func (s *Socket) OnConnectError(fn func(error)) {
	s.addListener(func(l *socketListeners, _ uint32) { l.onConnectError = with(l.onConnectError, fn) })
}

// OnDisconnect calls fn when a connected socket is so no more, with what is known of the
// cause, which may be nil. Active says whether it comes back by itself: not after
// ReasonServerDisconnect and ReasonClientDisconnect.
func (s *Socket) OnDisconnect(fn func(reason socketio.Reason, cause error)) {
	s.addListener(func(l *socketListeners, _ uint32) { l.onDisconnect = with(l.onDisconnect, fn) })
}
