package socketio

import (
	"context"
	"slices"
	"sync"

	"posthouse/socketio/engineio"
	"posthouse/socketio/internal/tally"
	"posthouse/socketio/parser"
)

// encodeFrames encodes a packet once for all its receivers.
func (l *LocalAdapter) encodeFrames(p *parser.Packet, id *uint64, f BroadcastFlags) ([]*engineio.Frame, error) {
	own := *p
	own.Namespace, own.ID = l.ns.name, id
	messages, err := l.ns.server.options.Codec.Encode(nil, &own)
	if err != nil {
		return nil, err
	}
	frames := make([]*engineio.Frame, len(messages))
	for i, m := range messages {
		frames[i] = engineio.NewFrame(m, !f.NoCompress)
	}
	return frames, nil
}

// sendAll sends to each target. Sending never blocks, so that one slow client
// holds up no other client; of a burst of broadcasts each client gets what has gathered in
// one write.
func (l *LocalAdapter) sendAll(targets []*Socket, frames []*engineio.Frame, o *BroadcastOptions, burst *engineio.Burst) {
	if len(targets) > 0 {
		l.ns.traffic.Add(tally.Key(targets[0].id), eventsOut, uint64(len(targets)))
	}
	holding := l.holdCount.Load() > 0
	for _, s := range targets {
		if holding && l.isHeld(s, frames, o) {
			continue
		}
		_ = s.sendFrames(frames, o.Flags.Volatile, true, burst) // a socket that has just gone gets nothing
	}
}

// tellOutgoing calls the OnAnyOutgoing listeners of the targets that have some.
func tellOutgoing(targets []*Socket, p *parser.Packet) {
	if len(targets) == 0 {
		return
	}
	shared := targets[0].ns.sharedHandlers.Load().watchesSent()
	for _, s := range targets {
		if shared || s.hasOutgoing.Load() {
			s.runGuarded(func() { s.callOutgoing(p) })
		}
	}
}

// BroadcastAcks is the building block of a broadcast with acks that another node
// asked for: it sends p under a fresh ack id, returns the number of receiving
// sockets, and calls onAck once for each acknowledgement until stop is called
// or ctx ends. onAck must not block.
func (l *LocalAdapter) BroadcastAcks(ctx context.Context, p *parser.Packet, o BroadcastOptions, onAck func(Value)) (clients int, stop func()) {
	burst := l.ns.server.engineServer.NewBurst()
	defer burst.End()
	targets := l.collectTargets(o)
	if len(targets) == 0 {
		return 0, func() {}
	}
	id := l.ns.lastAck.Add(1) - 1
	frames, err := l.encodeFrames(p, &id, o.Flags)
	if err != nil {
		l.ns.server.log.Warn("socketio: broadcast cannot be encoded", "namespace", l.ns.name, "error", err)
		return 0, func() {}
	}
	answer := func(a Args, err error) {
		if err == nil {
			onAck(a.firstValue())
		}
	}
	clients = len(targets) // those that go now are counted: the members asked are fixed
	targets = slices.DeleteFunc(targets, func(s *Socket) bool { return s.addAck(id, answer) != nil })
	var once sync.Once
	forget := func() {
		once.Do(func() {
			for _, s := range targets {
				s.removeAck(id)
			}
		})
	}
	unregister := context.AfterFunc(ctx, forget)
	tellOutgoing(targets, p)
	l.sendAll(targets, frames, &o, burst)
	return clients, func() { unregister(); forget() }
}

// BroadcastWithAck sends p to the selected sockets of this node and gathers
// their acknowledgements.
func (l *LocalAdapter) BroadcastWithAck(ctx context.Context, p *parser.Packet, o BroadcastOptions) ([]Value, error) {
	ctx, cancel := l.ns.server.withDeadline(ctx, o.Flags.Timeout)
	defer cancel()
	var mu sync.Mutex
	var values []Value
	expected := -1 // unknown until all have been sent to
	done := make(chan struct{})
	clients, stop := l.BroadcastAcks(ctx, p, o, func(v Value) {
		mu.Lock()
		defer mu.Unlock()
		values = append(values, v)
		if len(values) == expected {
			close(done)
		}
	})
	defer stop()
	mu.Lock()
	expected = clients
	complete := len(values) == expected
	mu.Unlock()
	if !complete {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	mu.Lock()
	defer mu.Unlock()
	got := values[:len(values):len(values)]
	if len(got) < clients {
		return got, &PartialError{Op: "emitWithAck", Expected: clients, Received: len(got)}
	}
	return got, nil
}
