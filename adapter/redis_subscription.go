package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisChannel is what a subscription asks Redis for.
type redisChannel struct {
	name string
	kind channelKind
}

type channelKind byte

const (
	toChannel      channelKind = iota // SUBSCRIBE
	toPattern                         // PSUBSCRIBE
	toShardChannel                    // SSUBSCRIBE
)

// subscribe and unsubscribe send the commands of the subscription's kind.
func (s redisChannel) subscribe(ctx context.Context, ps *redis.PubSub) error {
	switch s.kind {
	case toPattern:
		return ps.PSubscribe(ctx, s.name)
	case toShardChannel:
		return ps.SSubscribe(ctx, s.name)
	default:
		return ps.Subscribe(ctx, s.name)
	}
}

func (s redisChannel) unsubscribe(ctx context.Context, ps *redis.PubSub) error {
	switch s.kind {
	case toPattern:
		return ps.PUnsubscribe(ctx, s.name)
	case toShardChannel:
		return ps.SUnsubscribe(ctx, s.name)
	default:
		return ps.Unsubscribe(ctx, s.name)
	}
}

var (
	errSilent = errors.New("subscription is silent: a probe did not come back")
	errMoved  = errors.New("channel moved to another server")
)

// subscription is one subscribed connection to one Redis server. It comes back by itself
// and proves that messages arrive by publishing probes to itself.
type subscription struct {
	redisNodes     redisNodes
	pickServer     func(context.Context) (*redis.Client, error) // where to subscribe
	probeChannel   redisChannel
	probeInterval  time.Duration // between probes; also how long one may take
	counters       *counters
	log            *slog.Logger
	onMessage      func(channel, payload string) // called by run only
	onLost         func()                        // called by run when a connection ended; may be nil
	siblings       *shardedSubscription          // to which it belongs; may be nil
	ownPayload     []byte                        // how messages of a pattern begin that this node has sent; nil: they are delivered too
	answerChannels *answerChannels               // is told which of its channels are subscribed; may be nil
	wakeSignal     chan struct{}                 // capacity 1: want changed

	proofEvery time.Duration             // between proofs for proved; 0: none but the probes
	lastProof  atomic.Pointer[time.Time] // when the last probe that came back was sent

	firstTry     chan struct{} // closed when the first attempt is subscribed or has failed
	firstTryOnce sync.Once

	mu              sync.Mutex // guards what follows
	wantedChannels  map[redisChannel]struct{}
	changedChannels []redisChannel
	unsubscribing   map[string]int           // shard channels whose end this node has asked for, unconfirmed
	openFences      map[string]chan struct{} // see fence; closed and removed when they come back
}

func newSubscription(nodes redisNodes, server func(context.Context) (*redis.Client, error), probe redisChannel, every time.Duration, st *counters, log *slog.Logger, deliver func(channel, payload string)) *subscription {
	l := &subscription{
		redisNodes: nodes, pickServer: server, probeChannel: probe, probeInterval: every, counters: st, log: log, onMessage: deliver,
		wakeSignal:     make(chan struct{}, 1),
		firstTry:       make(chan struct{}),
		wantedChannels: map[redisChannel]struct{}{probe: {}},
	}
	l.lastProof.Store(&time.Time{})
	return l
}

// add and remove change what the subscription is subscribed to. They never wait: the
// change is made by the subscription's own goroutine, and one that is undone before it
// was made costs nothing.
func (l *subscription) add(s redisChannel) {
	l.mu.Lock()
	l.wantedChannels[s] = struct{}{}
	l.changedChannels = append(l.changedChannels, s)
	l.mu.Unlock()
	l.wakeUp()
}

func (l *subscription) remove(s redisChannel) {
	l.mu.Lock()
	delete(l.wantedChannels, s)
	l.changedChannels = append(l.changedChannels, s)
	l.mu.Unlock()
	l.wakeUp()
}

func (l *subscription) wakeUp() {
	select {
	case l.wakeSignal <- struct{}{}:
	default:
	}
}

// run keeps the subscription alive until ctx ends.
func (l *subscription) run(ctx context.Context) {
	var retry backoff
	down := false
	for ctx.Err() == nil {
		began := time.Now()
		var hurry <-chan struct{} // nil without siblings
		if l.siblings != nil {
			hurry = l.siblings.whenOneIsBack()
		}
		err := l.runConn(ctx)
		l.firstTryOnce.Do(func() { close(l.firstTry) })
		if l.onLost != nil {
			l.onLost()
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			retry.reset()
			down = false
		}
		if !down {
			l.log.Warn("redis subscription lost", "error", err)
		}
		down = true
		l.counters.resubscribed.Add(1)
		l.redisNodes.refreshTopology(ctx)
		if !retry.waitOr(ctx, hurry) {
			return
		}
	}
}

// runConn subscribes on a fresh connection and delivers until it fails.
func (l *subscription) runConn(ctx context.Context) error {
	node, err := l.pickServer(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	probed := &probeState{dueNext: 1}
	if l.ownPayload != nil {
		node = withoutOwn(node, l.ownPayload, func() {
			probed.sawTraffic.Store(true)
			l.counters.ownEntries.Add(1)
		})
		defer node.Close() // after ps
	}
	ps := node.Subscribe(ctx)
	// Closing is the only way to end a Receive that waits.
	unhook := context.AfterFunc(ctx, func() { ps.Close() })
	defer ps.Close()
	defer unhook()

	l.mu.Lock()
	l.changedChannels, l.unsubscribing = nil, nil
	have := make(map[redisChannel]struct{}, len(l.wantedChannels))
	for s := range l.wantedChannels {
		have[s] = struct{}{}
	}
	l.mu.Unlock()
	// pending counts the confirmations still to come of the first subscriptions.
	pending := len(have)
	confirmed := make(chan struct{}) // closed when pending is 0
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // before Wait
	wg.Go(func() {
		if err := l.subscribeAll(ctx, ps, have); err != nil {
			cancel(err)
			return
		}
		cancel(l.applyAndProbe(ctx, ps, have, probed, confirmed))
	})
	defer l.answerChannels.connectionLost(l) // before Wait

	for {
		v, err := ps.Receive(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		switch v := v.(type) {
		case *redis.Message:
			if v.Channel == l.probeChannel.name {
				if n, err := strconv.ParseUint(v.Payload, 10, 64); err != nil {
					l.fenceReturned(v.Payload)
				} else {
					probed.lastReturned.Store(n)
					if p := probed.latestProbe.Load(); p != nil && p.number == n {
						l.lastProof.Store(&p.sentAt)
					}
					l.counters.streamLag.Store(int64(time.Since(began)) - probed.sentAt.Load())
				}
				continue
			}
			probed.sawTraffic.Store(true)
			l.handOver(v.Channel, v.Payload)
		case *redis.Subscription:
			switch v.Kind {
			case "subscribe", "psubscribe", "ssubscribe":
				probed.sawTraffic.Store(true) // very many take their time
				l.answerChannels.channelSubscribed(l, v.Channel)
				if pending--; pending == 0 {
					close(confirmed)
					if l.siblings != nil {
						l.siblings.oneIsBack()
					}
					l.firstTryOnce.Do(func() { close(l.firstTry) })
				}
			case "sunsubscribe":
				l.answerChannels.channelUnsubscribed(l, v.Channel)
				// Redis says this on its own when the slot moved to another server. An end that
				// was asked for is none, also when the channel is wanted again by now.
				if !l.endWasAsked(v.Channel) && l.wants(redisChannel{v.Channel, toShardChannel}) {
					return errMoved
				}
			}
		}
	}
}

// handOver delivers one message. One that makes the reader panic costs itself only.
func (l *subscription) handOver(channel, payload string) {
	defer recoverMessage(l.counters, l.log, "message")
	l.onMessage(channel, payload)
}

func (l *subscription) wants(s redisChannel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.wantedChannels[s]
	return ok
}

// endWasAsked takes the confirmation of an unsubscription; false when none is due.
func (l *subscription) endWasAsked(channel string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.unsubscribing[channel]
	if n <= 1 {
		delete(l.unsubscribing, channel)
	} else {
		l.unsubscribing[channel] = n - 1
	}
	return n > 0
}

// askEnd notes that the confirmation of an unsubscription is due.
func (l *subscription) askEnd(channel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unsubscribing == nil {
		l.unsubscribing = map[string]int{}
	}
	l.unsubscribing[channel]++
}

// subscribeAll asks for everything in have. Channels of a cluster go one by one:
// a command may not name channels of several slots.
func (l *subscription) subscribeAll(ctx context.Context, ps *redis.PubSub, have map[redisChannel]struct{}) error {
	var channels, patterns []string
	for s := range have {
		switch s.kind {
		case toChannel:
			channels = append(channels, s.name)
		case toPattern:
			patterns = append(patterns, s.name)
		case toShardChannel:
			if err := ps.SSubscribe(ctx, s.name); err != nil {
				return err
			}
		}
	}
	if len(channels) > 0 {
		if err := ps.Subscribe(ctx, channels...); err != nil {
			return err
		}
	}
	if len(patterns) > 0 {
		return ps.PSubscribe(ctx, patterns...)
	}
	return nil
}

// applyAndProbe applies changes of what is wanted, and probes. It returns why the
// connection must be given up.
func (l *subscription) applyAndProbe(ctx context.Context, ps *redis.PubSub, have map[redisChannel]struct{}, probed *probeState, confirmed <-chan struct{}) error {
	ticker := time.NewTicker(l.probeInterval)
	defer ticker.Stop()
	var proofs <-chan time.Time // nil without them
	if l.proofEvery > 0 {
		often := time.NewTicker(l.proofEvery)
		defer often.Stop()
		proofs = often.C
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-confirmed:
			// At once: a subscription that was confirmed need not be where messages go.
			// Not before: the probe takes another connection, and may overtake it.
			confirmed = nil
			probed.missedInRow = 0
			l.tryProbe(ctx, probed)
			probed.dueNext = probed.lastSent
		case <-l.wakeSignal:
			if err := l.applyChanges(ctx, ps, have); err != nil {
				return err
			}
		case <-proofs:
			if confirmed != nil || probed.lastReturned.Load() < probed.lastSent {
				continue // one at a time
			}
			l.tryProbe(ctx, probed)
		case <-ticker.C:
			if probed.isSilent() {
				l.counters.silent.Add(1)
				return errSilent
			}
			if probed.missedInRow > 0 {
				continue // one probe at a time
			}
			l.tryProbe(ctx, probed)
			probed.dueNext = probed.lastSent
		}
	}
}

func (l *subscription) applyChanges(ctx context.Context, ps *redis.PubSub, have map[redisChannel]struct{}) error {
	for {
		l.mu.Lock()
		changed := l.changedChannels
		l.changedChannels = nil
		l.mu.Unlock()
		if len(changed) == 0 {
			return nil
		}
		for _, s := range changed {
			_, has := have[s]
			var err error
			switch wants := l.wants(s); {
			case wants && !has:
				have[s] = struct{}{}
				err = s.subscribe(ctx, ps)
			case !wants && has:
				delete(have, s)
				if s.kind == toShardChannel {
					l.askEnd(s.name)
				}
				err = s.unsubscribe(ctx, ps)
			}
			if err != nil {
				return fmt.Errorf("change subscriptions: %w", err)
			}
		}
	}
}
