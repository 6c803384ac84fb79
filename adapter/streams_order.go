package adapter

import (
	"context"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// With recovery on, a client's offset says: I have everything up to here. That is
// true only if it gets the events of all nodes in the order of the stream, its own
// node's included. So those are delivered by the reader as well, and Broadcast
// waits until they are.

// orderPatience is how long a broadcast waits for its turn; then it is delivered
// here without an offset.
const orderPatience = time.Second

// ownBroadcast is a broadcast of this node on its way through the stream.
type ownBroadcast struct {
	settled chan struct{} // closed when it is delivered, or cannot be
	// Guarded by recoveryLog.mu:
	entryID   entryID
	isSettled bool // done is closed
	byReader  bool // by the reader
	abandoned bool // delivered by Broadcast itself, after a failure or too long a wait
}

func (b *ownBroadcast) settle() {
	if !b.isSettled {
		b.isSettled = true
		close(b.settled)
	}
}

func (a *recoveryLog) broadcastInOrder(ctx context.Context, m *clusterMessage) error {
	b := &ownBroadcast{settled: make(chan struct{})}
	failure := a.appendEntry(m, func(id string, err error) { a.entryAdded(b, id, err) })
	if failure == nil && !a.publisher.isDown() {
		t := time.NewTimer(orderPatience)
		defer t.Stop()
		select {
		case <-b.settled:
		case <-t.C:
		case <-ctx.Done():
		case <-a.ctx.Done():
		}
	}
	a.mu.Lock()
	b.abandoned = !b.byReader
	abandoned := b.abandoned
	a.mu.Unlock()
	if !abandoned {
		return nil
	}
	// The sockets of other nodes may never get it, and those of this node may get it again.
	if isRecoverable(m.packet, &m.options) {
		a.marks.add(markLost, &m.options)
	}
	if err := a.localAdapter.Broadcast(ctx, m.packet, m.options); err != nil {
		return err
	}
	return failure
}

// entryAdded is told the fate of the XADD of b.
func (a *recoveryLog) entryAdded(b *ownBroadcast, text string, err error) {
	id, ok := parseEntryID(text)
	if err != nil || !ok {
		a.mu.Lock()
		b.settle()
		a.mu.Unlock()
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, known := a.ownBroadcasts[id]; known && at == nil { // the reader was faster
		delete(a.ownBroadcasts, id)
		b.byReader = true
		b.settle()
		return
	}
	b.entryID = id
	a.ownBroadcasts[id] = b
}

// takeOwn is asked by the reader about an entry of ours: must it be delivered?
func (a *recoveryLog) takeOwn(id entryID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.ownBroadcasts[id]
	a.sweepWaiting(id)
	if b == nil {
		// Its reply is still on the way; leave word that it is delivered.
		a.ownBroadcasts[id] = nil
		return true
	}
	delete(a.ownBroadcasts, id)
	if b.abandoned {
		return false
	}
	b.byReader = true
	defer b.settle()
	return true
}

// sweepWaiting drops what the reader has passed: words left for replies that never
// came, and broadcasts that were trimmed before they were read. Locked.
func (a *recoveryLog) sweepWaiting(now entryID) {
	const enough = 4096
	if len(a.ownBroadcasts) < enough {
		return
	}
	for id := range a.ownBroadcasts {
		if id.compare(now) < 0 {
			delete(a.ownBroadcasts, id)
		}
	}
}

// isRecoverable reports whether a broadcast gets an offset (docs/protocol.md §4.4).
func isRecoverable(p *parser.Packet, o *socketio.BroadcastOptions) bool {
	return p.ID == nil && !o.Flags.Volatile
}

// withOffset appends the offset as the last argument.
func withOffset(data []byte, id entryID) []byte {
	text := id.String()
	out := make([]byte, 0, len(data)+len(text)+3)
	out = append(out, data[:len(data)-1]...)
	out = append(out, ',', '"')
	out = append(out, text...)
	return append(out, '"', ']')
}
