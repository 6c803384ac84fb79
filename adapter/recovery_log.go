package adapter

import (
	"sync"
	"time"
)

// recoveryLog is what connection state recovery needs of a node, whatever carries its
// other messages: a stream that holds the events of all nodes in one order, whose entry
// ids are the offsets of the clients, and the sessions of sockets in Redis.
type recoveryLog struct {
	*clusterNode
	streamKey        string
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

	mu             sync.Mutex                // guards what follows
	ownBroadcasts  map[entryID]*ownBroadcast // broadcasts that the reader will deliver
	taintedSockets map[string]struct{}       // sockets that missed something they cannot recover
	holdUntilThere map[string]func()         // called when the socket of a restored session is there
}

func newRecoveryLog(c *clusterNode, streamKey, sessionKeyPrefix string) *recoveryLog {
	a := &recoveryLog{
		clusterNode: c, streamKey: streamKey, sessionKeyPrefix: sessionKeyPrefix,
		ownBroadcasts:  make(map[entryID]*ownBroadcast),
		taintedSockets: make(map[string]struct{}),
		holdUntilThere: make(map[string]func()),
	}
	if keep, ok := c.localAdapter.RecoveryEnabled(); ok {
		a.keepFor = keep
		a.current = newCurrentSessions(a)
	}
	return a
}

// startKeeping starts the goroutine that keeps sessions current.
func (a *recoveryLog) startKeeping() {
	if a.current != nil {
		a.wg.Go(func() { a.current.run(a.ctx) })
	}
}

// broadcastEntry broadcasts an entry here, with its id as the offset.
func (a *recoveryLog) broadcastEntry(id entryID, m *clusterMessage) {
	o := m.options
	o.Flags.Local = true
	p := *m.packet
	if isRecoverable(&p, &o) {
		p.Data = withOffset(p.Data, id)
	}
	p.Namespace = a.namespaceName
	if err := a.localAdapter.Broadcast(a.ctx, &p, o); err != nil {
		a.countMalformed(a.streamKey, err)
	}
}
