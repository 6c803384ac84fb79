package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// sendFlags are the modifiers of one event.
type sendFlags struct {
	volatile    bool
	callerWaits bool // for the acknowledgement
	timeout     time.Duration
}

// heldPacket is an encoded packet that waits for the connection.
type heldPacket struct {
	messages []engineio.Message
	size     int
	ack      *pendingAck // of the event, may be nil
}

// pendingAck is an acknowledgement that is waited for.
type pendingAck struct {
	id     uint64
	done   func(socketio.Args, error) // called once, with Manager.mu held: it must not block
	timer  *time.Timer
	isHeld bool // its packet is in the send buffer
}

// Emit sends an event. It does not wait: without a connection the event is kept, up to
// Options.MaxBuffered, and leaves when there is one. With Options.Retries it is sent until
// the server has acknowledged it.
func (s *Socket) Emit(event string, args ...any) error {
	return s.emit(event, args, sendFlags{}, nil)
}

// Send is Emit("message", args...).
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// EmitWithAck sends an event and waits for the server to acknowledge it. The wait ends
// with ctx, with socketio.ErrTimeout after Options.AckTimeout, or with a
// *socketio.DisconnectError. An event that has not left by then does not leave any more.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (socketio.Args, error) {
	return s.emitWait(ctx, event, args, sendFlags{})
}

// EmitAck sends an event and has fn called with the acknowledgement, or with the error
// that ended the wait. fn runs like a handler of the socket.
func (s *Socket) EmitAck(event string, fn func(socketio.Args, error), args ...any) error {
	return s.emitCall(event, fn, args, sendFlags{})
}

// Sender sends with modifiers. It is a value: every method returns a changed copy.
type Sender struct {
	socket *Socket
	flags  sendFlags
}

// Volatile returns a Sender whose events are dropped when they cannot leave right now.
func (s *Socket) Volatile() Sender { return Sender{socket: s}.Volatile() }

// Timeout returns a Sender whose acknowledgements must come within d.
func (s *Socket) Timeout(d time.Duration) Sender { return Sender{socket: s}.Timeout(d) }

// Volatile is as Socket.Volatile.
func (f Sender) Volatile() Sender { f.flags.volatile = true; return f }

// Timeout is as Socket.Timeout.
func (f Sender) Timeout(d time.Duration) Sender { f.flags.timeout = d; return f }

// Emit is as Socket.Emit.
func (f Sender) Emit(event string, args ...any) error {
	return f.socket.emit(event, args, f.flags, nil)
}

// EmitWithAck is as Socket.EmitWithAck.
func (f Sender) EmitWithAck(ctx context.Context, event string, args ...any) (socketio.Args, error) {
	return f.socket.emitWait(ctx, event, args, f.flags)
}

// EmitAck is as Socket.EmitAck.
func (f Sender) EmitAck(event string, fn func(socketio.Args, error), args ...any) error {
	return f.socket.emitCall(event, fn, args, f.flags)
}

// scratch is what encoding one packet needs.
type scratch struct {
	packet   parser.Packet
	data     []byte
	text     []byte
	messages []engineio.Message
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

// backToPool gives the buffers back, unless one became too large to keep around.
func (sc *scratch) backToPool() {
	if cap(sc.data)+cap(sc.text) > 64<<10 {
		return
	}
	clear(sc.messages)
	*sc = scratch{data: sc.data[:0], text: sc.text[:0], messages: sc.messages[:0]}
	scratches.Put(sc)
}

// encode fills sc.messages from sc.packet.
func (m *Manager) encode(sc *scratch) (err error) {
	if m.textCodec == nil {
		sc.messages, err = m.opts.Codec.Encode(sc.messages, &sc.packet)
		return err
	}
	if sc.text, err = m.textCodec.AppendText(sc.text, &sc.packet); err != nil {
		return err
	}
	sc.messages = append(sc.messages, engineio.Message{Data: sc.text})
	for _, a := range sc.packet.Attachments {
		sc.messages = append(sc.messages, engineio.Message{Data: a, Binary: true})
	}
	return nil
}

// emit sends an event; done, if any, gets its acknowledgement.
func (s *Socket) emit(event string, args []any, f sendFlags, ack *pendingAck) error {
	sc := getScratch()
	defer sc.backToPool()
	p := &sc.packet
	var err error
	if sc.data, p.Attachments, err = socketio.AppendEvent(sc.data, event, args...); err != nil {
		return err
	}
	p.Type, p.Namespace, p.Data = parser.Event, s.namespace, sc.data
	if s.hasOutgoing.Load() {
		s.callOutgoing(p)
	}
	m := s.manager
	if m.opts.Retries > 0 && !f.volatile {
		return s.queueRetry(p, f, ack)
	}
	if ack != nil {
		p.ID = &ack.id
	}
	if err := m.encode(sc); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.sendLocked(sc.messages, f, ack)
}

func (s *Socket) callOutgoing(p *parser.Packet) {
	s.manager.mu.Lock()
	fns := s.listeners.catchAllOutgoing
	s.manager.mu.Unlock()
	name, list := parser.SplitEvent(p.Data)
	for _, o := range fns {
		o.fn(string(name), socketio.ArgsOf(list, p.Attachments))
	}
}

// sendLocked sends an encoded packet or keeps it.
func (s *Socket) sendLocked(messages []engineio.Message, f sendFlags, ack *pendingAck) error {
	m := s.manager
	if m.closed {
		return ErrClosed
	}
	if ack != nil {
		if err := s.addAckLocked(ack, f.timeout); err != nil {
			return err
		}
	}
	var err error
	switch connected := s.connected && m.link != nil && m.link.conn != nil; {
	case f.volatile && !(connected && m.link.conn.Writable()):
		// Dropped; an acknowledgement is not waited for longer than its timeout.
	case connected:
		send := m.link.conn.Send
		if f.callerWaits && len(s.acks) == 1 { // nothing is under way that others could join
			send = m.link.conn.SendNow
		}
		if err = send(messages...); errors.Is(err, engine.ErrClosed) {
			err = s.holdLocked(messages, ack) // lost, and not noticed yet
		}
	default:
		err = s.holdLocked(messages, ack)
	}
	if err != nil && ack != nil {
		s.takeAckLocked(ack.id)
	}
	return err
}

// holdLocked keeps a packet until the namespace is joined.
func (s *Socket) holdLocked(messages []engineio.Message, ack *pendingAck) error {
	h := heldPacket{messages: make([]engineio.Message, len(messages)), size: eventCost, ack: ack}
	for i := range messages {
		h.size += len(messages[i].Data)
	}
	if s.sendBytes+h.size > s.manager.opts.MaxBuffered {
		return ErrBufferFull
	}
	for i, msg := range messages {
		h.messages[i] = engineio.Message{Data: bytes.Clone(msg.Data), Binary: msg.Binary}
	}
	if ack != nil {
		ack.isHeld = true
	}
	s.sendBuffer = append(s.sendBuffer, h)
	s.sendBytes += h.size
	return nil
}

// flushLocked sends what was kept.
func (s *Socket) flushLocked() {
	held := s.sendBuffer
	s.sendBuffer, s.sendBytes = nil, 0
	for i, h := range held {
		err := s.manager.link.conn.Send(h.messages...)
		if errors.Is(err, engine.ErrClosed) {
			for _, h := range held[i:] {
				s.sendBuffer = append(s.sendBuffer, h)
				s.sendBytes += h.size
			}
			return
		}
		if h.ack != nil {
			h.ack.isHeld = false
		}
		if err == nil {
			continue
		}
		if h.ack != nil {
			if ack := s.takeAckLocked(h.ack.id); ack != nil {
				ack.done(socketio.Args{}, err)
			}
		}
		s.manager.opts.Logger.Warn("socketio client: event dropped", "namespace", s.namespace, "error", err)
	}
}

// sendAck acknowledges an event on the connection that has brought it.
func (s *Socket) sendAck(e *Event, sc *scratch) error {
	sc.packet.Namespace = s.namespace
	m := s.manager
	if err := m.encode(sc); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.connected || e.ctx != s.ctx || m.link == nil || m.link.conn == nil {
		return socketio.ErrDisconnected
	}
	err := m.link.conn.Send(sc.messages...)
	if errors.Is(err, engine.ErrClosed) {
		return socketio.ErrDisconnected
	}
	return err
}

// addAckLocked registers an acknowledgement.
func (s *Socket) addAckLocked(ack *pendingAck, timeout time.Duration) error {
	if len(s.acks) >= maxAcks {
		return ErrTooManyAcks
	}
	s.acks[ack.id] = ack
	if timeout <= 0 {
		timeout = s.manager.opts.AckTimeout
	}
	if timeout > 0 {
		ack.timer = time.AfterFunc(timeout, func() { s.giveUpAck(ack, socketio.ErrTimeout) })
	}
	return nil
}

// takeAckLocked removes and returns an acknowledgement, nil when there is none.
func (s *Socket) takeAckLocked(id uint64) *pendingAck {
	ack := s.acks[id]
	if ack == nil {
		return nil
	}
	delete(s.acks, id)
	if ack.timer != nil {
		ack.timer.Stop()
	}
	if ack.isHeld {
		ack.isHeld = false
		if i := slices.IndexFunc(s.sendBuffer, func(h heldPacket) bool { return h.ack == ack }); i >= 0 {
			s.sendBytes -= s.sendBuffer[i].size
			s.sendBuffer = slices.Delete(s.sendBuffer, i, i+1)
		}
	}
	return ack
}

// giveUpAck ends the wait for an acknowledgement, if it is still waited for.
func (s *Socket) giveUpAck(ack *pendingAck, err error) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	if s.acks[ack.id] == ack {
		s.takeAckLocked(ack.id)
		ack.done(socketio.Args{}, err)
	}
}

// ackedLocked takes an acknowledgement of the server; an unknown one is ignored.
func (s *Socket) ackedLocked(p *parser.Packet) {
	if p.ID == nil || !s.connected {
		return
	}
	if ack := s.takeAckLocked(*p.ID); ack != nil {
		ack.done(socketio.ArgsOf(bytes.Clone(parser.List(p.Data)), p.Attachments), nil)
	}
}

// failAcksLocked ends the waits for what was sent; what was not goes with the next
// connection.
func (s *Socket) failAcksLocked(err error) {
	for id, ack := range s.acks {
		if !ack.isHeld {
			s.takeAckLocked(id)
			ack.done(socketio.Args{}, err)
		}
	}
}

// newAck returns an acknowledgement under an id that no other event of the socket has.
func (s *Socket) newAck(done func(socketio.Args, error)) *pendingAck {
	return &pendingAck{id: s.nextAck.Add(1) - 1, done: done}
}

func (s *Socket) emitWait(ctx context.Context, event string, args []any, f sendFlags) (socketio.Args, error) {
	type answer struct {
		args socketio.Args
		err  error
	}
	f.callerWaits = true
	answered := make(chan answer, 1)
	ack := s.newAck(func(args socketio.Args, err error) { answered <- answer{args, err} })
	if err := s.emit(event, args, f, ack); err != nil {
		return socketio.Args{}, err
	}
	select {
	case a := <-answered:
		return a.args, a.err
	case <-ctx.Done():
		err := context.Cause(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = socketio.ErrTimeout
		}
		s.giveUpAck(ack, err)
		s.giveUpRetry(ack)
		return socketio.Args{}, err
	}
}

func (s *Socket) emitCall(event string, fn func(socketio.Args, error), args []any, f sendFlags) error {
	return s.emit(event, args, f, s.newAck(func(args socketio.Args, err error) {
		s.callLocked(func() { fn(args, err) })
	}))
}
