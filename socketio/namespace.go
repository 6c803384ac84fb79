package socketio

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Namespace is a named group of sockets with handlers of its own. All methods
// are safe for concurrent use; register handlers before clients connect. A
// Namespace also broadcasts to all its sockets: see BroadcastOperator.
type Namespace struct {
	name    string
	server  *Server
	parent  *ParentNamespace // of a dynamic namespace
	local   *Local
	adapter Adapter
	store   SessionStore // nil without recovery
	offsets bool         // the adapter puts offsets on broadcasts
	lastAck atomic.Uint64
	shared  atomic.Pointer[sharedHandlers] // copied on write under mu

	mu sync.Mutex
}

// sharedHandlers are what all sockets of a namespace have in common: nothing of
// it is kept per socket. Immutable.
type sharedHandlers struct {
	use           []Middleware
	rate          *eventRate // nil: that of the server
	connection    []func(*Socket)
	events        map[string][]func(*Event)
	any           []func(*Event)
	outgoing      []func(s *Socket, event string, args Args)
	upgrade       []func(s *Socket, transport string)
	disconnecting []func(*Socket, Reason)
	disconnect    []func(*Socket, Reason)
	serverSide    map[string][]func(*ServerSideEvent)
}

func (h *sharedHandlers) clone() *sharedHandlers {
	c := *h
	c.use = slices.Clone(h.use)
	c.connection = slices.Clone(h.connection)
	c.any = slices.Clone(h.any)
	c.outgoing = slices.Clone(h.outgoing)
	c.upgrade = slices.Clone(h.upgrade)
	c.disconnecting = slices.Clone(h.disconnecting)
	c.disconnect = slices.Clone(h.disconnect)
	c.events = make(map[string][]func(*Event), len(h.events))
	for k, v := range h.events {
		c.events[k] = slices.Clone(v)
	}
	c.serverSide = make(map[string][]func(*ServerSideEvent), len(h.serverSide))
	for k, v := range h.serverSide {
		c.serverSide[k] = slices.Clone(v)
	}
	return &c
}

// newNamespace makes a namespace with its adapter; it is not registered yet.
func newNamespace(s *Server, name string, parent *ParentNamespace) (*Namespace, error) {
	n := &Namespace{name: name, server: s, parent: parent}
	h := new(sharedHandlers)
	if parent != nil {
		h = parent.handlers()
	}
	n.shared.Store(h.clone())
	n.local = newLocal(n)
	if err := n.makeAdapter(); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Namespace) makeAdapter() (err error) {
	opts := &n.server.opts
	switch {
	case opts.NewAdapter != nil:
		n.adapter, err = opts.NewAdapter(n.local)
	case opts.Recovery != nil:
		n.adapter = newSessionAdapter(n.local, opts.Recovery)
	default:
		n.adapter = n.local
	}
	if err != nil {
		return err
	}
	if w, ok := n.adapter.(RoomWatcher); ok {
		n.local.watcher = w
	}
	if store, ok := n.adapter.(SessionStore); ok && opts.Recovery != nil {
		n.store, n.offsets = store, true
	}
	return nil
}

func (n *Namespace) update(change func(h *sharedHandlers)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.shared.Load().clone()
	change(h)
	n.shared.Store(h)
}

// Name returns the namespace's name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Server returns the server of the namespace.
func (n *Namespace) Server() *Server { return n.server }

// Adapter returns what the namespace reaches its sockets with.
func (n *Namespace) Adapter() Adapter { return n.adapter }

// Rooms returns the rooms of this node with a way to watch them.
func (n *Namespace) Rooms() *Local { return n.local }

// Use adds a middleware: it decides about every new socket of this namespace,
// after those added before.
func (n *Namespace) Use(fn Middleware) {
	n.update(func(h *sharedHandlers) { h.use = append(h.use, fn) })
}

// OnConnection calls fn for each new socket, on the socket's goroutine and
// before any of its events: the place to register its handlers.
func (n *Namespace) OnConnection(fn func(*Socket)) {
	n.update(func(h *sharedHandlers) { h.connection = append(h.connection, fn) })
}

// OnEvent calls fn for an event of any socket of the namespace, ahead of what
// Socket.On registered. Unlike there, nothing is kept per socket: use it when
// the handler needs no more than Event.Socket.
func (n *Namespace) OnEvent(event string, fn func(*Event)) {
	n.update(func(h *sharedHandlers) { h.events[event] = append(h.events[event], fn) })
}

// OnAny is OnEvent for every event.
func (n *Namespace) OnAny(fn func(*Event)) {
	n.update(func(h *sharedHandlers) { h.any = append(h.any, fn) })
}

// OnAnyOutgoing is Socket.OnAnyOutgoing for all sockets of the namespace: fn is called
// once for each socket of this node that an event is sent to.
func (n *Namespace) OnAnyOutgoing(fn func(s *Socket, event string, args Args)) {
	n.update(func(h *sharedHandlers) { h.outgoing = append(h.outgoing, fn) })
}

// OnUpgrade is Socket.OnUpgrade for all sockets of the namespace.
func (n *Namespace) OnUpgrade(fn func(s *Socket, transport string)) {
	n.update(func(h *sharedHandlers) { h.upgrade = append(h.upgrade, fn) })
}

// OnDisconnecting is Socket.OnDisconnecting for all sockets of the namespace.
func (n *Namespace) OnDisconnecting(fn func(*Socket, Reason)) {
	n.update(func(h *sharedHandlers) { h.disconnecting = append(h.disconnecting, fn) })
}

// OnDisconnect is Socket.OnDisconnect for all sockets of the namespace.
func (n *Namespace) OnDisconnect(fn func(*Socket, Reason)) {
	n.update(func(h *sharedHandlers) { h.disconnect = append(h.disconnect, fn) })
}

func (n *Namespace) connectionHandlers() []func(*Socket) { return n.shared.Load().connection }
func (n *Namespace) middlewares() []Middleware           { return n.shared.Load().use }

// Sockets walks the connected sockets of this node. FetchSockets asks all nodes.
func (n *Namespace) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, s := range n.local.targets(BroadcastOptions{}) {
			if !yield(s) {
				return
			}
		}
	}
}

// Len returns the number of connected sockets of this node.
func (n *Namespace) Len() int { return n.local.connected() }

// Socket returns a connected socket of this node by its id, or nil.
func (n *Namespace) Socket(id string) *Socket { return n.local.socket(id) }

// everyone is the operator of the whole namespace.
func (n *Namespace) everyone() BroadcastOperator { return BroadcastOperator{ns: n} }

// To returns an operator for the sockets in any of the rooms.
func (n *Namespace) To(rooms ...string) BroadcastOperator { return n.everyone().To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) BroadcastOperator { return n.everyone().To(rooms...) }

// Except returns an operator for the sockets in none of the rooms.
func (n *Namespace) Except(rooms ...string) BroadcastOperator { return n.everyone().Except(rooms...) }

// Local returns an operator for the sockets of this node.
func (n *Namespace) Local() BroadcastOperator { return n.everyone().Local() }

// Volatile returns an operator whose events may be dropped: see Socket.Volatile.
func (n *Namespace) Volatile() BroadcastOperator { return n.everyone().Volatile() }

// Compress returns an operator that sets compression: see Socket.Compress.
func (n *Namespace) Compress(on bool) BroadcastOperator { return n.everyone().Compress(on) }

// Timeout returns an operator whose acknowledgements must come within d.
func (n *Namespace) Timeout(d time.Duration) BroadcastOperator { return n.everyone().Timeout(d) }

// Emit sends an event to all sockets of the namespace, on all nodes.
func (n *Namespace) Emit(event string, args ...any) error { return n.everyone().Emit(event, args...) }

// Send is Emit("message", args...).
func (n *Namespace) Send(args ...any) error { return n.Emit("message", args...) }

// EmitWithAck is as BroadcastOperator.EmitWithAck, for all sockets.
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return n.everyone().EmitWithAck(ctx, event, args...)
}

// FetchSockets returns the sockets of the namespace on all nodes.
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.everyone().FetchSockets(ctx)
}

// SocketsJoin makes all sockets of the namespace join rooms.
func (n *Namespace) SocketsJoin(ctx context.Context, rooms ...string) error {
	return n.everyone().SocketsJoin(ctx, rooms...)
}

// SocketsLeave makes all sockets of the namespace leave rooms.
func (n *Namespace) SocketsLeave(ctx context.Context, rooms ...string) error {
	return n.everyone().SocketsLeave(ctx, rooms...)
}

// DisconnectSockets disconnects all sockets of the namespace.
func (n *Namespace) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return n.everyone().DisconnectSockets(ctx, closeConn)
}
