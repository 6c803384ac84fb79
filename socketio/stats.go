package socketio

import (
	"context"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/internal/tally"
)

// Stats counts what happened to a server since it was made.
type Stats struct {
	Engine     engineio.Stats
	Namespaces map[string]NamespaceStats // those that exist now, by name
	Former     NamespaceStats            // of dynamic namespaces that were forgotten, together
	// FormerPatterns is Former of the children of OfPattern, by pattern; Former is without
	// them.
	FormerPatterns map[string]NamespaceStats

	// ConnectErrors counts CONNECT_ERROR packets: of middlewares, of limits, and for
	// namespaces that do not exist.
	ConnectErrors uint64
	// Recovered counts clients that came back with a private session id and continue
	// their socket; NotRecovered those that got a new one.
	Recovered, NotRecovered uint64
	// AckTimeouts counts waits for an acknowledgement that ended without one while the
	// client was connected.
	AckTimeouts uint64
}

// NamespaceStats counts what happened to a namespace.
type NamespaceStats struct {
	Pattern string // see Namespace.Pattern
	Sockets uint64 // connected now
	// EventsIn counts events that clients sent and that were queued for handlers;
	// EventsOut events that were sent to one client each: a broadcast counts for each
	// receiver of this node.
	EventsIn, EventsOut uint64
	// AcksIn counts acknowledgements that came and were waited for.
	AcksIn uint64
}

// Observer learns how long things take. Functions that are nil cost nothing; the others
// run on the goroutine of what they observe, must not block, and may run at the same time
// for different sockets. See Options.Observer.
type Observer struct {
	// SocketConnecting is told of a CONNECT before the middlewares run. The context that it
	// returns, made from ctx, becomes that of the socket: a span, for example, which the
	// socket's events belong to.
	SocketConnecting func(ctx context.Context, s *Socket) context.Context
	// SocketConnected is told when a socket has come into its namespace, or was refused
	// with err; start is when the CONNECT packet came.
	SocketConnected func(s *Socket, start time.Time, err error)
	// EventStarting is told before the handlers of an event run. The context that it
	// returns, made from ctx, becomes that of the event.
	EventStarting func(ctx context.Context, e *Event) context.Context
	// EventHandled is told when the handlers of an event have returned.
	EventHandled func(e *Event, start time.Time)
	// Publishing is told before an event goes to the selected sockets of all nodes, not for
	// one of Local; ctx is that of BroadcastOperator.WithContext. The trace that it returns
	// travels to the other nodes, and published, unless nil, is called when the adapter has
	// the event, or all acknowledgements.
	Publishing func(ctx context.Context, n *Namespace, event string) (trace string, published func(error))
	// Received is told when an event of another node, whose Publishing returned a trace, was
	// given to the sockets of this one. start is when it came.
	Received func(n *Namespace, trace string, start time.Time)
	// AckReceived is told when the acknowledgement of an EmitWithAck or EmitAck came.
	AckReceived func(s *Socket, start time.Time)
}

// The values of Namespace.traffic.
const (
	eventsIn = iota
	eventsOut
	socketsIn
	socketsOut
	acksIn
)

// counters is the part of Stats that is no namespace's own.
type counters struct {
	connectErrors           atomic.Uint64
	recovered, notRecovered atomic.Uint64
	ackTimeouts             atomic.Uint64
}

// Stats returns the counters, of this node alone. The values are read one after the
// other, while the server goes on.
func (s *Server) Stats() Stats {
	c := &s.counters
	st := Stats{
		Engine: s.engineServer.Stats(), Namespaces: map[string]NamespaceStats{}, FormerPatterns: map[string]NamespaceStats{},
		ConnectErrors: c.connectErrors.Load(), Recovered: c.recovered.Load(), NotRecovered: c.notRecovered.Load(),
		AckTimeouts: c.ackTimeouts.Load(),
	}
	s.mu.Lock()
	st.Former = s.formerTraffic
	for _, p := range s.parentNamespaces {
		if pattern := p.patternText; pattern != "" {
			st.FormerPatterns[pattern] = st.FormerPatterns[pattern].plus(p.formerTraffic)
		}
	}
	for _, e := range s.namespacesByName {
		if e.isMade {
			st.Namespaces[e.ns.name] = e.ns.Stats()
		}
	}
	s.mu.Unlock()
	return st
}

// Stats returns the counters of the namespace, of this node alone.
func (n *Namespace) Stats() NamespaceStats {
	gone, come := n.traffic.Sum(socketsOut), n.traffic.Sum(socketsIn) // in this order: never negative
	return NamespaceStats{
		Pattern: n.Pattern(),
		Sockets: come - gone, EventsIn: n.traffic.Sum(eventsIn), EventsOut: n.traffic.Sum(eventsOut), AcksIn: n.traffic.Sum(acksIn),
	}
}

func (s NamespaceStats) plus(o NamespaceStats) NamespaceStats {
	s.Sockets, s.EventsIn, s.EventsOut, s.AcksIn = s.Sockets+o.Sockets, s.EventsIn+o.EventsIn, s.EventsOut+o.EventsOut, s.AcksIn+o.AcksIn
	return s
}

// WaitingEvents returns how many events of clients wait for their handlers, in all
// namespaces. It looks at each socket.
func (s *Server) WaitingEvents() (sum int) {
	for _, n := range s.listNamespaces() {
		for socket := range n.Sockets() {
			socket.mu.Lock()
			sum += socket.mailbox.eventCount
			socket.mu.Unlock()
		}
	}
	return sum
}

// countEventOut counts an event to one client.
func (s *Socket) countEventOut() { s.ns.traffic.Add(tally.Key(s.id), eventsOut, 1) }

// wrapContext lets the observer add to the context of the socket.
func (s *Socket) wrapContext(wrap func(context.Context, *Socket) context.Context) {
	ctx := wrap(s.Context(), s)
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
}

// startObserved lets the observer add to the context of an event.
func (s *Socket) startObserved(starting func(context.Context, *Event) context.Context, e *Event) {
	s.runGuarded(func() {
		ctx := starting(s.Context(), e)
		e.taskFunc = func() context.Context { return ctx }
	})
}

// observePublish tells the observer of a broadcast to all nodes.
func (b *BroadcastOperator) observePublish(o *BroadcastOptions, event string) (published func(error)) {
	fn := b.ns.server.options.Observer.Publishing
	if fn == nil || o.Flags.Local {
		return nil
	}
	ctx := b.ctx
	if ctx == nil {
		ctx = b.ns.server.ctx
	}
	o.Flags.Trace, published = fn(ctx, b.ns, event)
	return published
}

// receiveStart is the time from which a broadcast of another node is timed; zero for any
// other one, and where that is not asked for.
func (l *LocalAdapter) receiveStart(f *BroadcastFlags) (start time.Time) {
	if f.Trace != "" && f.Local && l.ns.server.options.Observer.Received != nil {
		start = time.Now()
	}
	return start
}

// ackStart is the time from which an acknowledgement is timed.
func (s *Socket) ackStart() (start time.Time) {
	if s.ns.server.options.Observer.AckReceived != nil {
		start = time.Now()
	}
	return start
}

// observeAck tells the observer of an acknowledgement, not of the error that ended the wait.
func (s *Socket) observeAck(start time.Time, err error) {
	if fn := s.ns.server.options.Observer.AckReceived; fn != nil && err == nil {
		s.runGuarded(func() { fn(s, start) })
	}
}
