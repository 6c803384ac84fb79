package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/loglimit"
	"posthouse/socketio"
	"posthouse/socketio/parser"
)

const (
	defaultRequestsTimeout   = 5 * time.Second
	defaultProbeInterval     = 5 * time.Second
	defaultHeartbeatInterval = 5 * time.Second
	// heartbeatsMissed is after how many intervals a silent node is not waited for.
	heartbeatsMissed = 2
	// firstSubscription is how long the creation of a namespace waits for its
	// subscription, so that nothing is missed between its first socket and then.
	firstSubscription = 500 * time.Millisecond
)

// node is what the adapter of a namespace needs to take part in a cluster,
// whatever the messages look like.
type node struct {
	localAdapter    *socketio.LocalAdapter
	namespaceName   string
	uid             string
	redisNodes      redisNodes
	counters        counters
	log             *slog.Logger
	publisher       *publisher
	presence        *presence
	pendingRequests *pendingRequests
	answerChannels  *answerChannels
	// presenceChannels tells whether what other nodes say about themselves reaches this one.
	presenceChannels *answerChannels
	requestWorker    *requestWorker
	requestTimeout   time.Duration // of requests
	// Where nodes are counted, and the channel of the answers to one node, which
	// tells whether that node is subscribed.
	countChannel   string
	answersChannel func(uid string) string
	sharded        bool
	malformedLog   loglimit.Limiter

	ctx       context.Context // the lifetime of the adapter
	cancel    context.CancelFunc
	wg        sync.WaitGroup
	closeOnce sync.Once
}

func newMember(l *socketio.LocalAdapter, nodes redisNodes, uid string, timeout time.Duration, log *slog.Logger) *node {
	m := &node{localAdapter: l, namespaceName: l.Namespace(), uid: uid, redisNodes: nodes, pendingRequests: newPending(), requestTimeout: timeout}
	if m.requestTimeout <= 0 {
		m.requestTimeout = defaultRequestsTimeout
	}
	if log == nil {
		log = slog.Default()
	}
	m.log = log.With("namespace", m.namespaceName)
	m.requestWorker = newWorker(&m.counters, m.log)
	m.ctx, m.cancel = context.WithCancel(context.Background()) // ended by Close
	return m
}

// startGoroutines runs the goroutines of the adapter: publisher, subscriber, presence and
// worker, and waits a moment for the first subscription.
func (m *node) startGoroutines(subscriber func(ctx context.Context), firstTries ...<-chan struct{}) {
	m.presence.canHear = m.answerChannels.canArrive
	m.wg.Go(func() { m.publisher.run(m.ctx) })
	m.wg.Go(func() { subscriber(m.ctx) })
	m.wg.Go(func() { m.requestWorker.run(m.ctx) })
	t := time.NewTimer(firstSubscription)
	defer t.Stop()
	await := func(firstTry <-chan struct{}) {
		select {
		case <-firstTry:
		case <-t.C:
			t.Reset(0)
		}
	}
	for _, firstTry := range firstTries {
		await(firstTry)
	}
	m.wg.Go(func() { m.presence.run(m.ctx) })
	await(m.publisher.firstTry) // of its hello: whether Redis takes messages is known then
}

// Close says goodbye to the other nodes, gives Redis a second to take what still
// waits to be published, and waits for the adapter's goroutines.
func (m *node) Close() error {
	m.closeOnce.Do(func() {
		m.presence.sendPresence(presenceBye)
		m.pendingRequests.close()
		m.publisher.close()
		t := time.NewTimer(closeFlush)
		defer t.Stop()
		select {
		case <-m.publisher.runReturned:
		case <-t.C:
		}
		m.cancel()
		m.wg.Wait()
	})
	return nil
}

// HoldPublishing is for a caller that is about to emit several events: they are published
// together when it calls release, which it must soon. It delays events of others by as much.
func (m *node) HoldPublishing() (release func()) { return m.publisher.hold() }

// Stats returns what happened so far.
func (m *node) Stats() Stats {
	s := m.counters.snapshot()
	s.Nodes = m.presence.countAlive()
	return s
}

// ServerCount asks Redis how many nodes have this namespace. With an error it
// returns how many are known to live.
func (m *node) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := m.withDeadline(ctx, 0)
	defer cancel()
	self := m.answersChannel(m.uid)
	counts, err := m.redisNodes.countSubscribers(ctx, m.sharded, m.countChannel, self)
	if err != nil {
		return m.presence.countAlive() + 1, notReached(opServerCount, err)
	}
	n := counts[m.countChannel]
	if counts[self] == 0 { // its subscription is being made again: Redis counts the others
		n++
	}
	return max(n, 1), nil
}

// withDeadline bounds ctx: by d if positive, else by its own deadline, else by the
// adapter's timeout.
func (m *node) withDeadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		if _, ok := ctx.Deadline(); ok {
			return context.WithCancel(ctx)
		}
		d = m.requestTimeout
	}
	return context.WithTimeout(ctx, d)
}

// countAnswers finds out how many answers r gets, and from whom. Nodes that are
// silent are not among them, even while Redis still counts them. The error means that
// Redis was not reached: then there may be more nodes than are known.
func (m *node) countAnswers(ctx context.Context, r *clusterRequest) error {
	alive, silent := m.presence.nodeNames()
	self := m.answersChannel(m.uid)
	channels := []string{m.countChannel, self}
	for _, uid := range alive {
		channels = append(channels, m.answersChannel(uid))
	}
	for _, uid := range silent {
		channels = append(channels, m.answersChannel(uid))
	}
	counts, err := m.redisNodes.countSubscribers(ctx, m.sharded, channels...)
	if err != nil {
		m.log.Debug("redis does not count the nodes", "error", err)
		m.expectAnswers(r, len(alive), alive)
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil // it was reached: not every user may ask
		}
		return notReached(r.operation, err)
	}
	n := counts[m.countChannel]
	if counts[self] > 0 {
		n--
	}
	var waiting []string
	for _, uid := range alive {
		if counts[m.answersChannel(uid)] > 0 {
			waiting = append(waiting, uid)
		} else {
			m.presence.forgetNode(uid)
		}
	}
	for _, uid := range silent {
		if counts[m.answersChannel(uid)] > 0 {
			n--
		} else {
			m.presence.forgetSilent(uid)
		}
	}
	m.expectAnswers(r, max(n, 0), waiting)
	return nil
}

// expectAnswers tells r how many answers it gets. A node of names that left while Redis
// counted is not waited for: it was in no list yet when the requests were told.
func (m *node) expectAnswers(r *clusterRequest, n int, names []string) {
	r.setExpected(n, names)
	for _, uid := range names {
		if !m.presence.isKnown(uid) {
			r.nodeLeft(uid)
		}
	}
}

// askOthers sends a question to the other nodes and waits for their answers. It is not
// sent when there is no node to answer.
func (m *node) askOthers(ctx context.Context, r *clusterRequest, id string, timeout time.Duration, send func() error) error {
	ctx, cancel := m.withDeadline(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if !m.pendingRequests.add(id, r) {
		return ErrClosed
	}
	defer m.pendingRequests.remove(id)
	m.counters.requestSent(r)
	unknown := m.countWhenReachable(ctx, r)
	select {
	case <-r.allArrived:
		return m.countLost(r, unknown)
	case <-ctx.Done():
		return m.countLost(r, errors.Join(r.wait(ctx), unknown))
	default:
	}
	if err := send(); err != nil {
		return m.countLost(r, err)
	}
	return m.countLost(r, errors.Join(r.wait(ctx), unknown))
}

// countLost counts a request that ends with err.
func (m *node) countLost(r *clusterRequest, err error) error {
	if err != nil {
		m.counters.requestFailed(r)
	}
	return err
}

// publishResult is the result of a change that was given to the publisher with err: while
// Redis takes nothing, the other nodes do not hear of it in time, or at all.
func (m *node) publishResult(op string, err error) error {
	if err == nil && m.publisher.isDown() {
		return notReached(op, nil)
	}
	return err
}

// broadcastWithAck runs a broadcast with acks: send publishes it for the other
// nodes, with the time they have, and tells sent, if that is not nil, what Redis said.
func (m *node) broadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions, id string, send func(o socketio.BroadcastOptions, sent func(error)) error) ([]socketio.Value, error) {
	if o.Flags.Local {
		return m.localAdapter.BroadcastWithAck(ctx, p, o)
	}
	ctx, cancel := m.withDeadline(ctx, o.Flags.Timeout)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if o.Flags.Timeout <= 0 {
		end, _ := ctx.Deadline()
		o.Flags.Timeout = max(time.Until(end), time.Millisecond)
	}
	r := newRequest(opEmitWithAck)
	r.firstAckEnds = o.Flags.ExpectSingleResponse
	if !m.pendingRequests.add(id, r) {
		return nil, ErrClosed
	}
	defer m.pendingRequests.remove(id)
	m.counters.requestSent(r)
	if _, recovers := m.localAdapter.RecoveryEnabled(); recovers {
		return m.broadcastWithAckInOrder(ctx, p, o, r, send)
	}
	var published error
	able := m.answerChannels.canArrive()
	if able {
		published = send(o, nil)
	}
	clients, stop := m.localAdapter.BroadcastAcks(ctx, p, o, r.takeAck)
	defer stop()
	r.addClients(clients)
	var unknown error
	if !able { // the local clients did not wait for that
		unknown = m.countWhenReachable(ctx, r)
		if m.answerChannels.canArrive() && !r.isDone() {
			published = send(o, nil)
		}
	}
	switch {
	case published != nil:
		r.setExpected(0, nil)
	case able:
		unknown = m.countAnswers(ctx, r)
	}
	return m.acksOf(ctx, r, published, unknown)
}

// acksOf waits for what the clients answer to a broadcast that was published, or was not.
func (m *node) acksOf(ctx context.Context, r *clusterRequest, published, unknown error) ([]socketio.Value, error) {
	err := errors.Join(r.wait(ctx), unknown)
	if published != nil {
		err = published
	}
	err = m.countLost(r, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values, err
}

// broadcastWithAckInOrder is broadcastWithAck where sessions are recovered: the sockets of
// this node get the event when Redis has said whether it took it. A socket that got it
// before, and went on at another node while Redis did not answer, would get it there again.
func (m *node) broadcastWithAckInOrder(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions, r *clusterRequest, send func(o socketio.BroadcastOptions, sent func(error)) error) ([]socketio.Value, error) {
	r.addClients(1) // for those of this node, which are not counted yet
	if !m.answerChannels.canArrive() {
		// While they cannot be heard, other nodes cost at most half of the time.
		half, cancel := context.WithTimeout(ctx, o.Flags.Timeout/2)
		_ = m.countWhenReachable(half, r)
		cancel()
	}
	said := make(chan error, 1)
	var taken atomic.Bool // by whom the sockets of this node get the event
	published := send(o, func(err error) {
		if taken.CompareAndSwap(false, true) {
			said <- err
			return
		}
		local := o // the caller does not wait for acknowledgements any more
		local.Flags.Local = true
		_ = m.localAdapter.Broadcast(m.ctx, p, local)
	})
	var unknown error
	if published == nil {
		// Not later: a node that dies when it has the event is counted, and waited for. Its answer
		// must not stand for that of another.
		unknown = m.countAnswers(ctx, r)
		select {
		case err := <-said:
			if isRefusal(err) { // after another error the others may have the event all the same
				published = err
			}
		case <-ctx.Done():
			if !taken.CompareAndSwap(false, true) {
				break // Redis has answered in this moment
			}
			here, _ := m.localAdapter.FetchSockets(context.WithoutCancel(ctx), o)
			r.addClients(len(here) - 1)
			return m.acksOf(ctx, r, nil, notReached(opEmitWithAck, context.Cause(ctx)))
		}
	}
	clients, stop := m.localAdapter.BroadcastAcks(ctx, p, o, r.takeAck)
	defer stop()
	r.addClients(clients - 1)
	if published != nil {
		r.setExpected(0, nil)
		return m.acksOf(ctx, r, published, nil)
	}
	r.finishIfAllAreThere()
	return m.acksOf(ctx, r, nil, unknown)
}

// answerBroadcast is the other side: it delivers a broadcast with acks of another
// node, tells it the number of clients and then each acknowledgement.
func (m *node) answerBroadcast(p *parser.Packet, o socketio.BroadcastOptions, count func(clients int), ack func(socketio.Value)) {
	timeout := o.Flags.Timeout
	if timeout <= 0 {
		timeout = m.requestTimeout
	}
	ctx, cancel := context.WithTimeout(m.ctx, timeout)
	var mu sync.Mutex
	var early []socketio.Value // arrived before the number was told: Node tells that first
	got, clients := 0, -1
	n, stop := m.localAdapter.BroadcastAcks(ctx, p, o, func(v socketio.Value) {
		mu.Lock()
		if clients < 0 {
			early = append(early, v)
			mu.Unlock()
			return
		}
		got++
		last := got >= clients
		mu.Unlock()
		ack(v)
		if last {
			cancel()
		}
	})
	count(n)
	for over := false; !over; {
		mu.Lock()
		held := early
		early = nil
		got += len(held)
		if over = len(held) == 0; over {
			clients = n
		}
		last := over && got >= n
		mu.Unlock()
		for _, v := range held {
			ack(v)
		}
		if last {
			cancel()
		}
	}
	m.wg.Add(1) // we are in a goroutine of m.wg
	context.AfterFunc(ctx, func() {
		defer m.wg.Done()
		cancel()
		stop()
	})
}

// countMalformed counts a message that made no sense.
func (m *node) countMalformed(channel string, err error) {
	m.counters.malformed.Add(1)
	if _, ok := m.malformedLog.Allow(); ok {
		m.log.Warn("malformed message from redis ignored", "channel", channel, "error", err)
	}
}

// unknownMessage counts a well-formed message of an unknown kind.
func (m *node) unknownMessage() { m.counters.unknownRequests.Add(1) }

// keepSockets stores what an answer to fetchSockets brings.
func keepSockets(r *clusterRequest, raw json.RawMessage) func() {
	return func() {
		if list, err := socketsFromJSON(raw); err == nil {
			r.sockets = append(r.sockets, list...)
		}
	}
}
