package adapter

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// recoveryLog is what connection state recovery needs of a node, whatever carries its
// other messages: a stream that holds the events of all nodes in one order, whose entry
// ids are the offsets of the clients, and the sessions of sockets in Redis.
type recoveryLog struct {
	*clusterNode
	streamKey        string
	maxLen           int64 // about how many entries the stream keeps
	sessionKeyPrefix string
	keepFor          time.Duration // how long sessions are kept; 0 without recovery
	reader           *streamReader
	// appendEntry adds a message to the stream. done, if not nil, is told the entry's id;
	// it must not block.
	appendEntry func(m *clusterMessage, done func(id string, err error)) error
	// tellNodes publishes on the channel on which Go nodes tell each other of their presence.
	tellNodes func(payload []byte) error

	takeovers takeovers
	current   *currentSessions // nil without recovery
	ended     *endedSessions   // nil without recovery
	marks     *logMarks        // nil without recovery
	hearing   *hearing         // nil where all publishers write the log

	broadcastCount atomic.Uint64

	mu            sync.Mutex                // guards what follows
	ownBroadcasts map[entryID]*ownBroadcast // broadcasts that the reader will deliver
	earlyEntries  map[entryID]earlyEntry    // own entries that it met before Redis told their ids
	// abandonedBroadcasts were delivered out of order, and the reader has not passed them.
	abandonedBroadcasts map[*ownBroadcast]struct{}
	lostMarks           int                       // how many marks of lost broadcasts were queued
	lostMarkQueued      bool                      // the last of them is not in the stream yet
	taintedSockets      map[string]struct{}       // sockets that missed something they cannot recover
	heldAdmissions      map[string]*heldAdmission // by socket id
}

func newRecoveryLog(c *clusterNode, streamKey string, maxLen int64, sessionKeyPrefix string) *recoveryLog {
	a := &recoveryLog{
		clusterNode: c, streamKey: streamKey, maxLen: maxLen, sessionKeyPrefix: sessionKeyPrefix,
		ownBroadcasts:       make(map[entryID]*ownBroadcast),
		earlyEntries:        make(map[entryID]earlyEntry),
		abandonedBroadcasts: make(map[*ownBroadcast]struct{}),
		taintedSockets:      make(map[string]struct{}),
		heldAdmissions:      make(map[string]*heldAdmission),
	}
	if keep, ok := c.localAdapter.RecoveryEnabled(); ok {
		a.keepFor = keep
		a.current = newCurrentSessions(a)
		a.ended = newEndedSessions(a)
		a.marks = newLogMarks(a)
	}
	return a
}

// startKeeping starts the goroutines of recovery.
func (a *recoveryLog) startKeeping() {
	if a.keepFor <= 0 {
		return
	}
	a.wg.Go(func() { a.current.run(a.ctx) })
	a.wg.Go(func() { a.ended.run(a.ctx) })
	a.wg.Go(func() { a.marks.run(a.ctx) })
	if a.hearing != nil {
		a.wg.Go(func() { a.hearing.run(a.ctx) })
	}
}

// broadcast is Adapter.Broadcast for what goes to other nodes as well.
func (a *recoveryLog) broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	m := a.newMessage(clusterBroadcast)
	if o.Recorded != nil {
		o = orderRooms(o)
	}
	m.packet, m.options = p, o
	if a.keepFor > 0 {
		return a.broadcastInOrder(ctx, m)
	}
	failure := a.appendEntry(m, nil)
	return errors.Join(a.localAdapter.Broadcast(ctx, p, o), failure)
}

// broadcastEntry broadcasts an entry here, with its id as the offset.
func (a *recoveryLog) broadcastEntry(id entryID, m *clusterMessage) {
	o := m.options
	o.Flags.Local = true
	p := *m.packet
	if isRecoverable(&p, &o) {
		offset := noOffset
		if !a.withholdsOffsets() {
			offset = id.String()
		}
		p.Data = withOffset(p.Data, offset)
	}
	p.Namespace = a.namespaceName
	if err := a.localAdapter.Broadcast(a.ctx, &p, o); err != nil {
		a.countMalformed(a.streamKey, err)
	}
}
