package socketio

import (
	"bytes"
	"context"
	"slices"
	"time"

	"posthouse/socketio/parser"
)

// BroadcastOperator selects sockets of a namespace, on all nodes, and acts on
// them. It is an immutable value: every method returns a changed copy, so that
// one can be kept, shared and refined.
//
//	room := io.To("room 101")
//	room.Except("muted").Emit("hello")
//	room.Volatile().Emit("position", 1, 2)
type BroadcastOperator struct {
	ns          *Namespace
	parent      *ParentNamespace // instead of ns: all its children
	roomNames   []string
	exceptRooms []string
	flags       BroadcastFlags
	record      bool
	recordUser  string
	ctx         context.Context // of WithContext; nil without
}

// WithContext tells Observer.Publishing what the events are emitted for, such as
// Event.Context. It does not end anything early.
func (b BroadcastOperator) WithContext(ctx context.Context) BroadcastOperator { b.ctx = ctx; return b }

// concatClipped returns a and b without sharing memory that is written later.
func concatClipped(a, b []string) []string { return append(slices.Clip(a), b...) }

// To adds rooms: the sockets in any of them are selected. Without rooms all
// sockets of the namespace are.
func (b BroadcastOperator) To(rooms ...string) BroadcastOperator {
	b.roomNames = concatClipped(b.roomNames, rooms)
	return b
}

// In is To.
func (b BroadcastOperator) In(rooms ...string) BroadcastOperator { return b.To(rooms...) }

// Except excludes the sockets in any of the rooms. The id of a socket is a room.
func (b BroadcastOperator) Except(rooms ...string) BroadcastOperator {
	b.exceptRooms = concatClipped(b.exceptRooms, rooms)
	return b
}

// Local confines the operator to this node.
func (b BroadcastOperator) Local() BroadcastOperator { b.flags.Local = true; return b }

// Volatile lets events be dropped for clients that cannot take them right now.
func (b BroadcastOperator) Volatile() BroadcastOperator { b.flags.Volatile = true; return b }

// Compress asks for HTTP compression of the events or not. The default is true.
func (b BroadcastOperator) Compress(on bool) BroadcastOperator { b.flags.NoCompress = !on; return b }

// Timeout bounds the wait for acknowledgements, on all nodes.
func (b BroadcastOperator) Timeout(d time.Duration) BroadcastOperator { b.flags.Timeout = d; return b }

func (b BroadcastOperator) broadcastOptions() BroadcastOptions {
	return BroadcastOptions{Rooms: b.roomNames, Except: b.exceptRooms, Flags: b.flags}
}

// forEachNamespace calls fn with the operator of every namespace meant.
func (b BroadcastOperator) forEachNamespace(fn func(BroadcastOperator) error) (err error) {
	if b.parent == nil {
		return fn(b)
	}
	for _, n := range b.parent.Namespaces() {
		child := b
		child.ns, child.parent = n, nil
		if e := fn(child); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// Emit sends an event to the selected sockets. It does not wait for them, nor
// for other nodes.
func (b BroadcastOperator) Emit(event string, args ...any) error {
	data, attachments, err := ownEvent(event, args)
	if err != nil {
		return err
	}
	if b.parent == nil { // without the closure, which would be allocated
		return b.emitEncoded(event, data, attachments)
	}
	return b.forEachNamespace(func(b BroadcastOperator) error { return b.emitEncoded(event, data, attachments) })
}

// emitEncoded is Emit to the sockets of one namespace.
func (b BroadcastOperator) emitEncoded(event string, data []byte, attachments [][]byte) error {
	p := &parser.Packet{Type: parser.Event, Namespace: b.ns.name, Data: data, Attachments: attachments}
	o := b.broadcastOptions()
	if b.record {
		_, list := parser.SplitEvent(data)
		var err error
		if o.Recorded, err = b.recorded(event, Args{list, attachments}); err != nil {
			return err
		}
	}
	published := b.observePublish(&o, event)
	err := b.ns.adapter.Broadcast(b.ns.server.ctx, p, o)
	if published != nil {
		published(err)
	}
	return err
}

// Send is Emit("message", args...).
func (b BroadcastOperator) Send(args ...any) error { return b.Emit("message", args...) }

// EmitWithAck sends an event and waits for the acknowledgements of all selected
// sockets of all nodes: one Args with one element for each, in no particular order.
// When some do not answer before ctx or Timeout ends (or Limits.AckTimeout, if there is
// neither), it returns what arrived with a *PartialError.
func (b BroadcastOperator) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	if b.parent != nil {
		return nil, ErrParent
	}
	data, attachments, err := ownEvent(event, args)
	if err != nil {
		return nil, err
	}
	if b.flags.Timeout <= 0 { // other nodes are told how long to wait
		b.flags.Timeout = b.ns.server.options.Limits.AckTimeout
		if deadline, ok := ctx.Deadline(); ok {
			b.flags.Timeout = time.Until(deadline)
		}
	}
	p := &parser.Packet{Type: parser.Event, Namespace: b.ns.name, Data: data, Attachments: attachments}
	o := b.broadcastOptions()
	published := b.observePublish(&o, event)
	values, err := b.ns.adapter.BroadcastWithAck(ctx, p, o)
	if published != nil {
		published(err)
	}
	return argsOf(values), err
}

// ownEvent encodes an event whose bytes are kept after the call: by frames that
// wait for slow clients, by logs for recovery, by publishers. The caller's
// byte slices are copied.
func ownEvent(event string, args []any) ([]byte, [][]byte, error) {
	size := len(event) + 16
	if len(args) == 1 {
		switch a := args[0].(type) { // spliced in as they are
		case Args:
			size += len(a.valuesJSON)
		case *Args:
			size += len(a.valuesJSON)
		}
	}
	data, attachments, err := appendEvent(make([]byte, 0, size), event, args)
	for i, a := range attachments {
		attachments[i] = bytes.Clone(a)
	}
	return data, attachments, err
}

func argsOf(values []Value) []Args {
	all := make([]Args, len(values))
	for i, v := range values {
		all[i] = Args{v.JSON, v.Attachments}
	}
	return all
}

// FetchSockets returns the selected sockets of all nodes. On a *PartialError
// the result holds those of the nodes that answered.
func (b BroadcastOperator) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	if b.parent != nil {
		return nil, ErrParent
	}
	details, err := b.ns.adapter.FetchSockets(ctx, b.broadcastOptions())
	sockets := make([]*RemoteSocket, len(details))
	for i, d := range details {
		sockets[i] = &RemoteSocket{ns: b.ns, details: d}
	}
	return sockets, err
}

// SocketsJoin makes the selected sockets join rooms, wherever they are.
func (b BroadcastOperator) SocketsJoin(ctx context.Context, rooms ...string) error {
	return b.forEachNamespace(func(b BroadcastOperator) error { return b.ns.adapter.AddSockets(ctx, b.broadcastOptions(), rooms) })
}

// SocketsLeave makes the selected sockets leave rooms, wherever they are.
func (b BroadcastOperator) SocketsLeave(ctx context.Context, rooms ...string) error {
	return b.forEachNamespace(func(b BroadcastOperator) error { return b.ns.adapter.DelSockets(ctx, b.broadcastOptions(), rooms) })
}

// DisconnectSockets disconnects the selected sockets, wherever they are: see
// Socket.Disconnect.
func (b BroadcastOperator) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return b.forEachNamespace(func(b BroadcastOperator) error {
		return b.ns.adapter.DisconnectSockets(ctx, b.broadcastOptions(), closeConn)
	})
}

// everyoneElse is what Socket.To and its like start from.
func (s *Socket) everyoneElse() BroadcastOperator {
	return BroadcastOperator{ns: s.ns, exceptRooms: []string{s.id}}
}

// Broadcast returns an operator for all sockets of the namespace but this one.
func (s *Socket) Broadcast() BroadcastOperator { return s.everyoneElse() }

// To returns an operator for the sockets in any of the rooms, but this one.
func (s *Socket) To(rooms ...string) BroadcastOperator { return s.everyoneElse().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) BroadcastOperator { return s.everyoneElse().To(rooms...) }

// Except returns an operator for the sockets in none of the rooms, but this one.
func (s *Socket) Except(rooms ...string) BroadcastOperator { return s.everyoneElse().Except(rooms...) }

// Local returns an operator for the other sockets of this node.
func (s *Socket) Local() BroadcastOperator { return s.everyoneElse().Local() }
