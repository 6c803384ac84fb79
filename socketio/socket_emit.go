package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// sendFlags are the modifiers of one packet to one client.
type sendFlags struct {
	volatile   bool
	noCompress bool
	timeout    time.Duration
}

// heldFrames is a packet that waits for CONNECT.
type heldFrames []*engineio.Frame

// Emit sends an event to this client. It does not wait: the packet is queued,
// and a client that does not read is disconnected by the engine. It returns
// ErrDisconnected when the socket is gone, which is an engineio.ErrSlow too when the
// client was too slow, and an error when an argument cannot be encoded.
func (s *Socket) Emit(event string, args ...any) error {
	return s.emitEvent(event, args, sendFlags{})
}

// EmitWithAck sends an event and waits for the client to acknowledge it. The
// wait ends with ctx, with ErrTimeout after Limits.AckTimeout when ctx has no
// deadline, or with a *DisconnectError.
//
// In a handler it keeps the following events of this socket waiting, and only
// those.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWait(ctx, event, args, sendFlags{})
}

// EmitAck sends an event and has fn called with the acknowledgement or the
// error that ended the wait. fn runs like a handler of the socket: in order,
// one at a time; not at all when the socket is gone.
func (s *Socket) EmitAck(event string, fn func(Args, error), args ...any) error {
	return s.emitCall(event, fn, args, sendFlags{})
}

// Send is Emit("message", args...).
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// Sender sends to one client with modifiers. It is a value: every method
// returns a changed copy, so that one can be kept and used again.
type Sender struct {
	socket *Socket
	flags  sendFlags
}

// Volatile returns a Sender whose events are dropped when the connection cannot
// take them right now.
func (s *Socket) Volatile() Sender { return Sender{socket: s}.Volatile() }

// Compress returns a Sender whose events ask for HTTP compression or not. The
// default is true.
func (s *Socket) Compress(on bool) Sender { return Sender{socket: s}.Compress(on) }

// Timeout returns a Sender whose acknowledgements must come within d.
func (s *Socket) Timeout(d time.Duration) Sender { return Sender{socket: s}.Timeout(d) }

// Volatile is as Socket.Volatile.
func (f Sender) Volatile() Sender { f.flags.volatile = true; return f }

// Compress is as Socket.Compress.
func (f Sender) Compress(on bool) Sender { f.flags.noCompress = !on; return f }

// Timeout is as Socket.Timeout.
func (f Sender) Timeout(d time.Duration) Sender { f.flags.timeout = d; return f }

// Emit is as Socket.Emit.
func (f Sender) Emit(event string, args ...any) error {
	return f.socket.emitEvent(event, args, f.flags)
}

// EmitWithAck is as Socket.EmitWithAck.
func (f Sender) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return f.socket.emitWait(ctx, event, args, f.flags)
}

// EmitAck is as Socket.EmitAck.
func (f Sender) EmitAck(event string, fn func(Args, error), args ...any) error {
	return f.socket.emitCall(event, fn, args, f.flags)
}

func (s *Socket) emitEvent(event string, args []any, f sendFlags) error {
	status := s.status.Load()
	if status == gone {
		return ErrDisconnected
	}
	if s.ns.addsOffsets && status == connected {
		// So that it gets an offset and can be replayed (docs/protocol.md §3.8).
		return s.asBroadcast(f).Emit(event, args...)
	}
	return s.emitPacket(event, args, f, nil)
}

func (s *Socket) asBroadcast(f sendFlags) BroadcastOperator {
	return BroadcastOperator{ns: s.ns, roomNames: []string{s.id}, flags: BroadcastFlags{
		Volatile: f.volatile, NoCompress: f.noCompress}}
}

// emitPacket encodes and sends one EVENT packet.
func (s *Socket) emitPacket(event string, args []any, f sendFlags, id *uint64) (err error) {
	sc := getScratch()
	defer sc.backToPool()
	p := &sc.packet
	p.Type, p.ID = parser.Event, id
	if sc.data, p.Attachments, err = appendEvent(sc.data, event, args); err != nil {
		return err
	}
	p.Data = sc.data
	if s.hasOutgoing.Load() || s.ns.sharedHandlers.Load().watchesSent() {
		s.runGuarded(func() { s.callOutgoing(p) })
	}
	return s.sendEncoded(sc, f)
}

func (s *Socket) emitWait(ctx context.Context, event string, args []any, f sendFlags) (Args, error) {
	ctx, cancel := s.ns.server.withDeadline(ctx, f.timeout)
	defer cancel()
	type answer struct {
		args Args
		err  error
	}
	answered := make(chan answer, 1)
	id := s.ns.lastAck.Add(1) - 1
	start := s.ackStart()
	err := s.addAck(id, func(a Args, err error) {
		answered <- answer{a, err}
	})
	if err != nil {
		return Args{}, err
	}
	if err := s.emitPacket(event, args, f, &id); err != nil {
		s.removeAck(id)
		return Args{}, err
	}
	select {
	case a := <-answered:
		s.observeAck(start, a.err)
		return a.args, a.err
	case <-ctx.Done():
		s.removeAck(id)
		s.ns.server.counters.ackTimeouts.Add(1)
		return Args{}, waitError(ctx)
	}
}

func (s *Socket) emitCall(event string, fn func(Args, error), args []any, f sendFlags) error {
	timeout := f.timeout
	if timeout <= 0 {
		timeout = s.ns.server.options.Limits.AckTimeout
	}
	id := s.ns.lastAck.Add(1) - 1
	var timer *time.Timer
	if timeout > 0 {
		timer = time.AfterFunc(timeout, func() {
			if s.removeAck(id) != nil {
				s.ns.server.counters.ackTimeouts.Add(1)
				s.queueCall(func() { fn(Args{}, ErrTimeout) })
			}
		})
	}
	stop := func() {
		if timer != nil {
			timer.Stop()
		}
	}
	start := s.ackStart()
	err := s.addAck(id, func(a Args, err error) {
		stop()
		s.observeAck(start, err)
		s.queueCall(func() { fn(a, err) })
	})
	if err == nil {
		if err = s.emitPacket(event, args, f, &id); err != nil {
			s.removeAck(id)
		}
	}
	if err != nil {
		stop()
	}
	return err
}

// queueCall queues fn in the mailbox; it is lost when the socket has ended.
func (s *Socket) queueCall(fn func()) {
	s.mu.Lock()
	start := false
	if !s.closeQueued {
		start = s.enqueueTask(&Event{taskKind: taskCall, socket: s, taskFunc: fn})
	}
	s.mu.Unlock()
	if start {
		s.ns.server.workers.Go((*drain)(s))
	}
}

// callOutgoing tells the OnAnyOutgoing listeners of a packet.
func (s *Socket) callOutgoing(p *parser.Packet) {
	name, list := parser.SplitEvent(p.Data)
	for _, fn := range s.ns.sharedHandlers.Load().onAnyOutgoing {
		fn(s, string(name), Args{list, p.Attachments})
	}
	s.tellWatchers(func(o *Watcher) {
		if o.Sent != nil {
			o.Sent(s, string(name), Args{list, p.Attachments})
		}
	})
	for _, o := range s.currentListeners().catchAllOutgoing {
		o.fn(string(name), Args{list, p.Attachments})
	}
}

// sendEncoded sends the packet in sc to this client only.
func (s *Socket) sendEncoded(sc *encodeBuffer, f sendFlags) (err error) {
	if s.status.Load() == gone {
		return ErrDisconnected
	}
	sc.packet.Namespace = s.ns.name
	if sc.packet.Type == parser.Event {
		s.countEventOut()
	}
	if text := s.ns.server.textCodec; text != nil {
		if sc.text, err = text.AppendText(sc.text, &sc.packet); err != nil {
			return err
		}
		sc.messages = append(sc.messages, engineio.Message{Data: sc.text})
		for _, a := range sc.packet.Attachments {
			sc.messages = append(sc.messages, engineio.Message{Data: a, Binary: true})
		}
	} else if sc.messages, err = s.ns.server.options.Codec.Encode(sc.messages, &sc.packet); err != nil {
		return err
	}
	soon := s.moreQueued.Load()
	if !f.volatile && !f.noCompress && !s.holdFrames.Load() {
		if soon {
			return sendError(s.conn.engineSession.SendMessagesSoon(sc.messages...))
		}
		return sendError(s.conn.engineSession.SendMessages(sc.messages...))
	}
	frames := make([]*engineio.Frame, len(sc.messages))
	for i, m := range sc.messages {
		m.Data = append([]byte(nil), m.Data...)
		frames[i] = engineio.NewFrame(m, !f.noCompress)
	}
	return s.sendFrames(frames, f.volatile, soon, nil)
}

// sendFrames sends frames in one piece, or keeps them until CONNECT was sent. With
// soon, or in a burst, they may share a write with what comes next.
func (s *Socket) sendFrames(frames []*engineio.Frame, volatile, soon bool, burst *engineio.Burst) error {
	if s.holdFrames.Load() {
		s.mu.Lock()
		if s.holdFrames.Load() {
			if len(s.heldFrames) >= maxHeld {
				s.heldTooMany = true
			} else if !s.closeQueued {
				s.heldFrames = append(s.heldFrames, frames)
			}
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
	}
	switch {
	case volatile:
		s.conn.engineSession.SendVolatile(frames...)
		return nil
	case burst != nil:
		return sendError(burst.Send(s.conn.engineSession, frames...))
	case soon:
		return sendError(s.conn.engineSession.SendSoon(frames...))
	}
	return sendError(s.conn.engineSession.Send(frames...))
}

// maxHeld bounds the packets that wait for a CONNECT packet to go first; the
// time is that of a middleware. With recovery on, a client for which there were more
// is disconnected: it comes back for them.
const maxHeld = 1024

func sendError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engineio.ErrSlow):
		return errSlow
	}
	return ErrDisconnected
}

// errSlow is what Emit returns when the engine has closed a client that is too slow.
var errSlow = fmt.Errorf("%w: %w", ErrDisconnected, engineio.ErrSlow)
