package socketio

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/internal/tally"
)

// Namespace is a named group of sockets with handlers of its own. All methods
// are safe for concurrent use; register handlers before clients connect. A
// Namespace also broadcasts to all its sockets: see BroadcastOperator.
type Namespace struct {
	name           string
	server         *Server
	parent         *ParentNamespace // of a dynamic namespace
	localAdapter   *LocalAdapter
	adapter        Adapter
	recovery       *Recovery    // nil without
	sessionStore   SessionStore // nil without recovery
	addsOffsets    bool         // the adapter puts offsets on broadcasts
	lastAck        atomic.Uint64
	traffic        tally.Set                      // events and sockets, see Stats
	sharedHandlers atomic.Pointer[sharedHandlers] // copied on write under mu

	mu sync.Mutex // serialises changes of handlers
}

// sharedHandlers are what all sockets of a namespace have in common: nothing of
// it is kept per socket. Immutable.
type sharedHandlers struct {
	connectMiddlewares []Middleware
	eventRate          *eventRate // nil: that of the server
	onConnection       []func(*Socket)
	onEvent            map[string][]func(*Event)
	onAny              []func(*Event)
	onAnyOutgoing      []func(s *Socket, event string, args Args)
	onUpgrade          []func(s *Socket, transport string)
	onDisconnecting    []func(*Socket, Reason)
	onDisconnect       []func(*Socket, Reason)
	serverSide         map[string][]func(*ServerSideEvent)
	watchers           []*Watcher
	eventTypes         []EventType
	recorder           Recorder // nil: nothing is kept
}

func (h *sharedHandlers) clone() *sharedHandlers {
	c := *h
	c.connectMiddlewares = slices.Clone(h.connectMiddlewares)
	c.onConnection = slices.Clone(h.onConnection)
	c.onAny = slices.Clone(h.onAny)
	c.onAnyOutgoing = slices.Clone(h.onAnyOutgoing)
	c.onUpgrade = slices.Clone(h.onUpgrade)
	c.onDisconnecting = slices.Clone(h.onDisconnecting)
	c.onDisconnect = slices.Clone(h.onDisconnect)
	c.watchers = slices.Clone(h.watchers)
	c.eventTypes = slices.Clip(h.eventTypes) // shared: an append copies it
	c.onEvent = make(map[string][]func(*Event), len(h.onEvent))
	for k, v := range h.onEvent {
		c.onEvent[k] = slices.Clone(v)
	}
	c.serverSide = make(map[string][]func(*ServerSideEvent), len(h.serverSide))
	for k, v := range h.serverSide {
		c.serverSide[k] = slices.Clone(v)
	}
	return &c
}

// newNamespace makes a namespace with its adapter; it is not registered yet.
func newNamespace(s *Server, name string, parent *ParentNamespace) (*Namespace, error) {
	n := &Namespace{name: name, server: s, parent: parent, traffic: tally.New()}
	h := new(sharedHandlers)
	if parent != nil {
		h = parent.handlers()
	}
	h = h.clone()
	h.eventRate = nil // newLimiter asks the parent
	n.sharedHandlers.Store(h)
	n.localAdapter = newLocal(n)
	if err := n.makeAdapter(); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Namespace) makeAdapter() (err error) {
	opts := &n.server.options
	n.recovery = opts.recoveryOf(n)
	switch {
	case opts.NewAdapter != nil:
		n.adapter, err = opts.NewAdapter(n.localAdapter)
	case n.recovery != nil:
		n.adapter = newSessionAdapter(n.localAdapter, n.recovery)
	default:
		n.adapter = n.localAdapter
	}
	if err != nil {
		return err
	}
	if w, ok := n.adapter.(RoomWatcher); ok {
		n.localAdapter.roomWatcher = w
	}
	if store, ok := n.adapter.(SessionStore); ok && n.recovery != nil {
		n.sessionStore, n.addsOffsets = store, true
		n.localAdapter.sessionWatcher, _ = n.adapter.(SessionWatcher)
	}
	return nil
}

func (n *Namespace) updateHandlers(change func(h *sharedHandlers)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.sharedHandlers.Load().clone()
	change(h)
	n.sharedHandlers.Store(h)
}

// Name returns the namespace's name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Server returns the server of the namespace.
func (n *Namespace) Server() *Server { return n.server }

// Adapter returns what the namespace reaches its sockets with.
func (n *Namespace) Adapter() Adapter { return n.adapter }

// LocalAdapter returns the rooms of this node with a way to watch them.
func (n *Namespace) LocalAdapter() *LocalAdapter { return n.localAdapter }

// Use adds a middleware: it decides about every new socket of this namespace,
// after those added before.
func (n *Namespace) Use(fn Middleware) {
	n.updateHandlers(func(h *sharedHandlers) { h.connectMiddlewares = append(h.connectMiddlewares, fn) })
}

// OnConnection calls fn for each new socket, on the socket's goroutine and
// before any of its events: the place to register its handlers.
func (n *Namespace) OnConnection(fn func(*Socket)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onConnection = append(h.onConnection, fn) })
}

// OnEvent calls fn for an event of any socket of the namespace, ahead of what
// Socket.On registered. Unlike there, nothing is kept per socket: use it when
// the handler needs no more than Event.Socket.
func (n *Namespace) OnEvent(event string, fn func(*Event)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onEvent[event] = append(h.onEvent[event], fn) })
}

// OnAny is OnEvent for every event.
func (n *Namespace) OnAny(fn func(*Event)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onAny = append(h.onAny, fn) })
}

// OnAnyOutgoing is Socket.OnAnyOutgoing for all sockets of the namespace: fn is called
// once for each socket of this node that an event is sent to.
func (n *Namespace) OnAnyOutgoing(fn func(s *Socket, event string, args Args)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onAnyOutgoing = append(h.onAnyOutgoing, fn) })
}

// OnUpgrade is Socket.OnUpgrade for all sockets of the namespace.
func (n *Namespace) OnUpgrade(fn func(s *Socket, transport string)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onUpgrade = append(h.onUpgrade, fn) })
}

// OnDisconnecting is Socket.OnDisconnecting for all sockets of the namespace.
func (n *Namespace) OnDisconnecting(fn func(*Socket, Reason)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onDisconnecting = append(h.onDisconnecting, fn) })
}

// OnDisconnect is Socket.OnDisconnect for all sockets of the namespace.
func (n *Namespace) OnDisconnect(fn func(*Socket, Reason)) {
	n.updateHandlers(func(h *sharedHandlers) { h.onDisconnect = append(h.onDisconnect, fn) })
}

func (n *Namespace) connectionHandlers() []func(*Socket) { return n.sharedHandlers.Load().onConnection }
func (n *Namespace) middlewares() []Middleware           { return n.sharedHandlers.Load().connectMiddlewares }

// Sockets walks the connected sockets of this node. FetchSockets asks all nodes.
func (n *Namespace) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range n.localAdapter.collectTargets(BroadcastOptions{}) {
			if !yield(s) {
				return
			}
		}
	}
}

// Len returns the number of connected sockets of this node.
func (n *Namespace) Len() int { return n.localAdapter.connected() }

// Socket returns a connected socket of this node by its id, or nil.
func (n *Namespace) Socket(id string) *Socket { return n.localAdapter.socketByID(id) }

// allSockets is the operator of the whole namespace.
func (n *Namespace) allSockets() BroadcastOperator { return BroadcastOperator{ns: n} }

// To returns an operator for the sockets in any of the rooms.
func (n *Namespace) To(rooms ...string) BroadcastOperator { return n.allSockets().To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) BroadcastOperator { return n.allSockets().To(rooms...) }

// Except returns an operator for the sockets in none of the rooms.
func (n *Namespace) Except(rooms ...string) BroadcastOperator { return n.allSockets().Except(rooms...) }

// Local returns an operator for the sockets of this node.
func (n *Namespace) Local() BroadcastOperator { return n.allSockets().Local() }

// Volatile returns an operator whose events may be dropped: see Socket.Volatile.
func (n *Namespace) Volatile() BroadcastOperator { return n.allSockets().Volatile() }

// Compress returns an operator that sets compression: see Socket.Compress.
func (n *Namespace) Compress(on bool) BroadcastOperator { return n.allSockets().Compress(on) }

// Timeout returns an operator whose acknowledgements must come within d.
func (n *Namespace) Timeout(d time.Duration) BroadcastOperator { return n.allSockets().Timeout(d) }

// Emit sends an event to all sockets of the namespace, on all nodes.
func (n *Namespace) Emit(event string, args ...any) error { return n.allSockets().Emit(event, args...) }

// Send is Emit("message", args...).
func (n *Namespace) Send(args ...any) error { return n.Emit("message", args...) }

// EmitWithAck is as BroadcastOperator.EmitWithAck, for all sockets.
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return n.allSockets().EmitWithAck(ctx, event, args...)
}

// FetchSockets returns the sockets of the namespace on all nodes.
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.allSockets().FetchSockets(ctx)
}

// SocketsJoin makes all sockets of the namespace join rooms.
func (n *Namespace) SocketsJoin(ctx context.Context, rooms ...string) error {
	return n.allSockets().SocketsJoin(ctx, rooms...)
}

// SocketsLeave makes all sockets of the namespace leave rooms.
func (n *Namespace) SocketsLeave(ctx context.Context, rooms ...string) error {
	return n.allSockets().SocketsLeave(ctx, rooms...)
}

// DisconnectSockets disconnects all sockets of the namespace.
func (n *Namespace) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return n.allSockets().DisconnectSockets(ctx, closeConn)
}
