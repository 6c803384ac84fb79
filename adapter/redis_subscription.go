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

// subscription is what a link asks Redis for.
type subscription struct {
	name string
	kind subscriptionKind
}

type subscriptionKind byte

const (
	toChannel      subscriptionKind = iota // SUBSCRIBE
	toPattern                              // PSUBSCRIBE
	toShardChannel                         // SSUBSCRIBE
)

// subscribe and unsubscribe send the commands of the subscription's kind.
func (s subscription) subscribe(ctx context.Context, ps *redis.PubSub) error {
	switch s.kind {
	case toPattern:
		return ps.PSubscribe(ctx, s.name)
	case toShardChannel:
		return ps.SSubscribe(ctx, s.name)
	default:
		return ps.Subscribe(ctx, s.name)
	}
}

func (s subscription) unsubscribe(ctx context.Context, ps *redis.PubSub) error {
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

// link is one subscribed connection to one Redis server. It comes back by itself
// and proves that messages arrive by publishing probes to itself.
type link struct {
	nodes   redisNodes
	server  func(context.Context) (*redis.Client, error) // where to subscribe
	probe   subscription
	every   time.Duration // between probes; also how long one may take
	stats   *stats
	log     *slog.Logger
	deliver func(channel, payload string) // called by run only
	lost    func()                        // called by run when a connection ended; may be nil
	answers *answers                      // is told which of its channels are subscribed; may be nil
	wake    chan struct{}                 // capacity 1: want changed

	proofEvery time.Duration             // between proofs for proved; 0: none but the probes
	proved     atomic.Pointer[time.Time] // when the last probe that came back was sent

	firstTry chan struct{} // closed when the first attempt is subscribed or has failed
	tried    sync.Once

	mu      sync.Mutex
	want    map[subscription]struct{}
	changed []subscription
}

func newLink(nodes redisNodes, server func(context.Context) (*redis.Client, error), probe subscription, every time.Duration, st *stats, log *slog.Logger, deliver func(channel, payload string)) *link {
	l := &link{
		nodes: nodes, server: server, probe: probe, every: every, stats: st, log: log, deliver: deliver,
		wake:     make(chan struct{}, 1),
		firstTry: make(chan struct{}),
		want:     map[subscription]struct{}{probe: {}},
	}
	l.proved.Store(&time.Time{})
	return l
}

// add and remove change what the link is subscribed to. They never wait: the
// change is made by the link's own goroutine, and one that is undone before it
// was made costs nothing.
func (l *link) add(s subscription) {
	l.mu.Lock()
	l.want[s] = struct{}{}
	l.changed = append(l.changed, s)
	l.mu.Unlock()
	l.wakeUp()
}

func (l *link) remove(s subscription) {
	l.mu.Lock()
	delete(l.want, s)
	l.changed = append(l.changed, s)
	l.mu.Unlock()
	l.wakeUp()
}

func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run keeps the link alive until ctx ends.
func (l *link) run(ctx context.Context) {
	var retry backoff
	down := false
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		l.tried.Do(func() { close(l.firstTry) })
		if l.lost != nil {
			l.lost()
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
		l.stats.resubscribed.Add(1)
		l.nodes.refresh(ctx)
		if !retry.wait(ctx) {
			return
		}
	}
}

// session subscribes on a fresh connection and delivers until it fails.
func (l *link) session(ctx context.Context) error {
	node, err := l.server(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ps := node.Subscribe(ctx)
	// Closing is the only way to end a Receive that waits.
	unhook := context.AfterFunc(ctx, func() { ps.Close() })
	defer ps.Close()
	defer unhook()

	l.mu.Lock()
	l.changed = nil
	have := make(map[subscription]struct{}, len(l.want))
	for s := range l.want {
		have[s] = struct{}{}
	}
	l.mu.Unlock()
	// pending counts the confirmations still to come of the first subscriptions.
	pending := len(have)
	confirmed := make(chan struct{}) // closed when pending is 0
	probed := &probeState{due: 1}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil) // before Wait
	wg.Go(func() {
		if err := l.subscribeAll(ctx, ps, have); err != nil {
			cancel(err)
			return
		}
		cancel(l.tend(ctx, ps, have, probed, confirmed))
	})
	defer l.answers.lost(l) // before Wait

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
			if v.Channel == l.probe.name {
				if n, err := strconv.ParseUint(v.Payload, 10, 64); err == nil {
					probed.back.Store(n)
					if p := probed.latest.Load(); p != nil && p.number == n {
						l.proved.Store(&p.at)
					}
					l.stats.lag.Store(int64(time.Since(began)) - probed.sentAt.Load())
				}
				continue
			}
			probed.traffic.Store(true)
			l.hand(v.Channel, v.Payload)
		case *redis.Subscription:
			switch v.Kind {
			case "subscribe", "psubscribe", "ssubscribe":
				probed.traffic.Store(true) // very many take their time
				l.answers.subscribed(l, v.Channel)
				if pending--; pending == 0 {
					close(confirmed)
					l.tried.Do(func() { close(l.firstTry) })
				}
			case "sunsubscribe":
				l.answers.unsubscribed(l, v.Channel)
				// Redis says this on its own when the slot moved to another server.
				if l.wants(subscription{v.Channel, toShardChannel}) {
					return errMoved
				}
			}
		}
	}
}

// hand delivers one message. One that makes the reader panic costs itself only.
func (l *link) hand(channel, payload string) {
	defer recoverMessage(l.stats, l.log, "message")
	l.deliver(channel, payload)
}

func (l *link) wants(s subscription) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.want[s]
	return ok
}

// subscribeAll asks for everything in have. Channels of a cluster go one by one:
// a command may not name channels of several slots.
func (l *link) subscribeAll(ctx context.Context, ps *redis.PubSub, have map[subscription]struct{}) error {
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

// tend applies changes of what is wanted, and probes. It returns why the
// connection must be given up.
func (l *link) tend(ctx context.Context, ps *redis.PubSub, have map[subscription]struct{}, probed *probeState, confirmed <-chan struct{}) error {
	ticker := time.NewTicker(l.every)
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
			probed.missed = 0
			l.tryProbe(ctx, probed)
			probed.due = probed.sent
		case <-l.wake:
			if err := l.reconcile(ctx, ps, have); err != nil {
				return err
			}
		case <-proofs:
			if confirmed != nil || probed.back.Load() < probed.sent {
				continue // one at a time
			}
			l.tryProbe(ctx, probed)
		case <-ticker.C:
			if probed.silent() {
				l.stats.silent.Add(1)
				return errSilent
			}
			if probed.missed > 0 {
				continue // one probe at a time
			}
			l.tryProbe(ctx, probed)
			probed.due = probed.sent
		}
	}
}

func (l *link) reconcile(ctx context.Context, ps *redis.PubSub, have map[subscription]struct{}) error {
	for {
		l.mu.Lock()
		changed := l.changed
		l.changed = nil
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
				err = s.unsubscribe(ctx, ps)
			}
			if err != nil {
				return fmt.Errorf("change subscriptions: %w", err)
			}
		}
	}
}
