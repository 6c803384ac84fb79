package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The sessions of connected sockets are kept current in Redis, so that a client whose
// node was killed is recovered on another (docs/realtime.md §8). Each node has one hash
// with a field per session: an idle session costs no command, because the life of the
// whole hash is prolonged at once.

const (
	// currentDelay is how long a change waits for others to go with it. With the time of
	// the commands it stays below the second that the contract gives.
	currentDelay = 500 * time.Millisecond
	// currentBatch is how many sessions one HSET carries.
	currentBatch = 128
	// maxChanged bounds the changes that are remembered by name; beyond it the whole hash
	// is written anew.
	maxChanged = 1 << 16
	// A node is taken for dead when so many looks, this far apart, do not find it.
	deadLooks = 3
	deadPause = 100 * time.Millisecond
)

type sessionDigest = [sha256.Size]byte

// currentSessions writes the sessions of this node behind their changes.
type currentSessions struct {
	log        *recoveryLog
	key        string        // of the hash of this node
	nodesKey   string        // of the set of the nodes that have a hash
	wakeSignal chan struct{} // capacity 1: there are changes
	// urgentSignal has capacity 1: they must not wait.
	urgentSignal chan struct{}

	writing sync.Mutex // held while Redis is written; guards what follows
	// written are the sessions in the hash, as far as this node knows; the value says whether
	// Redis has confirmed it.
	written map[sessionDigest]bool
	// taken are sessions that another node took out of the hash, and whose sockets end.
	taken map[sessionDigest]struct{}

	mu      sync.Mutex // guards what follows
	changed map[sessionDigest]struct{}
	all     bool // the hash must be written anew
	// One of these is true from a taint until the hash was written after it.
	taintsUnwritten, taintsInFlight bool
}

func newCurrentSessions(log *recoveryLog) *currentSessions {
	prefix := log.sessionKeyPrefix + "live#" + log.namespaceName + "#"
	return &currentSessions{
		log: log, key: prefix + log.uid + "#", nodesKey: prefix,
		wakeSignal: make(chan struct{}, 1), urgentSignal: make(chan struct{}, 1),
		written: make(map[sessionDigest]bool),
		taken:   make(map[sessionDigest]struct{}),
		changed: make(map[sessionDigest]struct{}),
	}
}

// SessionChanged implements socketio.SessionWatcher.
func (a *recoveryLog) SessionChanged(digest sessionDigest) {
	c := a.current
	c.mu.Lock()
	if len(c.changed) < maxChanged {
		c.changed[digest] = struct{}{}
	} else {
		c.all = true
	}
	first := len(c.changed) == 1
	c.mu.Unlock()
	if first {
		select {
		case c.wakeSignal <- struct{}{}:
		default:
		}
	}
}

// forgetTainted has the sessions of tainted sockets taken out of Redis, at once. Until that is
// done no offsets are given: a client must not recover behind its gap if this node dies.
func (c *currentSessions) forgetTainted() {
	c.mu.Lock()
	c.all = true
	c.taintsUnwritten = true
	c.mu.Unlock()
	select {
	case c.urgentSignal <- struct{}{}:
	default:
	}
}

// holdsTainted reports whether Redis may hold sessions of tainted sockets.
func (c *currentSessions) holdsTainted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taintsUnwritten || c.taintsInFlight
}

// refreshEvery is how often the hash must be prolonged; it lives for one such time longer
// than a session is kept.
func (c *currentSessions) refreshEvery() time.Duration {
	return max(c.log.keepFor/2, 100*time.Millisecond)
}

// run writes changes until ctx ends.
func (c *currentSessions) run(ctx context.Context) {
	refresh := time.NewTicker(c.refreshEvery())
	defer refresh.Stop()
	delay := time.NewTimer(currentDelay)
	delay.Stop()
	defer delay.Stop()
	var retry backoff
	down := false
	lost, reachable := (<-chan struct{})(nil), c.log.presenceChannels.whenReachable()
	wasLost := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost:
			// Other nodes may take this one for dead, and its sessions.
			lost, reachable, wasLost = nil, c.log.presenceChannels.whenReachable(), true
			continue
		case <-reachable:
			lost, reachable = c.log.presenceChannels.whenLost(), nil
			if !wasLost {
				continue
			}
			c.mu.Lock()
			c.all = true
			c.mu.Unlock()
		case <-c.wakeSignal:
			delay.Reset(currentDelay)
			continue
		case <-c.urgentSignal:
		case <-delay.C:
		case <-refresh.C:
		}
		err := c.write(ctx)
		if err == nil {
			retry.reset()
			down = false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !down {
			c.log.log.Warn("sessions of connected sockets are not kept current in redis", "error", err)
		}
		down = true
		if !retry.wait(ctx) {
			return
		}
		delay.Reset(0)
	}
}

// fieldOf names a session in a hash: half of the digest tells sessions apart.
func fieldOf(digest sessionDigest) string {
	return base64.RawURLEncoding.EncodeToString(digest[:sha256.Size/2])
}

// write brings the hash up to date.
func (c *currentSessions) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.log.requestTimeout)
	defer cancel()
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	changed, all, tainted := c.changed, c.all, c.taintsUnwritten
	c.changed, c.all, c.taintsUnwritten = make(map[sessionDigest]struct{}), false, false
	c.taintsInFlight = tainted
	c.mu.Unlock()
	err := c.writeChanged(ctx, changed, all)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.all = true // what of it Redis has taken is not known
		c.taintsUnwritten = c.taintsUnwritten || tainted
	}
	c.taintsInFlight = false
	return err
}

func (c *currentSessions) writeChanged(ctx context.Context, changed map[sessionDigest]struct{}, all bool) error {
	node, err := c.log.redisNodes.ownerOf(ctx, c.key)
	if err != nil {
		return err
	}
	lifetime := c.log.keepFor + c.refreshEvery()
	if len(changed) == 0 && !all {
		if len(c.written) == 0 {
			return nil
		}
		pipe := node.Pipeline()
		isThere := pipe.HExists(ctx, c.key, nodeField)
		pipe.PExpire(ctx, c.key, lifetime)
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		if isThere.Val() {
			return c.tellNodesKey(ctx, lifetime)
		}
		all = true // Redis has lost it
	}
	pipe := node.Pipeline()
	var gone []string
	if all {
		for _, digest := range c.log.localAdapter.CurrentSessions() {
			changed[digest] = struct{}{}
		}
		for digest := range c.written {
			changed[digest] = struct{}{}
		}
		if gone, err = c.findTaken(ctx, node, changed); err != nil {
			return err
		}
	}
	sets := make([]any, 0, 2*currentBatch)
	var unconfirmed []sessionDigest
	wasEmpty := len(c.written) == 0
	for digest := range changed {
		text, ok := c.encode(digest)
		if !ok {
			if _, was := c.written[digest]; was || all {
				delete(c.written, digest)
				gone = append(gone, fieldOf(digest))
			}
			continue
		}
		if _, was := c.written[digest]; !was {
			gone = append(gone, takenField(fieldOf(digest))) // of an earlier time here
		}
		if !c.written[digest] {
			c.written[digest] = false
			unconfirmed = append(unconfirmed, digest)
		}
		if sets = append(sets, fieldOf(digest), text); len(sets) == cap(sets) {
			c.setFields(ctx, pipe, sets)
			sets = make([]any, 0, 2*currentBatch)
		}
	}
	if (wasEmpty || all) && len(c.written) > 0 {
		sets = append(sets, nodeField, "{}")
	}
	if len(sets) > 0 {
		c.setFields(ctx, pipe, sets)
	}
	if len(gone) > 0 {
		pipe.HDel(ctx, c.key, gone...)
	}
	if pipe.Len() == 0 {
		return nil
	}
	pipe.PExpire(ctx, c.key, lifetime)
	if wasEmpty {
		// A node that is killed now must not leave a hash that is not found. The second call
		// is for a node that looked between them and removed what it took for left behind.
		if err := c.tellNodesKey(ctx, lifetime); err != nil {
			return err
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for _, digest := range unconfirmed {
		c.written[digest] = true
	}
	return c.tellNodesKey(ctx, lifetime)
}

// setFields sets fields of the hash, once: a repetition by the client could come behind what
// was written later, or behind another node that took a session.
func (c *currentSessions) setFields(ctx context.Context, pipe redis.Pipeliner, fields []any) {
	_ = pipe.Process(ctx, once{redis.NewCmd(ctx, append([]any{"hset", c.key}, fields...)...)}) // Exec has the error
}

// nodeField is in every hash: a hash without sessions differs from one that Redis lost.
const nodeField = "node"

// encode gives what the hash holds of a session. The private id is not in it.
func (c *currentSessions) encode(digest sessionDigest) (text []byte, ok bool) {
	session, ok := c.log.localAdapter.CurrentSession(digest)
	if _, taken := c.taken[digest]; taken {
		return nil, false
	}
	if !ok || c.log.isTainted(session.SID) {
		return nil, false
	}
	session.PID = ""
	text, err := marshalJSON(session)
	return text, err == nil
}

// tellNodesKey lets other nodes find the hash.
func (c *currentSessions) tellNodesKey(ctx context.Context, lifetime time.Duration) error {
	node, err := c.log.redisNodes.ownerOf(ctx, c.nodesKey)
	if err != nil {
		return err
	}
	pipe := node.Pipeline()
	pipe.SAdd(ctx, c.nodesKey, c.log.uid)
	pipe.PExpire(ctx, c.nodesKey, lifetime)
	_, err = pipe.Exec(ctx)
	return err
}

// endCurrent takes the session of a socket that ended out of the hash. It reports
// whether the session is still this node's to keep: another node that took this one
// for dead may have taken it.
func (c *currentSessions) endCurrent(ctx context.Context, digest sessionDigest) (ours bool, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, taken := c.taken[digest]; taken {
		return false, nil
	}
	node, err := c.log.redisNodes.ownerOf(ctx, c.key)
	if err != nil {
		return false, err
	}
	pipe := node.Pipeline()
	removed, isTaken := pipe.HDel(ctx, c.key, fieldOf(digest)), pipe.HExists(ctx, c.key, takenField(fieldOf(digest)))
	if _, err := pipe.Exec(ctx); err != nil {
		return false, err
	}
	confirmed := c.written[digest]
	delete(c.written, digest)
	return !isTaken.Val() && (removed.Val() > 0 || !confirmed), nil
}
