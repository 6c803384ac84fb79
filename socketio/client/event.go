package client

import (
	"context"
	"sync/atomic"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// Event is one event that the server sent. Its arguments stay JSON until Bind knows their
// types. An Event may be kept and acknowledged later, from any goroutine.
type Event struct {
	socket      *Socket
	ctx         context.Context
	eventName   string
	args        socketio.Args
	payloadSize int
	ackID       uint64
	wantsAck    bool
	ackSent     atomic.Bool
}

// newEvent copies a packet, whose bytes are the decoder's. It is nil for an event without
// name, which has no listener (docs/protocol.md §3.2).
func newEvent(s *Socket, p *parser.Packet) *Event {
	data := append([]byte(nil), p.Data...)
	name, list := parser.SplitEvent(data)
	if name == nil {
		return nil
	}
	e := &Event{socket: s, eventName: string(name), args: socketio.ArgsOf(list, p.Attachments), payloadSize: eventCost + len(data)}
	for _, a := range p.Attachments {
		e.payloadSize += len(a)
	}
	if p.ID != nil {
		e.ackID, e.wantsAck = *p.ID, true
	}
	return e
}

// size returns what the event costs in a mailbox.
func (e *Event) size() int {
	if e == nil {
		return eventCost
	}
	return e.payloadSize
}

// Socket returns the socket that received the event.
func (e *Event) Socket() *Socket { return e.socket }

// Context returns the context of the connection to the namespace: it ends when that is
// lost, with a *socketio.DisconnectError as its cause.
func (e *Event) Context() context.Context { return e.ctx }

// Name returns the event's name. A numeric name is given as its text.
func (e *Event) Name() string { return e.eventName }

// Args returns the arguments, still undecoded. They stay valid.
func (e *Event) Args() socketio.Args { return e.args }

// Bind decodes the arguments into dst, in order: see socketio.Event.Bind.
func (e *Event) Bind(dst ...any) error { return e.args.Bind(dst...) }

// WantsAck reports whether the server asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.wantsAck }

// Ack acknowledges the event: the server's callback gets args. It returns
// socketio.ErrNoAck when the server did not ask, socketio.ErrAcked after the first call
// and socketio.ErrDisconnected when the connection that brought the event is lost.
func (e *Event) Ack(args ...any) error {
	if !e.wantsAck {
		return socketio.ErrNoAck
	}
	if e.ackSent.Swap(true) {
		return socketio.ErrAcked
	}
	sc := getScratch()
	defer sc.backToPool()
	var err error
	if sc.data, sc.packet.Attachments, err = socketio.AppendAck(sc.data, args...); err != nil {
		e.ackSent.Store(false) // the server still waits for an answer
		return err
	}
	sc.packet.Type, sc.packet.ID, sc.packet.Data = parser.Ack, &e.ackID, sc.data
	return e.socket.sendAck(e, sc)
}

// AckError acknowledges the event with an error, as Handle does for its function.
// Without an acknowledgement asked for, the server learns nothing.
func (e *Event) AckError(err error) {
	answer, known := socketio.ErrorAnswer(err)
	if !known {
		e.socket.manager.opts.Logger.Error("socketio client: handler failed",
			"namespace", e.socket.namespace, "event", e.eventName, "error", err)
	}
	if e.wantsAck {
		_ = e.Ack(answer) // the connection may be lost
	}
}

// dispatch calls the listeners.
func (e *Event) dispatch(l *socketListeners) {
	for _, on := range l.catchAll {
		on.fn(e)
	}
	for _, on := range l.byName {
		if on.eventName == e.eventName && (!on.callOnce || e.socket.removeListener(on.id)) {
			on.fn(e)
		}
	}
}
