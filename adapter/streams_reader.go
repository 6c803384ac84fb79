package adapter

import (
	"context"
	"errors"
	"fmt"
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
	redisNodes    redisNodes
	streamKey     string
	batchSize     int64
	blockTime     time.Duration
	log           *slog.Logger
	positionKnown chan struct{} // closed when the first position is known, or could not be found out

	ctx    context.Context // ended when the last namespace left
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// deliveryMu is held while a batch is delivered, and by functions that need delivery to
	// stand still for a moment. It guards what follows.
	deliveryMu    sync.Mutex
	lastDelivered entryID                   // everything up to here has been delivered
	awaited       map[chan struct{}]entryID // see waitDelivered; closed and removed by moveTo

	// lastSeen is last for those that must not wait for the gate; nil until the first
	// position is known.
	lastSeen atomic.Pointer[entryID]

	mu        sync.Mutex                  // guards what follows
	listeners map[string][]streamListener // several, if servers share an adapter option
}

// streamListener is a namespace that listens to a stream.
type streamListener interface {
	// receiveEntry takes the next entry of the namespace. m is nil when it made no sense.
	receiveEntry(id entryID, m *clusterMessage, err error)
	// streamGap tells that entries were trimmed before they were read.
	streamGap()
}

// streamReaders are the readers that the namespaces of one RedisStreams share.
type streamReaders struct {
	mu       sync.Mutex // guards what follows
	byStream map[string]*streamReader
}

func newStreamReaders() *streamReaders {
	return &streamReaders{byStream: make(map[string]*streamReader)}
}

// join adds a namespace to the reader of its stream, which it starts if there is none.
func (s *streamReaders) join(stream, nsp string, l streamListener, make func() *streamReader) *streamReader {
	s.mu.Lock()
	r := s.byStream[stream]
	if r == nil {
		r = make()
		s.byStream[stream] = r
		r.wg.Go(r.run)
	}
	r.mu.Lock()
	r.listeners[nsp] = append(r.listeners[nsp][:len(r.listeners[nsp]):len(r.listeners[nsp])], l)
	r.mu.Unlock()
	s.mu.Unlock()
	return r
}

// leave removes a namespace. The last one waits for the end of the reader.
func (s *streamReaders) leave(r *streamReader, nsp string, l streamListener) {
	s.mu.Lock()
	r.mu.Lock()
	// A copy: the reader may be walking the old one.
	rest := slices.DeleteFunc(slices.Clone(r.listeners[nsp]), func(other streamListener) bool { return other == l })
	if r.listeners[nsp] = rest; len(rest) == 0 {
		delete(r.listeners, nsp)
	}
	last := len(r.listeners) == 0
	r.mu.Unlock()
	if last {
		delete(s.byStream, r.streamKey)
	}
	s.mu.Unlock()
	if last {
		r.cancel()
		r.wg.Wait()
	}
}

func newStreamReader(nodes redisNodes, stream string, o *StreamsOptions, log *slog.Logger) *streamReader {
	r := &streamReader{
		redisNodes: nodes, streamKey: stream, batchSize: int64(o.ReadCount), blockTime: o.BlockTime, log: log.With("stream", stream),
		positionKnown: make(chan struct{}),
		awaited:       make(map[chan struct{}]entryID),
		listeners:     make(map[string][]streamListener),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background()) // ended by leave
	return r
}

// run reads until the last namespace left.
func (r *streamReader) run() {
	var retry backoff
	var at streamPosition
	found, down := false, false
	for r.ctx.Err() == nil {
		began := time.Now()
		err := r.runConn(&at, &found)
		if r.ctx.Err() != nil {
			break
		}
		r.markReady()
		if time.Since(began) > steady {
			retry.reset()
			down = false
		}
		if !down {
			r.log.Warn("reading the stream failed", "error", err)
		}
		down = true
		r.redisNodes.refreshTopology(r.ctx)
		if !retry.wait(r.ctx) {
			break
		}
	}
	r.markReady()
}

// moveTo notes that everything up to id was delivered. The gate is held.
func (r *streamReader) moveTo(id entryID) {
	r.lastDelivered = id
	r.lastSeen.Store(&id)
	for reached, wanted := range r.awaited {
		if wanted.compare(id) <= 0 {
			delete(r.awaited, reached)
			close(reached)
		}
	}
}

// waitDelivered waits until everything up to id has been delivered here.
func (r *streamReader) waitDelivered(ctx context.Context, id entryID) error {
	r.deliveryMu.Lock()
	if r.lastDelivered.compare(id) >= 0 {
		r.deliveryMu.Unlock()
		return nil
	}
	reached := make(chan struct{})
	r.awaited[reached] = id
	r.deliveryMu.Unlock()
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		r.deliveryMu.Lock()
		defer r.deliveryMu.Unlock()
		delete(r.awaited, reached)
		return fmt.Errorf("adapter: the stream is read only up to %s: %w", r.lastDelivered, context.Cause(ctx))
	}
}

// markReady closes positions once. Only run calls it.
func (r *streamReader) markReady() {
	select {
	case <-r.positionKnown:
	default:
		close(r.positionKnown)
	}
}

// streamPosition is how far a stream has been read.
type streamPosition struct {
	entryID entryID
	// entriesAdded is how many entries were ever added up to id, as far as Redis tells
	// (from version 7 on); it makes trimming before reading visible.
	entriesAdded int64
	// uncounted means that added is a lower bound until everything is read.
	uncounted bool
	// behind is the last entry there was when a read came back with nothing.
	behind entryID
}

// runConn reads on one connection until it fails.
func (r *streamReader) runConn(at *streamPosition, found *bool) error {
	owner, err := r.redisNodes.ownerOf(r.ctx, r.streamKey)
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
		if err := r.checkForGap(owner, at, true); err != nil {
			return err
		}
	} else {
		// From here on nothing is missed. "$" would start at whatever is last when
		// the first read gets through (docs/reliability.md §5.4).
		info, err := streamInfo(r.ctx, owner, r.streamKey)
		if err != nil {
			return err
		}
		r.warnAboutEviction(owner)
		*at, *found = streamPosition{entryID: info.lastEntry, entriesAdded: info.entriesAdded}, true
		r.deliveryMu.Lock()
		r.moveTo(at.entryID)
		r.deliveryMu.Unlock()
	}
	r.markReady()
	for isFirst := true; ; isFirst = false {
		batch, err := conn.XRead(r.ctx, &redis.XReadArgs{
			Streams: []string{r.streamKey, at.entryID.String()}, Count: r.batchSize, Block: r.blockTime,
		}).Result()
		switch {
		case errors.Is(err, redis.Nil):
			if err := r.checkForGap(owner, at, true); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		entries := batch[0].Messages
		// Did we wait for these, or were there more before them? (A single entry is what a
		// read that waited gets.) A gap must be known before anything behind it is delivered.
		if isFirst || len(entries) > 1 {
			if err := r.checkBatch(owner, at, entries); err != nil {
				return err
			}
		}
		r.deliverBatch(entries, at)
	}
}

// warnAboutEviction says so if Redis may throw streams and sessions away when its
// memory is full.
func (r *streamReader) warnAboutEviction(commands *redis.Client) {
	info, err := commands.Info(r.ctx, "memory").Result()
	if err != nil {
		return // the user of the client may not ask
	}
	for line := range strings.Lines(info) {
		policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if ok && policy != "noeviction" {
			r.log.Warn("redis may evict the stream and kept sessions: set maxmemory-policy to noeviction", "policy", policy)
		}
	}
}

// deliverBatch hands a batch to the namespaces.
func (r *streamReader) deliverBatch(entries []redis.XMessage, at *streamPosition) {
	r.deliveryMu.Lock()
	defer r.deliveryMu.Unlock()
	for _, e := range entries {
		id, ok := parseEntryID(e.ID)
		if !ok {
			continue
		}
		at.entryID = id
		at.entriesAdded++
		nsp, _ := e.Values["nsp"].(string)
		r.mu.Lock()
		listeners := r.listeners[nsp]
		r.mu.Unlock()
		for _, l := range listeners {
			r.handOver(l, id, e.Values)
		}
		r.moveTo(id)
	}
}

// handOver decodes one entry for l. One that makes the reader panic costs itself only.
func (r *streamReader) handOver(l streamListener, id entryID, values map[string]any) {
	defer recoverMessage(nil, r.log, "entry")
	m, err := decodeEntry(values)
	l.receiveEntry(id, m, err)
}

type streamState struct {
	lastEntry            entryID // of the entry added last, even if it is gone
	firstEntry           entryID // that is still there; 0-0 when there is none
	length, entriesAdded int64
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
