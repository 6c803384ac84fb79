package adapter

import (
	"bytes"
	"context"
	"slices"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// With recovery on, a client's offset says: I have everything up to here. That is
// true only if it gets the events of all nodes in the order of the stream, its own
// node's included. So those are delivered by the reader as well, and Broadcast
// waits until they are.

// orderPatience is how long a broadcast waits for its turn; then it is delivered
// here with noOffset.
const orderPatience = time.Second

// ownBroadcast is a broadcast of this node on its way through the stream.
type ownBroadcast struct {
	message *clusterMessage
	number  uint64        // counts the broadcasts of this node
	settled chan struct{} // closed when it is delivered, or cannot be
	// Guarded by recoveryLog.mu:
	isSettled bool // settled is closed
	byReader  bool // delivered by the reader
	abandoned bool // delivered by Broadcast itself, after a failure or too long a wait
	added     bool // Redis has told the entry's id
	failed    bool // Redis has not said whether the stream has it
	lostMark  int  // number of the mark that comes behind it, if failed
}

// earlyEntry is an own entry that the reader met before Redis told its id.
type earlyEntry struct {
	message *clusterMessage
	of      *ownBroadcast // the broadcast that counts it as its own by its looks, if one had to
}

func (b *ownBroadcast) settle() {
	if !b.isSettled {
		b.isSettled = true
		close(b.settled)
	}
}

// isLike reports whether the entry of b would look like m.
func (b *ownBroadcast) isLike(m *clusterMessage) bool {
	return bytes.Equal(b.message.packet.Data, m.packet.Data) &&
		slices.Equal(b.message.options.Rooms, m.options.Rooms) && slices.Equal(b.message.options.Except, m.options.Except)
}

func (a *recoveryLog) broadcastInOrder(ctx context.Context, m *clusterMessage) error {
	b := &ownBroadcast{message: m, number: a.broadcastCount.Add(1), settled: make(chan struct{})}
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
	if !a.giveUp(b) {
		return nil
	}
	if failure != nil {
		a.broadcastFailed(b)
	}
	a.awaitAdmissions() // a socket that was restored just before gets it as well
	p := *m.packet
	if isRecoverable(&p, &m.options) {
		p.Data = withOffset(p.Data, noOffset)
	}
	if err := a.localAdapter.Broadcast(ctx, &p, m.options); err != nil {
		return err
	}
	return failure
}

// giveUp ends the wait of a broadcast. It reports whether the reader has not delivered it, nor will.
func (a *recoveryLog) giveUp(b *ownBroadcast) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !b.byReader && !b.added && !b.failed {
		// The reader may have delivered it: then only the reply is late.
		if id, ok := a.findEarly(b); ok {
			a.earlyEntries[id] = earlyEntry{a.earlyEntries[id].message, b}
			b.byReader = true
		}
	}
	b.abandoned = !b.byReader
	if b.abandoned && !b.failed {
		a.abandonedBroadcasts[b] = struct{}{}
	}
	return b.abandoned
}

// findEarly returns the entry that b counts as its own, or else the oldest that looks like it
// and that no other broadcast counts. Locked.
func (a *recoveryLog) findEarly(b *ownBroadcast) (found entryID, ok bool) {
	for id, e := range a.earlyEntries {
		if e.of == b {
			return id, true
		}
		if e.of == nil && b.isLike(e.message) && (!ok || id.compare(found) < 0) {
			found, ok = id, true
		}
	}
	return found, ok
}

// findAbandoned returns the oldest abandoned broadcast whose entry m may be: Redis has not
// told that of another, for a failure or so far. Locked.
func (a *recoveryLog) findAbandoned(m *clusterMessage, failed bool) (found *ownBroadcast) {
	for b := range a.abandonedBroadcasts {
		if b.failed == failed && !b.added && b.isLike(m) && (found == nil || b.number < found.number) {
			found = b
		}
	}
	return found
}

// entryAdded is told the fate of the XADD of b.
func (a *recoveryLog) entryAdded(b *ownBroadcast, text string, err error) {
	id, ok := parseEntryID(text)
	if err != nil || !ok {
		a.broadcastFailed(b)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b.added = true
	if _, known := a.earlyEntries[id]; known { // the reader was faster
		delete(a.earlyEntries, id)
		delete(a.abandonedBroadcasts, b)
		b.byReader = true
		b.settle()
		return
	}
	a.ownBroadcasts[id] = b
}

// broadcastFailed notes that the stream may lack b, or may have it: the sockets of other
// nodes may never get it, and those of this node must not get it twice.
func (a *recoveryLog) broadcastFailed(b *ownBroadcast) {
	a.mu.Lock()
	defer b.settle()
	defer a.mu.Unlock()
	if id, ok := a.findEarly(b); ok { // the stream has it: its reply was lost
		delete(a.earlyEntries, id)
		delete(a.abandonedBroadcasts, b)
		b.byReader = true
		return
	}
	a.abandonedBroadcasts[b] = struct{}{} // before its mark can be read
	a.queueLostMark()
	b.failed, b.lostMark = true, a.lostMarks
}

// takeOwn is asked by the reader about an entry of ours: must it be delivered?
func (a *recoveryLog) takeOwn(id entryID, m *clusterMessage) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweepWaiting(id)
	b := a.ownBroadcasts[id]
	if b == nil {
		// Its reply is still on the way, if there is one; leave word that it is delivered.
		if late := a.findAbandoned(m, false); late != nil {
			delete(a.abandonedBroadcasts, late)
			a.earlyEntries[id] = earlyEntry{m, late}
			return false
		}
		if failed := a.findAbandoned(m, true); failed != nil {
			delete(a.abandonedBroadcasts, failed)
			return false
		}
		a.earlyEntries[id] = earlyEntry{message: m}
		return true
	}
	delete(a.ownBroadcasts, id)
	if b.abandoned {
		delete(a.abandonedBroadcasts, b)
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
	if len(a.ownBroadcasts) >= enough {
		for id, b := range a.ownBroadcasts {
			if id.compare(now) < 0 {
				delete(a.ownBroadcasts, id)
				delete(a.abandonedBroadcasts, b)
			}
		}
	}
	if len(a.earlyEntries) >= enough {
		for id := range a.earlyEntries {
			if id.compare(now) < 0 {
				delete(a.earlyEntries, id)
			}
		}
	}
}

// queueLostMark has a mark written before everything that this node sends from now on: so
// other nodes learn of a lost event before they get later ones of its sender. One mark
// at a time is on its way. Locked.
func (a *recoveryLog) queueLostMark() {
	if a.lostMarkQueued {
		return
	}
	a.lostMarks++
	a.addLostMark()
}

// addLostMark queues the mark, and again until Redis has it. Locked.
func (a *recoveryLog) addLostMark() {
	m := a.marks.message(markLost, socketio.BroadcastOptions{})
	m.clientCount = a.lostMarks
	args, err := m.entryArgs(a.streamKey, a.maxLen)
	if err != nil {
		return
	}
	a.lostMarkQueued = true
	a.publisher.queueFirst(redisCommand{key: a.streamKey, args: args, byteSize: 256, onReply: func(_ any, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lostMarkQueued = false
		if err != nil && a.ctx.Err() == nil {
			a.addLostMark()
		}
	}})
}

// ownLostMarkRead is called when the reader meets a mark of this node: what failed before
// is behind it.
func (a *recoveryLog) ownLostMarkRead(number int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for b := range a.abandonedBroadcasts {
		if b.failed && b.lostMark <= number {
			delete(a.abandonedBroadcasts, b)
		}
	}
}

// withholdsOffsets reports whether events get no offset now: a client could not tell by one
// that it has everything up to there, and nothing behind it.
func (a *recoveryLog) withholdsOffsets() bool {
	a.mu.Lock()
	astray := len(a.abandonedBroadcasts) > 0
	a.mu.Unlock()
	return astray || a.current.holdsTainted() || a.hearing != nil && a.hearing.withholdsOffsets()
}

// noOffset stands where an offset would for events with which no client can recover. It
// takes the place of the offset before, which such a client must not use either.
const noOffset = "-"

// isRecoverable reports whether a broadcast gets an offset (docs/protocol.md §4.4).
func isRecoverable(p *parser.Packet, o *socketio.BroadcastOptions) bool {
	return p.ID == nil && !o.Flags.Volatile
}

// withOffset appends the offset as the last argument.
func withOffset(data []byte, offset string) []byte {
	out := make([]byte, 0, len(data)+len(offset)+3)
	out = append(out, data[:len(data)-1]...)
	out = append(out, ',', '"')
	out = append(out, offset...)
	return append(out, '"', ']')
}
