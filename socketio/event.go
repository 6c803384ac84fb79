package socketio

import (
	"context"
	"sync/atomic"

	"posthouse/socketio/parser"
)

// Event is one event that a client sent. Its arguments stay JSON until Bind
// knows their types. An Event may be kept and acknowledged later, from any
// goroutine.
type Event struct {
	socket     *Socket
	nextQueued *Event // in the mailbox

	eventName   []byte // aliases what list was
	valuesJSON  []byte // in the mailbox ["name",arg,…], then the arguments without brackets
	attachments [][]byte
	ackID       uint64
	taskKind    taskKind
	wantsAck    bool
	ackSent     atomic.Bool

	// taskFunc is the work of taskCall and taskClose, which gives no context, and for an
	// event what Context returns; nil: that of the socket.
	taskFunc func() context.Context
}

// Socket returns the socket that received the event.
func (e *Event) Socket() *Socket { return e.socket }

// Context returns the context of the socket, which ends when the socket does, with what
// Observer.EventStarting added to it.
func (e *Event) Context() context.Context {
	if e.taskKind == taskEvent && e.taskFunc != nil {
		return e.taskFunc()
	}
	return e.socket.Context()
}

// Name returns the event's name. A numeric name is given as its text.
func (e *Event) Name() string { return string(e.eventName) }

// Args returns the arguments after the name, still undecoded. They stay valid
// as long as anyone holds them.
func (e *Event) Args() Args { return Args{e.valuesJSON, e.attachments} }

// SetArgs replaces the arguments: for a Socket.Use function that alters an event
// before the handlers see it.
func (e *Event) SetArgs(args ...any) error {
	list, attachments, err := appendArgs(nil, nil, args)
	if err != nil {
		return err
	}
	e.valuesJSON, e.attachments = list, attachments
	return nil
}

// Bind decodes the arguments into dst, in order, as json.Unmarshal does; a
// []byte anywhere in a destination takes a binary value. More arguments than
// destinations are ignored. A missing one is an error, unless it is for a
// pointer to a pointer, which is left alone.
func (e *Event) Bind(dst ...any) error { return e.Args().Bind(dst...) }

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.wantsAck }

// Ack acknowledges the event: the client's callback gets args. Args given as
// one value of type Args are passed on as they came, without decoding. It
// returns ErrNoAck when the client did not ask, ErrAcked after the first call
// and ErrDisconnected when the client is gone.
func (e *Event) Ack(args ...any) error {
	if err := e.sendNullAck(); err != nil {
		return err
	}
	sc := getScratch()
	defer sc.backToPool()
	var err error
	sc.data = append(sc.data, '[')
	if sc.data, sc.packet.Attachments, err = appendArgs(sc.data, nil, args); err != nil {
		e.ackSent.Store(false) // the client still waits for an answer
		return err
	}
	return e.sendAck(sc)
}

// AckArgs is Ack(a) without its allocation: nothing is decoded or scanned.
func (e *Event) AckArgs(a Args) error {
	if err := e.sendNullAck(); err != nil {
		return err
	}
	sc := getScratch()
	defer sc.backToPool()
	sc.data = append(append(sc.data, '['), a.valuesJSON...)
	sc.packet.Attachments = a.attachments
	return e.sendAck(sc)
}

func (e *Event) sendNullAck() error {
	if !e.wantsAck {
		return ErrNoAck
	}
	if e.ackSent.Swap(true) {
		return ErrAcked
	}
	return nil
}

func (e *Event) sendAck(sc *encodeBuffer) error {
	sc.data = append(sc.data, ']')
	sc.packet.Type, sc.packet.ID, sc.packet.Data = parser.Ack, &e.ackID, sc.data
	return e.socket.sendEncoded(sc, sendFlags{})
}

// newEvent copies a packet, whose bytes are the decoder's, into an Event. Event
// and copy are one allocation unless the payload is long.
func newEvent(s *Socket, p *parser.Packet) *Event {
	var e *Event
	var raw []byte
	switch n := len(p.Data); {
	case n <= 48: // with Event's 112 bytes these fill a size class of the allocator each
		b := new(struct {
			Event
			buf [48]byte
		})
		e, raw = &b.Event, b.buf[:n:n]
	case n <= 96:
		b := new(struct {
			Event
			buf [96]byte
		})
		e, raw = &b.Event, b.buf[:n:n]
	case n <= 144:
		b := new(struct {
			Event
			buf [144]byte
		})
		e, raw = &b.Event, b.buf[:n:n]
	case n <= 400:
		b := new(struct {
			Event
			buf [400]byte
		})
		e, raw = &b.Event, b.buf[:n:n]
	case n <= 1168:
		b := new(struct {
			Event
			buf [1168]byte
		})
		e, raw = &b.Event, b.buf[:n:n]
	default:
		e, raw = new(Event), make([]byte, n)
	}
	copy(raw, p.Data)
	e.socket, e.valuesJSON, e.attachments = s, raw, p.Attachments
	if p.ID != nil {
		e.ackID, e.wantsAck = *p.ID, true
	}
	return e
}
