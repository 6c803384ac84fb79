package adapter

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A session that must not go on has a mark in Redis, which every node looks for before it
// restores a session. Taking the session out of the hash of its node would not do: a write
// that was under way when its connection was given up could put it there again. The clients
// are told of their end when the mark is written (docs/protocol.md §3.8).

const (
	// endPatience is how long a client waits for its end while Redis takes no marks.
	endPatience = 2 * time.Second
	// endTimeout bounds one attempt to write marks.
	endTimeout = time.Second
	// maxEnded bounds the marks that wait for Redis.
	maxEnded = 1 << 16
	// endBatch is how many marks go out together.
	endBatch = 1024
)

// endedSession is a session whose mark is not written yet.
type endedSession struct {
	digest    sessionDigest
	since     time.Time
	told      func(refused bool) // nil when it was called
	isWritten bool               // only the goroutine that writes uses it
}

// endedSessions writes the marks of sessions that must not go on.
type endedSessions struct {
	log        *recoveryLog
	prefix     string        // of the keys of the marks
	wakeSignal chan struct{} // capacity 1: there are new ones

	mu       sync.Mutex    // guards what follows
	patience time.Duration // how long clients wait
	waiting  []*endedSession
	overdue  *time.Timer // runs while one of them was not told
	isClosed bool
}

func newEndedSessions(log *recoveryLog) *endedSessions {
	return &endedSessions{
		log: log, prefix: log.sessionKeyPrefix + "ended#" + log.namespaceName + "#",
		wakeSignal: make(chan struct{}, 1), patience: endPatience,
	}
}

// EndSession implements socketio.SessionWatcher.
func (a *recoveryLog) EndSession(digest sessionDigest, told func(refused bool)) {
	e := a.ended
	e.mu.Lock()
	if e.isClosed || len(e.waiting) >= maxEnded {
		e.mu.Unlock()
		told(false)
		return
	}
	e.waiting = append(e.waiting, &endedSession{digest: digest, since: time.Now(), told: told})
	if e.overdue == nil {
		e.overdue = time.AfterFunc(e.patience, e.tellOverdue)
	}
	e.mu.Unlock()
	select {
	case e.wakeSignal <- struct{}{}:
	default:
	}
}

// lifetime of a mark is longer than that of every copy of the session in Redis.
func (e *endedSessions) lifetime() time.Duration {
	return 2 * (e.log.keepFor + e.log.current.refreshEvery())
}

// run writes marks until ctx ends.
func (e *endedSessions) run(ctx context.Context) {
	var retry backoff
	for {
		select {
		case <-ctx.Done():
			e.close(ctx)
			return
		case <-e.wakeSignal:
		}
		for !e.writeWaiting(ctx) {
			if ctx.Err() != nil || !retry.waitOr(ctx, e.wakeSignal) {
				e.close(ctx)
				return
			}
		}
		retry.reset()
	}
}

// close tries once more and then lets all clients go.
func (e *endedSessions) close(ctx context.Context) {
	e.writeWaiting(context.WithoutCancel(ctx))
	e.mu.Lock()
	e.isClosed = true
	e.mu.Unlock()
	e.tell(false, func(*endedSession) bool { return true })
}

// writeWaiting writes the marks that wait. It reports whether none is left.
func (e *endedSessions) writeWaiting(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for {
		e.mu.Lock()
		batch := slices.Clone(e.waiting[:min(len(e.waiting), endBatch)])
		e.mu.Unlock()
		if len(batch) == 0 {
			return true
		}
		e.writeBatch(ctx, batch)
		e.tell(true, func(s *endedSession) bool { return s.isWritten })
		if ctx.Err() != nil || slices.ContainsFunc(batch, func(s *endedSession) bool { return !s.isWritten }) {
			return false
		}
	}
}

// writeBatch writes marks, in one pipeline per server.
func (e *endedSessions) writeBatch(ctx context.Context, batch []*endedSession) {
	byServer := make(map[*redis.Client][]*endedSession)
	for _, s := range batch {
		if server, err := e.log.redisNodes.ownerOf(ctx, e.keyOf(s.digest)); err == nil {
			byServer[server] = append(byServer[server], s)
		}
	}
	var wg sync.WaitGroup
	for server, list := range byServer {
		wg.Go(func() {
			pipe := server.Pipeline()
			set := make([]*redis.StatusCmd, len(list))
			for i, s := range list {
				set[i] = pipe.Set(ctx, e.keyOf(s.digest), "", e.lifetime())
			}
			_, _ = pipe.Exec(ctx) // each command has its own error
			for i, s := range list {
				s.isWritten = set[i].Err() == nil
			}
		})
	}
	wg.Wait()
	if len(byServer) == 0 || slices.ContainsFunc(batch, func(s *endedSession) bool { return !s.isWritten }) {
		e.log.redisNodes.refreshTopology(ctx)
	}
}

func (e *endedSessions) keyOf(digest sessionDigest) string { return e.prefix + fieldOf(digest) }

// tellOverdue lets clients go that have waited long enough; their marks go on waiting.
func (e *endedSessions) tellOverdue() {
	now := time.Now()
	e.tell(false, func(s *endedSession) bool { return now.Sub(s.since) >= e.patience })
}

// tell tells the outcome of the sessions that match, and forgets those that are written. match
// is called with e.mu held.
func (e *endedSessions) tell(refused bool, match func(*endedSession) bool) {
	var told []func(bool)
	e.mu.Lock()
	var oldest *endedSession // that was not told
	e.waiting = slices.DeleteFunc(e.waiting, func(s *endedSession) bool {
		if s.told != nil && match(s) {
			told = append(told, s.told)
			s.told = nil
		}
		if s.told != nil && oldest == nil {
			oldest = s
		}
		return refused && s.isWritten || e.isClosed
	})
	switch {
	case e.overdue == nil:
	case oldest == nil:
		e.overdue.Stop()
		e.overdue = nil
	default:
		e.overdue.Reset(time.Until(oldest.since.Add(e.patience)))
	}
	e.mu.Unlock()
	for _, fn := range told {
		fn(refused)
	}
}

// isEnded reports whether a session has a mark.
func (e *endedSessions) isEnded(ctx context.Context, pid string) (bool, error) {
	key := e.keyOf(sha256.Sum256([]byte(pid)))
	server, err := e.log.redisNodes.ownerOf(ctx, key)
	if err != nil {
		return false, err
	}
	n, err := server.Exists(ctx, key).Result()
	return n > 0, err
}
