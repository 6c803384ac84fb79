package adapter

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// topologyCheck is how often the owners of all channels are looked up again, for
// slots that moved without a word.
const topologyCheck = 10 * time.Second

// shardedSubscription keeps sharded channels subscribed, each at the server that owns its
// slot: one subscription per server.
type shardedSubscription struct {
	redisNodes     redisNodes
	probePrefix    string
	probeInterval  time.Duration
	counters       *counters
	log            *slog.Logger
	onMessage      func(channel, payload string) // called by several subscriptions at once
	answerChannels *answerChannels               // is told which of its channels are subscribed
	wakeSignal     chan struct{}                 // capacity 1

	proofEvery time.Duration                     // of the subscriptions
	proofOf    string                            // the channel that proved is about
	proofShard atomic.Pointer[shardSubscription] // the subscription that has it; nil while none does

	firstTry     chan struct{} // closed when the first channels are subscribed, or it failed
	firstTryOnce sync.Once

	mu              sync.Mutex // guards what follows
	wantedChannels  map[string]struct{}
	changedChannels []string
	reassignAll     bool // look all owners up again
	runningShards   []*shardSubscription
	back            chan struct{} // closed when a subscription is made, and renewed
}

// shardSubscription is a running subscription; only shardedSubscription.run touches it.
type shardSubscription struct {
	*subscription
	server       *redis.Client
	channelCount int
	cancel       context.CancelFunc
}

func newShardLinks(nodes redisNodes, probePrefix string, every time.Duration, st *counters, log *slog.Logger, deliver func(channel, payload string)) *shardedSubscription {
	return &shardedSubscription{
		redisNodes: nodes, probePrefix: probePrefix, probeInterval: every, counters: st, log: log, onMessage: deliver,
		wakeSignal:     make(chan struct{}, 1),
		firstTry:       make(chan struct{}),
		wantedChannels: make(map[string]struct{}),
		back:           make(chan struct{}),
	}
}

// whenOneIsBack is closed when one of the subscriptions is made again: the servers of the others
// can probably be reached as well, and do not wait for the ends of their pauses. While rooms of
// some servers are heard and those of others are not, nothing else tells of that.
func (s *shardedSubscription) whenOneIsBack() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back
}

func (s *shardedSubscription) oneIsBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.back)
	s.back = make(chan struct{})
}

// proveOn asks for proofs, which proved then tells of the subscription with the channel.
// It is called before run.
func (s *shardedSubscription) proveOn(channel string, every time.Duration) {
	s.proofOf, s.proofEvery = channel, every
}

// lastProof is when the latest probe was published that came back by the subscription that has
// the channel of proveOn.
func (s *shardedSubscription) lastProof() time.Time {
	if l := s.proofShard.Load(); l != nil {
		return *l.subscription.lastProof.Load()
	}
	return time.Time{}
}

func (s *shardedSubscription) add(channel string) {
	s.mu.Lock()
	s.wantedChannels[channel] = struct{}{}
	s.changedChannels = append(s.changedChannels, channel)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *shardedSubscription) remove(channel string) {
	s.mu.Lock()
	delete(s.wantedChannels, channel)
	s.changedChannels = append(s.changedChannels, channel)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *shardedSubscription) wakeUp() {
	select {
	case s.wakeSignal <- struct{}{}:
	default:
	}
}

// subscriptionLost makes run look at the topology again. Called by the subscriptions.
func (s *shardedSubscription) subscriptionLost() {
	s.mu.Lock()
	s.reassignAll = true
	s.mu.Unlock()
	s.wakeUp()
}

// run keeps everything subscribed until ctx ends, and waits for the subscriptions.
func (s *shardedSubscription) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Wait

	ticker := time.NewTicker(topologyCheck)
	defer ticker.Stop()
	var retry backoff
	state := shardOwners{shardOfChannel: map[string]*shardSubscription{}, shardsByServer: map[*redis.Client]*shardSubscription{}}
	start := func(l *shardSubscription) {
		linkCtx, cancel := context.WithCancel(ctx)
		l.cancel = cancel
		wg.Go(func() { l.run(linkCtx) })
	}
	for {
		err := s.routeChannels(ctx, &state, start)
		s.awaitFirst(ctx, &state, err, &wg)
		if err != nil {
			s.log.Warn("redis cluster does not say who owns the channels", "error", err)
			s.subscriptionLost()
			if !retry.wait(ctx) {
				return
			}
			continue
		}
		retry.reset()
		select {
		case <-s.wakeSignal:
		case <-ticker.C:
			if s.redisNodes.clusterClient != nil {
				s.subscriptionLost()
			}
		case <-ctx.Done():
			return
		}
	}
}

// awaitFirst closes firstTry once the subscriptions of the first channels have tried.
func (s *shardedSubscription) awaitFirst(ctx context.Context, state *shardOwners, err error, wg *sync.WaitGroup) {
	s.firstTryOnce.Do(func() {
		if err != nil {
			close(s.firstTry)
			return
		}
		var links []*shardSubscription
		for _, l := range state.shardsByServer {
			links = append(links, l)
		}
		wg.Go(func() {
			defer close(s.firstTry)
			for _, l := range links {
				select {
				case <-l.firstTry:
				case <-ctx.Done():
				}
			}
		})
	})
}

// shardOwners is where run put each channel.
type shardOwners struct {
	shardOfChannel map[string]*shardSubscription
	shardsByServer map[*redis.Client]*shardSubscription
}

// routeChannels moves every channel that changed, or all of them, to the subscription of its
// owner.
func (s *shardedSubscription) routeChannels(ctx context.Context, state *shardOwners, start func(*shardSubscription)) error {
	s.mu.Lock()
	changed, all := s.changedChannels, s.reassignAll
	s.changedChannels, s.reassignAll = nil, false
	if all {
		changed = changed[:0:0]
		for channel := range s.wantedChannels {
			changed = append(changed, channel)
		}
		for channel := range state.shardOfChannel {
			if _, ok := s.wantedChannels[channel]; !ok {
				changed = append(changed, channel)
			}
		}
	}
	s.mu.Unlock()

	if all {
		if err := s.dropStale(ctx, state); err != nil {
			return err
		}
	}
	defer func() { s.proofShard.Store(state.shardOfChannel[s.proofOf]) }()
	var fresh []*shardSubscription
	var failure error
	for _, channel := range changed {
		now, isNew, err := s.subscriptionFor(ctx, state, channel)
		if err != nil {
			failure = err
			break
		}
		if isNew {
			fresh = append(fresh, now)
		}
		old := state.shardOfChannel[channel]
		if now == old {
			continue
		}
		if old != nil {
			old.remove(redisChannel{channel, toShardChannel})
			old.channelCount--
			delete(state.shardOfChannel, channel)
		}
		if now != nil {
			now.add(redisChannel{channel, toShardChannel})
			now.channelCount++
			state.shardOfChannel[channel] = now
		}
	}
	for _, l := range fresh { // only now, so that they begin with all their channels
		start(l)
	}
	for server, l := range state.shardsByServer {
		if l.channelCount == 0 {
			l.cancel()
			delete(state.shardsByServer, server)
		}
	}
	s.mu.Lock()
	s.runningShards = slices.Collect(maps.Values(state.shardsByServer))
	s.mu.Unlock()
	return failure
}

// subscriptionFor returns the subscription that channel belongs to, nil if it is not wanted.
func (s *shardedSubscription) subscriptionFor(ctx context.Context, state *shardOwners, channel string) (l *shardSubscription, isNew bool, err error) {
	s.mu.Lock()
	_, wanted := s.wantedChannels[channel]
	s.mu.Unlock()
	if !wanted {
		return nil, false, nil
	}
	server, err := s.redisNodes.ownerOf(ctx, channel)
	if err != nil {
		return nil, false, err
	}
	if l := state.shardsByServer[server]; l != nil {
		return l, false, nil
	}
	if l, err = s.newSubscription(ctx, server); err != nil {
		return nil, false, err
	}
	state.shardsByServer[server] = l
	return l, true, nil
}

// dropStale ends the subscriptions whose probe is no longer owned by their server.
func (s *shardedSubscription) dropStale(ctx context.Context, state *shardOwners) error {
	for server, l := range state.shardsByServer {
		owner, err := s.redisNodes.ownerOf(ctx, l.probeChannel.name)
		if err != nil {
			return err
		}
		if owner == server {
			continue
		}
		l.cancel()
		delete(state.shardsByServer, server)
		for channel, at := range state.shardOfChannel {
			if at == l {
				delete(state.shardOfChannel, channel)
			}
		}
	}
	return nil
}

// newSubscription makes a subscription to server, with a probe channel that server owns.
func (s *shardedSubscription) newSubscription(ctx context.Context, server *redis.Client) (*shardSubscription, error) {
	for i := range 4096 {
		name := fmt.Sprintf("%s%d#", s.probePrefix, i)
		owner, err := s.redisNodes.ownerOf(ctx, name)
		if err != nil {
			return nil, err
		}
		if owner != server {
			continue
		}
		here := func(context.Context) (*redis.Client, error) { return server, nil }
		l := newSubscription(s.redisNodes, here, redisChannel{name, toShardChannel}, s.probeInterval, s.counters, s.log, s.onMessage)
		l.onLost, l.answerChannels, l.proofEvery, l.siblings = s.subscriptionLost, s.answerChannels, s.proofEvery, s
		return &shardSubscription{subscription: l, server: server}, nil
	}
	return nil, fmt.Errorf("adapter: no slot found on %s", server.Options().Addr)
}
