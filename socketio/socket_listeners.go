package socketio

import (
	"slices"

	"posthouse/socketio/parser"
)

// listeners are the functions registered on a socket. Slices only grow in place
// and are copied to remove from them, so that a snapshot taken under Socket.mu
// can be walked without it.
type listeners struct {
	byName           []listener
	catchAll         []listener
	catchAllOutgoing []outgoingListener
	eventMiddlewares []func(*Event) error
	onError          []func(error)
	onDisconnecting  []func(Reason)
	onDisconnect     []func(Reason)
	onUpgrade        []func(transport string)
	lastID           uint32
}

type listener struct {
	eventName string
	fn        func(*Event)
	id        uint32
	callOnce  bool
}

type outgoingListener struct {
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
	for _, list := range []*[]listener{&l.byName, &l.catchAll} {
		if slices.ContainsFunc(*list, same) {
			*list = slices.DeleteFunc(slices.Clone(*list), same)
			return true
		}
	}
	sameOut := func(o outgoingListener) bool { return o.id == id }
	if slices.ContainsFunc(l.catchAllOutgoing, sameOut) {
		l.catchAllOutgoing = slices.DeleteFunc(slices.Clone(l.catchAllOutgoing), sameOut)
		s.hasOutgoing.Store(len(l.catchAllOutgoing) > 0)
		return true
	}
	return false
}

// addListener registers under s.mu.
func (s *Socket) addListener(register func(l *listeners, id uint32)) Listener {
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
	return s.addListener(func(l *listeners, id uint32) {
		l.byName = append(l.byName, listener{eventName: event, fn: fn, id: id})
	})
}

// Once is On for the next event of that name only.
func (s *Socket) Once(event string, fn func(*Event)) Listener {
	return s.addListener(func(l *listeners, id uint32) {
		l.byName = append(l.byName, listener{eventName: event, fn: fn, id: id, callOnce: true})
	})
}

// Off removes all listeners of an event that were registered on this socket.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		s.listeners.byName = slices.DeleteFunc(slices.Clone(s.listeners.byName),
			func(l listener) bool { return l.eventName == event })
	}
}

// OnAny calls fn for every event, before the middlewares of Use and the
// listeners of its name.
func (s *Socket) OnAny(fn func(*Event)) Listener {
	return s.addListener(func(l *listeners, id uint32) { l.catchAll = append(l.catchAll, listener{fn: fn, id: id}) })
}

// PrependAny is OnAny ahead of those registered before.
func (s *Socket) PrependAny(fn func(*Event)) Listener {
	return s.addListener(func(l *listeners, id uint32) {
		l.catchAll = append([]listener{{fn: fn, id: id}}, l.catchAll...)
	})
}

// OnAnyOutgoing calls fn for every event sent to this client, broadcasts
// included; not for acknowledgements. It runs on the sender's goroutine and must
// not block. The arguments are valid only during the call unless cloned.
func (s *Socket) OnAnyOutgoing(fn func(event string, args Args)) Listener {
	return s.addListener(func(l *listeners, id uint32) {
		l.catchAllOutgoing = append(l.catchAllOutgoing, outgoingListener{fn, id})
		s.hasOutgoing.Store(true)
	})
}

// PrependAnyOutgoing is OnAnyOutgoing ahead of those registered before.
func (s *Socket) PrependAnyOutgoing(fn func(event string, args Args)) Listener {
	return s.addListener(func(l *listeners, id uint32) {
		l.catchAllOutgoing = append([]outgoingListener{{fn, id}}, l.catchAllOutgoing...)
		s.hasOutgoing.Store(true)
	})
}

// Use adds a middleware for the events of this socket. It may alter the event
// (SetArgs); an error drops the event and goes to the OnError functions.
func (s *Socket) Use(fn func(*Event) error) {
	s.addListener(func(l *listeners, _ uint32) { l.eventMiddlewares = append(l.eventMiddlewares, fn) })
}

// OnError calls fn with the errors of the middlewares of Use, and with the
// decoding error that ends the connection.
func (s *Socket) OnError(fn func(error)) {
	s.addListener(func(l *listeners, _ uint32) { l.onError = append(l.onError, fn) })
}

// OnUpgrade calls fn when the connection below has changed its transport, to
// "websocket" or "webtransport": Node's socket.conn.on("upgrade"). It runs like a
// handler of the socket.
func (s *Socket) OnUpgrade(fn func(transport string)) {
	s.addListener(func(l *listeners, _ uint32) { l.onUpgrade = append(l.onUpgrade, fn) })
}

// upgraded tells the functions of OnUpgrade.
func (s *Socket) upgraded(transport string) {
	s.tellWatchers(func(o *Watcher) {
		if o.Upgraded != nil {
			o.Upgraded(s, transport)
		}
	})
	shared := s.ns.sharedHandlers.Load().onUpgrade
	s.queueCall(func() {
		// The functions of OnConnection have run by now, and may have added some.
		own := s.currentListeners().onUpgrade
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
	s.addListener(func(l *listeners, _ uint32) { l.onDisconnecting = append(l.onDisconnecting, fn) })
}

// OnDisconnect calls fn when the socket has left its namespace and all rooms.
// It is the last thing that happens to a socket.
func (s *Socket) OnDisconnect(fn func(Reason)) {
	s.addListener(func(l *listeners, _ uint32) { l.onDisconnect = append(l.onDisconnect, fn) })
}

// currentListeners returns the listeners as they are now.
func (s *Socket) currentListeners() (l listeners) {
	s.mu.Lock()
	if s.listeners != nil {
		l = *s.listeners
	}
	s.mu.Unlock()
	return l
}

// dispatchEvent runs what is registered for an event: catch-all listeners, then
// middlewares, then the listeners of its name; those of the namespace first. l are
// the socket's, as they were when its turn came.
func (s *Socket) dispatchEvent(e *Event, l *listeners) {
	if s.dropQueued.Load() {
		return // disconnected by the server meanwhile
	}
	name, list := parser.SplitEvent(e.valuesJSON)
	if name == nil {
		return // no payload: a nameless event has no listener (docs/protocol.md §3.2)
	}
	e.eventName, e.valuesJSON = name, list
	if starting := s.ns.server.options.Observer.EventStarting; starting != nil {
		s.startObserved(starting, e)
	}
	shared := s.ns.sharedHandlers.Load()
	if len(shared.watchers) > 0 {
		s.tellWatchers(func(o *Watcher) {
			if o.Received != nil {
				o.Received(e)
			}
		})
	}
	for _, fn := range shared.onAny {
		fn(e)
	}
	for _, on := range l.catchAll {
		on.fn(e)
	}
	for _, use := range l.eventMiddlewares {
		if err := use(e); err != nil {
			s.reportError(err)
			return
		}
	}
	if s.dropQueued.Load() {
		return
	}
	for _, fn := range shared.onEvent[string(e.eventName)] {
		fn(e)
	}
	for _, on := range l.byName {
		if on.eventName == string(e.eventName) && (!on.callOnce || s.removeListener(on.id)) {
			on.fn(e)
		}
	}
}

func (s *Socket) reportError(err error) {
	for _, fn := range s.currentListeners().onError {
		fn(err)
	}
}
