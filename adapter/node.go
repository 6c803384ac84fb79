package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
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

// member is what the adapter of a namespace needs to take part in a cluster,
// whatever the messages look like.
type member struct {
	local   *socketio.LocalAdapter
	nsp     string
	uid     string
	nodes   redisNodes
	stats   stats
	log     *slog.Logger
	pub     *publisher
	peers   *peers
	pending *pending
	answers *answers
	worker  *worker
	timeout time.Duration // of requests
	// Where nodes are counted, and the channel of the answers to one node, which
	// tells whether that node is subscribed.
	countChannel   string
	answersChannel func(uid string) string
	sharded        bool
	malformedLog   loglimit.Limiter

	ctx    context.Context // the lifetime of the adapter
	cancel context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

func newMember(l *socketio.LocalAdapter, nodes redisNodes, uid string, timeout time.Duration, log *slog.Logger) *member {
	m := &member{local: l, nsp: l.Namespace(), uid: uid, nodes: nodes, pending: newPending(), answers: newAnswers(), timeout: timeout}
	if m.timeout <= 0 {
		m.timeout = defaultRequestsTimeout
	}
	if log == nil {
		log = slog.Default()
	}
	m.log = log.With("namespace", m.nsp)
	m.worker = newWorker(&m.stats, m.log)
	m.ctx, m.cancel = context.WithCancel(context.Background()) // ended by Close
	return m
}

// start runs the goroutines of the adapter: publisher, subscriber, presence and
// worker, and waits a moment for the first subscription.
func (m *member) start(subscriber func(ctx context.Context), firstTries ...<-chan struct{}) {
	m.wg.Go(func() { m.pub.run(m.ctx) })
	m.wg.Go(func() { subscriber(m.ctx) })
	m.wg.Go(func() { m.worker.run(m.ctx) })
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
	m.wg.Go(func() { m.peers.run(m.ctx) })
	await(m.pub.firstTry) // of its hello: whether Redis takes messages is known then
}

// Close says goodbye to the other nodes, gives Redis a second to take what still
// waits to be published, and waits for the adapter's goroutines.
func (m *member) Close() error {
	m.closed.Do(func() {
		m.peers.tell(presenceBye)
		m.pending.close()
		m.pub.close()
		t := time.NewTimer(closeFlush)
		defer t.Stop()
		select {
		case <-m.pub.ended:
		case <-t.C:
		}
		m.cancel()
		m.wg.Wait()
	})
	return nil
}

// Stats returns what happened so far.
func (m *member) Stats() Stats {
	s := m.stats.snapshot()
	s.Nodes = m.peers.count()
	return s
}

// ServerCount asks Redis how many nodes have this namespace. With an error it
// returns how many are known to live.
func (m *member) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := m.deadline(ctx, 0)
	defer cancel()
	counts, err := m.nodes.subscribers(ctx, m.sharded, m.countChannel)
	if err != nil {
		return m.peers.count() + 1, notReached(opServerCount, err)
	}
	return max(counts[m.countChannel], 1), nil
}

// deadline bounds ctx: by d if positive, else by its own deadline, else by the
// adapter's timeout.
func (m *member) deadline(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		if _, ok := ctx.Deadline(); ok {
			return context.WithCancel(ctx)
		}
		d = m.timeout
	}
	return context.WithTimeout(ctx, d)
}

// expect finds out how many answers r gets, and from whom. Nodes that are
// silent are not among them, even while Redis still counts them. The error means that
// Redis was not reached: then there may be more nodes than are known.
func (m *member) expect(ctx context.Context, r *request) error {
	alive, silent := m.peers.names()
	self := m.answersChannel(m.uid)
	channels := []string{m.countChannel, self}
	for _, uid := range alive {
		channels = append(channels, m.answersChannel(uid))
	}
	for _, uid := range silent {
		channels = append(channels, m.answersChannel(uid))
	}
	counts, err := m.nodes.subscribers(ctx, m.sharded, channels...)
	if err != nil {
		m.log.Debug("redis does not count the nodes", "error", err)
		r.expect(len(alive), alive)
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil // it was reached: not every user may ask
		}
		return notReached(r.op, err)
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
			m.peers.forgetNode(uid)
		}
	}
	for _, uid := range silent {
		if counts[m.answersChannel(uid)] > 0 {
			n--
		} else {
			m.peers.forget(uid)
		}
	}
	r.expect(max(n, 0), waiting)
	return nil
}

// ask sends a question to the other nodes and waits for their answers. It is not
// sent when there is nobody to answer.
func (m *member) ask(ctx context.Context, r *request, id string, timeout time.Duration, send func() error) error {
	ctx, cancel := m.deadline(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if !m.pending.add(id, r) {
		return ErrClosed
	}
	defer m.pending.remove(id)
	m.stats.requests.Add(1)
	unknown := m.expectAnswers(ctx, r)
	select {
	case <-r.done:
		return m.lacking(unknown)
	case <-ctx.Done():
		return m.lacking(errors.Join(r.wait(ctx), unknown))
	default:
	}
	if err := send(); err != nil {
		return m.lacking(err)
	}
	return m.lacking(errors.Join(r.wait(ctx), unknown))
}

// lacking counts a request that ends with err.
func (m *member) lacking(err error) error {
	if err != nil {
		m.stats.requestsFailed.Add(1)
	}
	return err
}

// sent is the result of a change that was given to the publisher with err: while
// Redis takes nothing, the other nodes do not hear of it in time, or at all.
func (m *member) sent(op string, err error) error {
	if err == nil && m.pub.isDown() {
		return notReached(op, nil)
	}
	return err
}

// broadcastWithAck runs a broadcast with acks: send publishes it for the other
// nodes, with the time they have.
func (m *member) broadcastWithAck(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions, id string, send func(o socketio.BroadcastOptions) error) ([]socketio.Value, error) {
	if o.Flags.Local {
		return m.local.BroadcastWithAck(ctx, p, o)
	}
	ctx, cancel := m.deadline(ctx, o.Flags.Timeout)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()
	if o.Flags.Timeout <= 0 {
		end, _ := ctx.Deadline()
		o.Flags.Timeout = max(time.Until(end), time.Millisecond)
	}
	r := newRequest(opEmitWithAck)
	r.single = o.Flags.ExpectSingleResponse
	if !m.pending.add(id, r) {
		return nil, ErrClosed
	}
	defer m.pending.remove(id)
	m.stats.requests.Add(1)
	var published error
	able := m.answers.can()
	if able {
		published = send(o)
	}
	clients, stop := m.local.BroadcastAcks(ctx, p, o, r.ack)
	defer stop()
	r.mu.Lock()
	r.clients += clients
	r.mu.Unlock()
	var unknown error
	if !able { // the local clients did not wait for that
		unknown = m.expectAnswers(ctx, r)
		if m.answers.can() && !r.isDone() {
			published = send(o)
		}
	}
	switch {
	case published != nil:
		r.expect(0, nil)
	case able:
		unknown = m.expect(ctx, r)
	}
	err := errors.Join(r.wait(ctx), unknown)
	if published != nil {
		err = published
	}
	err = m.lacking(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values, err
}

// answerBroadcast is the other side: it delivers a broadcast with acks of another
// node, tells it the number of clients and then each acknowledgement.
func (m *member) answerBroadcast(p *parser.Packet, o socketio.BroadcastOptions, count func(clients int), ack func(socketio.Value)) {
	timeout := o.Flags.Timeout
	if timeout <= 0 {
		timeout = m.timeout
	}
	ctx, cancel := context.WithTimeout(m.ctx, timeout)
	var mu sync.Mutex
	var early []socketio.Value // arrived before the number was told: Node tells that first
	got, clients := 0, -1
	n, stop := m.local.BroadcastAcks(ctx, p, o, func(v socketio.Value) {
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

// malformed counts a message that made no sense.
func (m *member) malformed(channel string, err error) {
	m.stats.malformed.Add(1)
	if _, ok := m.malformedLog.Allow(); ok {
		m.log.Warn("malformed message from redis ignored", "channel", channel, "error", err)
	}
}

// unknownMessage counts a well-formed message of an unknown kind.
func (m *member) unknownMessage() { m.stats.unknown.Add(1) }

// keepSockets stores what an answer to fetchSockets brings.
func keepSockets(r *request, raw json.RawMessage) func() {
	return func() {
		if list, err := socketsFromJSON(raw); err == nil {
			r.sockets = append(r.sockets, list...)
		}
	}
}
