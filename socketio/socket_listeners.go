package socketio

import (
	"slices"

	"posthouse/socketio/parser"
)

// listeners are the functions registered on a socket. Slices only grow in place
// and are copied to remove from them, so that a snapshot taken under Socket.mu
// can be walked without it.
type listeners struct {
	events        []listener
	any           []listener
	outgoing      []outgoing
	use           []func(*Event) error
	errs          []func(error)
	disconnecting []func(Reason)
	disconnect    []func(Reason)
	upgrade       []func(transport string)
	lastID        uint32
}

type listener struct {
	name string
	fn   func(*Event)
	id   uint32
	once bool
}

type outgoing struct {
	fn func(event string, args Args)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		return false
	}
	same := func(l listener) bool { return l.id == id }
	l := s.listeners
	for _, list := range []*[]listener{&l.events, &l.any} {
		if slices.ContainsFunc(*list, same) {
			*list = slices.DeleteFunc(slices.Clone(*list), same)
			return true
		}
	}
	sameOut := func(o outgoing) bool { return o.id == id }
	if slices.ContainsFunc(l.outgoing, sameOut) {
		l.outgoing = slices.DeleteFunc(slices.Clone(l.outgoing), sameOut)
		s.hasOutgoing.Store(len(l.outgoing) > 0)
		return true
	}
	return false
}

// listen registers under s.mu.
func (s *Socket) listen(register func(l *listeners, id uint32)) Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = new(listeners)
	}
	s.listeners.lastID++
	register(s.listeners, s.listeners.lastID)
	return Listener{s, s.listeners.lastID}
}

// On calls fn for each event of that name. The handlers of one socket run one
// at a time and in the order of arrival, on the socket's own goroutine; a
// handler that waits makes only this client wait. The names of ErrReserved
// never occur; other lifecycle events have methods of their own.
func (s *Socket) On(event string, fn func(*Event)) Listener {
	return s.listen(func(l *listeners, id uint32) {
		l.events = append(l.events, listener{name: event, fn: fn, id: id})
	})
}

// Once is On for the next event of that name only.
func (s *Socket) Once(event string, fn func(*Event)) Listener {
	return s.listen(func(l *listeners, id uint32) {
		l.events = append(l.events, listener{name: event, fn: fn, id: id, once: true})
	})
}

// Off removes all listeners of an event that were registered on this socket.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		s.listeners.events = slices.DeleteFunc(slices.Clone(s.listeners.events),
			func(l listener) bool { return l.name == event })
	}
}

// OnAny calls fn for every event, before the middlewares of Use and the
// listeners of its name.
func (s *Socket) OnAny(fn func(*Event)) Listener {
	return s.listen(func(l *listeners, id uint32) { l.any = append(l.any, listener{fn: fn, id: id}) })
}

// PrependAny is OnAny ahead of those registered before.
func (s *Socket) PrependAny(fn func(*Event)) Listener {
	return s.listen(func(l *listeners, id uint32) {
		l.any = append([]listener{{fn: fn, id: id}}, l.any...)
	})
}

// OnAnyOutgoing calls fn for every event sent to this client, broadcasts
// included; not for acknowledgements. It runs on the sender's goroutine and must
// not block. The arguments are valid only during the call unless cloned.
func (s *Socket) OnAnyOutgoing(fn func(event string, args Args)) Listener {
	return s.listen(func(l *listeners, id uint32) {
		l.outgoing = append(l.outgoing, outgoing{fn, id})
		s.hasOutgoing.Store(true)
	})
}

// PrependAnyOutgoing is OnAnyOutgoing ahead of those registered before.
func (s *Socket) PrependAnyOutgoing(fn func(event string, args Args)) Listener {
	return s.listen(func(l *listeners, id uint32) {
		l.outgoing = append([]outgoing{{fn, id}}, l.outgoing...)
		s.hasOutgoing.Store(true)
	})
}

// Use adds a middleware for the events of this socket. It may alter the event
// (SetArgs); an error drops the event and goes to the OnError functions.
func (s *Socket) Use(fn func(*Event) error) {
	s.listen(func(l *listeners, _ uint32) { l.use = append(l.use, fn) })
}

// OnError calls fn with the errors of the middlewares of Use, and with the
// decoding error that ends the connection.
func (s *Socket) OnError(fn func(error)) {
	s.listen(func(l *listeners, _ uint32) { l.errs = append(l.errs, fn) })
}

// OnUpgrade calls fn when the connection below has changed its transport, to
// "websocket" or "webtransport": Node's socket.conn.on("upgrade"). It runs like a
// handler of the socket.
func (s *Socket) OnUpgrade(fn func(transport string)) {
	s.listen(func(l *listeners, _ uint32) { l.upgrade = append(l.upgrade, fn) })
}

// upgraded tells the functions of OnUpgrade.
func (s *Socket) upgraded(transport string) {
	shared, own := s.ns.shared.Load().upgrade, s.snapshot().upgrade
	if len(shared)+len(own) == 0 {
		return
	}
	s.call(func() {
		for _, fn := range shared {
			fn(s, transport)
		}
		for _, fn := range own {
			fn(transport)
		}
	})
}

// OnDisconnecting calls fn when the socket is about to leave its rooms: Rooms
// still tells them.
func (s *Socket) OnDisconnecting(fn func(Reason)) {
	s.listen(func(l *listeners, _ uint32) { l.disconnecting = append(l.disconnecting, fn) })
}

// OnDisconnect calls fn when the socket has left its namespace and all rooms.
// It is the last thing that happens to a socket.
func (s *Socket) OnDisconnect(fn func(Reason)) {
	s.listen(func(l *listeners, _ uint32) { l.disconnect = append(l.disconnect, fn) })
}

// snapshot returns the listeners as they are now.
func (s *Socket) snapshot() (l listeners) {
	s.mu.Lock()
	if s.listeners != nil {
		l = *s.listeners
	}
	s.mu.Unlock()
	return l
}

// dispatch runs what is registered for an event: catch-all listeners, then
// middlewares, then the listeners of its name; those of the namespace first. l are
// the socket's, as they were when its turn came.
func (s *Socket) dispatch(e *Event, l *listeners) {
	if s.dropping.Load() {
		return // disconnected by the server meanwhile
	}
	name, list := parser.SplitEvent(e.list)
	if name == nil {
		return // no payload: a nameless event has no listener (docs/protocol.md §3.2)
	}
	e.name, e.list = name, list
	shared := s.ns.shared.Load()
	for _, fn := range shared.any {
		fn(e)
	}
	for _, on := range l.any {
		on.fn(e)
	}
	for _, use := range l.use {
		if err := use(e); err != nil {
			s.report(err)
			return
		}
	}
	if s.dropping.Load() {
		return
	}
	for _, fn := range shared.events[string(e.name)] {
		fn(e)
	}
	for _, on := range l.events {
		if on.name == string(e.name) && (!on.once || s.removeListener(on.id)) {
			on.fn(e)
		}
	}
}

func (s *Socket) report(err error) {
	for _, fn := range s.snapshot().errs {
		fn(err)
	}
}
