package socketio

import (
	"bytes"
	"context"
	"sync/atomic"

	"posthouse/socketio/parser"
)

// ServerSideEvent is an event from another server of the cluster.
type ServerSideEvent struct {
	eventName string
	args      Args
	sendAck   func(Value)
	ackSent   atomic.Bool
}

// Name returns the event's name.
func (e *ServerSideEvent) Name() string { return e.eventName }

// Args returns its arguments.
func (e *ServerSideEvent) Args() Args { return e.args }

// Bind decodes the arguments: see Event.Bind.
func (e *ServerSideEvent) Bind(dst ...any) error { return e.args.Bind(dst...) }

// Ack answers with one value. It returns ErrNoAck when the sender did not ask
// and ErrAcked after the first call.
func (e *ServerSideEvent) Ack(value any) error {
	if e.sendAck == nil {
		return ErrNoAck
	}
	if e.ackSent.Swap(true) {
		return ErrAcked
	}
	list, attachments, err := appendArgs(nil, nil, []any{value})
	if err != nil {
		e.ackSent.Store(false)
		return err
	}
	e.sendAck(Value{list, attachments})
	return nil
}

// reservedServerSide are the names of the events of a namespace itself.
func reservedServerSide(event string) bool {
	return event == "connect" || event == "connection" || event == "new_namespace"
}

// ServerSideEmit sends an event to the same namespace of the other servers of
// the cluster, never to this one.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	_, err := n.serverSideEmit(n.server.ctx, event, args, false)
	return err
}

// ServerSideEmitWithAck is ServerSideEmit that waits for the answer of every
// other server. On a *PartialError the result holds those that came.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	ctx, cancel := n.server.withDeadline(ctx, 0)
	defer cancel()
	values, err := n.serverSideEmit(ctx, event, args, true)
	return argsOf(values), err
}

func (n *Namespace) serverSideEmit(ctx context.Context, event string, args []any, ack bool) ([]Value, error) {
	if reservedServerSide(event) {
		return nil, ErrReserved
	}
	all, attachments, err := appendArgs(nil, nil, append([]any{event}, args...))
	if err != nil {
		return nil, err
	}
	array := append(append([]byte{'['}, all...), ']')
	return n.adapter.ServerSideEmit(ctx, Value{array, attachments}, ack)
}

// OnServerSideEmit calls fn for an event that another server of the cluster sent with
// ServerSideEmit. fn runs on the adapter's goroutine: a long task belongs on another one.
func (n *Namespace) OnServerSideEmit(event string, fn func(*ServerSideEvent)) {
	n.updateHandlers(func(h *sharedHandlers) { h.serverSide[event] = append(h.serverSide[event], fn) })
}

// DispatchServerSideEmit hands an event from another node to this namespace's
// OnServerSideEmit listeners. ack is nil when none was asked for; else it is
// called at most once with the first argument of the acknowledgement.
func (l *LocalAdapter) DispatchServerSideEmit(args Value, ack func(Value)) {
	name, list := parser.SplitEvent(args.JSON)
	if name == nil || reservedServerSide(string(name)) {
		return
	}
	e := &ServerSideEvent{eventName: string(name), args: Args{bytes.Clone(list), args.Attachments}, sendAck: ack}
	for _, fn := range l.ns.sharedHandlers.Load().serverSide[e.eventName] {
		l.runGuarded(func() { fn(e) })
	}
}
