package adapter

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// topologyCheck is how often the owners of all channels are looked up again, for
// slots that moved without a word.
const topologyCheck = 10 * time.Second

// shardLinks keeps sharded channels subscribed, each at the server that owns its
// slot: one link per server.
type shardLinks struct {
	nodes       redisNodes
	probePrefix string
	every       time.Duration
	stats       *stats
	log         *slog.Logger
	deliver     func(channel, payload string) // called by several links at once
	answers     *answers                      // is told which of its channels are subscribed
	wake        chan struct{}                 // capacity 1

	proofEvery time.Duration             // of the links
	proofOf    string                    // the channel that proved is about
	proof      atomic.Pointer[shardLink] // the link that has it; nil while none does

	firstTry chan struct{} // closed when the first channels are subscribed, or it failed
	tried    sync.Once

	mu       sync.Mutex
	want     map[string]struct{}
	changed  []string
	reassign bool // look all owners up again
}

// shardLink is a running link; only shardLinks.run touches it.
type shardLink struct {
	*link
	server   *redis.Client
	channels int
	cancel   context.CancelFunc
}

func newShardLinks(nodes redisNodes, probePrefix string, every time.Duration, st *stats, log *slog.Logger, deliver func(channel, payload string)) *shardLinks {
	return &shardLinks{
		nodes: nodes, probePrefix: probePrefix, every: every, stats: st, log: log, deliver: deliver,
		wake:     make(chan struct{}, 1),
		firstTry: make(chan struct{}),
		want:     make(map[string]struct{}),
	}
}

// proveOn asks for proofs, which proved then tells of the link with the channel.
// It is called before run.
func (s *shardLinks) proveOn(channel string, every time.Duration) {
	s.proofOf, s.proofEvery = channel, every
}

// proved is when the latest probe was published that came back by the link that has
// the channel of proveOn.
func (s *shardLinks) proved() time.Time {
	if l := s.proof.Load(); l != nil {
		return *l.link.proved.Load()
	}
	return time.Time{}
}

func (s *shardLinks) add(channel string) {
	s.mu.Lock()
	s.want[channel] = struct{}{}
	s.changed = append(s.changed, channel)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *shardLinks) remove(channel string) {
	s.mu.Lock()
	delete(s.want, channel)
	s.changed = append(s.changed, channel)
	s.mu.Unlock()
	s.wakeUp()
}

func (s *shardLinks) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// linkLost makes run look at the topology again. Called by the links.
func (s *shardLinks) linkLost() {
	s.mu.Lock()
	s.reassign = true
	s.mu.Unlock()
	s.wakeUp()
}

// run keeps everything subscribed until ctx ends, and waits for the links.
func (s *shardLinks) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Wait

	ticker := time.NewTicker(topologyCheck)
	defer ticker.Stop()
	var retry backoff
	state := shardState{where: map[string]*shardLink{}, links: map[*redis.Client]*shardLink{}}
	start := func(l *shardLink) {
		linkCtx, cancel := context.WithCancel(ctx)
		l.cancel = cancel
		wg.Go(func() { l.run(linkCtx) })
	}
	for {
		err := s.route(ctx, &state, start)
		s.awaitFirst(ctx, &state, err, &wg)
		if err != nil {
			s.log.Warn("redis cluster does not say who owns the channels", "error", err)
			s.linkLost()
			if !retry.wait(ctx) {
				return
			}
			continue
		}
		retry.reset()
		select {
		case <-s.wake:
		case <-ticker.C:
			if s.nodes.cluster != nil {
				s.linkLost()
			}
		case <-ctx.Done():
			return
		}
	}
}

// awaitFirst closes firstTry once the links of the first channels have tried.
func (s *shardLinks) awaitFirst(ctx context.Context, state *shardState, err error, wg *sync.WaitGroup) {
	s.tried.Do(func() {
		if err != nil {
			close(s.firstTry)
			return
		}
		var links []*shardLink
		for _, l := range state.links {
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

// shardState is where run put each channel.
type shardState struct {
	where map[string]*shardLink
	links map[*redis.Client]*shardLink
}

// route moves every channel that changed, or all of them, to the link of its
// owner.
func (s *shardLinks) route(ctx context.Context, state *shardState, start func(*shardLink)) error {
	s.mu.Lock()
	changed, all := s.changed, s.reassign
	s.changed, s.reassign = nil, false
	if all {
		changed = changed[:0:0]
		for channel := range s.want {
			changed = append(changed, channel)
		}
		for channel := range state.where {
			if _, ok := s.want[channel]; !ok {
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
	defer func() { s.proof.Store(state.where[s.proofOf]) }()
	var fresh []*shardLink
	var failure error
	for _, channel := range changed {
		now, isNew, err := s.linkFor(ctx, state, channel)
		if err != nil {
			failure = err
			break
		}
		if isNew {
			fresh = append(fresh, now)
		}
		old := state.where[channel]
		if now == old {
			continue
		}
		if old != nil {
			old.remove(subscription{channel, toShardChannel})
			old.channels--
			delete(state.where, channel)
		}
		if now != nil {
			now.add(subscription{channel, toShardChannel})
			now.channels++
			state.where[channel] = now
		}
	}
	for _, l := range fresh { // only now, so that they begin with all their channels
		start(l)
	}
	for server, l := range state.links {
		if l.channels == 0 {
			l.cancel()
			delete(state.links, server)
		}
	}
	return failure
}

// linkFor returns the link that channel belongs to, nil if nobody wants it.
func (s *shardLinks) linkFor(ctx context.Context, state *shardState, channel string) (l *shardLink, isNew bool, err error) {
	s.mu.Lock()
	_, wanted := s.want[channel]
	s.mu.Unlock()
	if !wanted {
		return nil, false, nil
	}
	server, err := s.nodes.owner(ctx, channel)
	if err != nil {
		return nil, false, err
	}
	if l := state.links[server]; l != nil {
		return l, false, nil
	}
	if l, err = s.newLink(ctx, server); err != nil {
		return nil, false, err
	}
	state.links[server] = l
	return l, true, nil
}

// dropStale ends the links whose probe is no longer owned by their server.
func (s *shardLinks) dropStale(ctx context.Context, state *shardState) error {
	for server, l := range state.links {
		owner, err := s.nodes.owner(ctx, l.probe.name)
		if err != nil {
			return err
		}
		if owner == server {
			continue
		}
		l.cancel()
		delete(state.links, server)
		for channel, at := range state.where {
			if at == l {
				delete(state.where, channel)
			}
		}
	}
	return nil
}

// newLink makes a link to server, with a probe channel that server owns.
func (s *shardLinks) newLink(ctx context.Context, server *redis.Client) (*shardLink, error) {
	for i := range 4096 {
		name := fmt.Sprintf("%s%d#", s.probePrefix, i)
		owner, err := s.nodes.owner(ctx, name)
		if err != nil {
			return nil, err
		}
		if owner != server {
			continue
		}
		here := func(context.Context) (*redis.Client, error) { return server, nil }
		l := newLink(s.nodes, here, subscription{name, toShardChannel}, s.every, s.stats, s.log, s.deliver)
		l.lost, l.answers, l.proofEvery = s.linkLost, s.answers, s.proofEvery
		return &shardLink{link: l, server: server}, nil
	}
	return nil, fmt.Errorf("adapter: no slot found on %s", server.Options().Addr)
}
