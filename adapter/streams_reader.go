package adapter

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// streamReader reads one stream for all namespaces of this process that use it.
// It lives while there are any.
type streamReader struct {
	nodes     redisNodes
	stream    string
	count     int64
	block     time.Duration
	log       *slog.Logger
	positions chan struct{} // closed when the first position is known, or could not be found out

	ctx    context.Context // ended when the last namespace left
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// gate is held while a batch is delivered, and by whoever needs delivery to
	// stand still for a moment. It guards last.
	gate sync.Mutex
	last entryID // everything up to here has been delivered

	// seen is last for those that must not wait for the gate; nil until the first
	// position is known.
	seen atomic.Pointer[entryID]

	mu         sync.Mutex
	namespaces map[string][]streamListener // several, if servers share an adapter option
}

// streamListener is a namespace that listens to a stream.
type streamListener interface {
	// entry takes the next entry of the namespace. m is nil when it made no sense.
	entry(id entryID, m *clusterMessage, err error)
	// gap tells that entries were trimmed before they were read.
	gap()
}

// streamReaders are the readers that the namespaces of one RedisStreams share.
type streamReaders struct {
	mu      sync.Mutex
	readers map[string]*streamReader
}

// join adds a namespace to the reader of its stream, which it starts if there is none.
func (s *streamReaders) join(stream, nsp string, l streamListener, make func() *streamReader) *streamReader {
	s.mu.Lock()
	r := s.readers[stream]
	if r == nil {
		r = make()
		s.readers[stream] = r
		r.wg.Go(r.run)
	}
	r.mu.Lock()
	r.namespaces[nsp] = append(r.namespaces[nsp][:len(r.namespaces[nsp]):len(r.namespaces[nsp])], l)
	r.mu.Unlock()
	s.mu.Unlock()
	return r
}

// leave removes a namespace. The last one waits for the end of the reader.
func (s *streamReaders) leave(r *streamReader, nsp string, l streamListener) {
	s.mu.Lock()
	r.mu.Lock()
	// A copy: the reader may be walking the old one.
	rest := slices.DeleteFunc(slices.Clone(r.namespaces[nsp]), func(other streamListener) bool { return other == l })
	if r.namespaces[nsp] = rest; len(rest) == 0 {
		delete(r.namespaces, nsp)
	}
	last := len(r.namespaces) == 0
	r.mu.Unlock()
	if last {
		delete(s.readers, r.stream)
	}
	s.mu.Unlock()
	if last {
		r.cancel()
		r.wg.Wait()
	}
}

func newStreamReader(nodes redisNodes, stream string, o *StreamsOptions, log *slog.Logger) *streamReader {
	r := &streamReader{
		nodes: nodes, stream: stream, count: int64(o.ReadCount), block: o.BlockTime, log: log.With("stream", stream),
		positions:  make(chan struct{}),
		namespaces: make(map[string][]streamListener),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background()) // ended by leave
	return r
}

// run reads until the last namespace left.
func (r *streamReader) run() {
	var retry backoff
	var at position
	found, down := false, false
	for r.ctx.Err() == nil {
		began := time.Now()
		err := r.session(&at, &found)
		if r.ctx.Err() != nil {
			break
		}
		r.ready()
		if time.Since(began) > steady {
			retry.reset()
			down = false
		}
		if !down {
			r.log.Warn("reading the stream failed", "error", err)
		}
		down = true
		r.nodes.refresh(r.ctx)
		if !retry.wait(r.ctx) {
			break
		}
	}
	r.ready()
}

// moveTo notes that everything up to id was delivered. The gate is held.
func (r *streamReader) moveTo(id entryID) {
	r.last = id
	r.seen.Store(&id)
}

// ready closes positions once. Only run calls it.
func (r *streamReader) ready() {
	select {
	case <-r.positions:
	default:
		close(r.positions)
	}
}

// position is how far a stream has been read.
type position struct {
	id entryID
	// added is how many entries were ever added up to id, as far as Redis tells
	// (from version 7 on); it makes trimming before reading visible.
	added int64
	// uncounted means that added is a lower bound until everything is read.
	uncounted bool
	// behind is the last entry there was when a read came back with nothing.
	behind entryID
}

// session reads on one connection until it fails.
func (r *streamReader) session(at *position, found *bool) error {
	owner, err := r.nodes.owner(r.ctx, r.stream)
	if err != nil {
		return err
	}
	// A connection of its own: a read that blocks must not take one of those
	// that commands wait for, and only closing its client ends it at once.
	o := *owner.Options()
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns, o.MaxRetries = 2, 0, 0, 0, -1
	o.PushNotificationProcessor = nil // belongs to the client that we copy
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	conn := redis.NewClient(&o)
	unhook := context.AfterFunc(r.ctx, func() { conn.Close() })
	defer conn.Close()
	defer unhook()

	if *found {
		// The stream may have been trimmed, or replaced, while we were away.
		if err := r.check(owner, at, true); err != nil {
			return err
		}
	} else {
		// From here on nothing is missed. "$" would start at whatever is last when
		// the first read gets through (docs/reliability.md §5.4).
		info, err := streamInfo(r.ctx, owner, r.stream)
		if err != nil {
			return err
		}
		r.warnAboutEviction(owner)
		*at, *found = position{id: info.last, added: info.added}, true
		r.gate.Lock()
		r.moveTo(at.id)
		r.gate.Unlock()
	}
	r.ready()
	for {
		batch, err := conn.XRead(r.ctx, &redis.XReadArgs{
			Streams: []string{r.stream, at.id.String()}, Count: r.count, Block: r.block,
		}).Result()
		switch {
		case errors.Is(err, redis.Nil):
			if err := r.check(owner, at, true); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		entries := batch[0].Messages
		r.deliver(entries, at)
		if len(entries) > 1 {
			// We did not wait for these: were there more before them? (A single entry
			// is what a read that waited gets.)
			if err := r.check(owner, at, false); err != nil {
				return err
			}
		}
	}
}

// warnAboutEviction says so if Redis may throw streams and sessions away when its
// memory is full.
func (r *streamReader) warnAboutEviction(commands *redis.Client) {
	info, err := commands.Info(r.ctx, "memory").Result()
	if err != nil {
		return // not everybody may ask
	}
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && policy != "noeviction" {
			r.log.Warn("redis may evict the stream and kept sessions: set maxmemory-policy to noeviction", "policy", policy)
		}
	}
}

// deliver hands a batch to the namespaces.
func (r *streamReader) deliver(entries []redis.XMessage, at *position) {
	r.gate.Lock()
	defer r.gate.Unlock()
	for _, e := range entries {
		id, ok := parseEntryID(e.ID)
		if !ok {
			continue
		}
		at.id = id
		at.added++
		nsp, _ := e.Values["nsp"].(string)
		r.mu.Lock()
		listeners := r.namespaces[nsp]
		r.mu.Unlock()
		for _, l := range listeners {
			r.hand(l, id, e.Values)
		}
		r.moveTo(id)
	}
}

// hand decodes one entry for l. One that makes the reader panic costs itself only.
func (r *streamReader) hand(l streamListener, id entryID, values map[string]any) {
	defer recoverMessage(nil, r.log, "entry")
	m, err := decodeEntry(values)
	l.entry(id, m, err)
}

// check looks for entries that went before they were read, and for a stream that
// began anew. idle says that we believe to have read everything. It asks where the
// commands of this process go: the reader may be stuck at a server that they have
// left (after a failover).
func (r *streamReader) check(commands *redis.Client, at *position, idle bool) error {
	info, err := streamInfo(r.ctx, commands, r.stream)
	if err != nil {
		return err
	}
	behind := at.behind
	at.behind = entryID{}
	removed := info.added - info.length
	counted := info.added > 0
	// Nothing up to our position is left, so at least as many entries went as were
	// added up to there, or the stream is another one. Before version 7 Redis does not
	// count, and a position that fell off the end may mean a gap as well.
	overtaken := info.first.compare(at.id) > 0 && at.id != (entryID{})
	switch {
	case info.last.compare(at.id) < 0:
		// Deleted, flushed, or behind after a failover: its ids may start again
		// below ours, which we would never see.
		r.tellGap("the stream began anew")
		*at = position{added: info.added - info.length}
		if info.length == 0 {
			at.id = info.last
		}
		r.gate.Lock()
		r.moveTo(at.id)
		r.gate.Unlock()
	case counted && info.added < at.added, overtaken && (info.added == 0 || counted && removed < at.added):
		// Its ids go on above ours: what it holds is read from where we are.
		r.tellGap("the stream began anew")
		at.added, at.uncounted = removed, !overtaken
	case counted && removed > at.added:
		r.tellGap("entries were trimmed before they were read")
		at.added, at.uncounted = removed, !overtaken
	case idle && info.last == at.id:
		if counted && !at.uncounted && info.added != at.added {
			r.tellGap("entries went before they were read")
		}
		at.added, at.uncounted = info.added, false
	case idle && behind.compare(at.id) > 0:
		return errSilent // it was there at the last look, and we did not get it
	case idle:
		at.behind = info.last
	}
	return nil
}

func (r *streamReader) tellGap(why string) {
	r.log.Warn("events were lost", "reason", why)
	r.mu.Lock()
	var listeners []streamListener
	for _, list := range r.namespaces {
		listeners = append(listeners, list...)
	}
	r.mu.Unlock()
	for _, l := range listeners {
		l.gap()
	}
}

type streamState struct {
	last          entryID // of the entry added last, even if it is gone
	first         entryID // that is still there; 0-0 when there is none
	length, added int64
}

// streamInfo asks how far a stream has come. One that does not exist is at 0-0.
func streamInfo(ctx context.Context, conn *redis.Client, stream string) (streamState, error) {
	info, err := conn.XInfoStream(ctx, stream).Result()
	if err != nil {
		var refused redis.Error
		if errors.As(err, &refused) && err.Error() == "ERR no such key" {
			return streamState{}, nil
		}
		return streamState{}, err
	}
	last, ok := parseEntryID(info.LastGeneratedID)
	if !ok {
		return streamState{}, errMalformed
	}
	first, _ := parseEntryID(info.FirstEntry.ID)
	return streamState{last, first, info.Length, info.EntriesAdded}, nil
}
