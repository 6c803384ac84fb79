package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/loglimit"
)

// ErrQueueFull means that a message was delivered to the sockets of this node but
// not published, because Redis does not take what already waits.
var ErrQueueFull = errors.New("adapter: publish queue full")

// ErrNotReached means that the result is this node's alone: Redis does not answer,
// so that other nodes, if there are any, were neither asked nor told.
var ErrNotReached = errors.New("adapter: cluster not reached")

// notReached tells which operation lacks the other nodes, and why.
func notReached(op string, why error) error {
	if why == nil {
		return fmt.Errorf("%w: %s: redis takes no messages", ErrNotReached, op)
	}
	return fmt.Errorf("%w: %s: %w", ErrNotReached, op, why)
}

// ErrClosed is returned by operations on an adapter or emitter after Close.
var ErrClosed = errors.New("adapter: closed")

const (
	queueItems = 1 << 16
	queueBytes = 64 << 20
	batchItems = 1024
	batchBytes = 1 << 20
	// closeFlush is how long Close waits for Redis to take what still waits.
	closeFlush = time.Second
)

// redisCommand is one Redis command that waits to be sent. It goes to the server
// that owns key.
type redisCommand struct {
	key         string
	args        []any
	publication *publication // instead of key and args
	byteSize    int
	onReply     func(reply any, err error) // may be nil; must not block
}

func publishCommand(name, channel string, payload []byte) redisCommand {
	return redisCommand{key: channel, args: []any{name, channel, payload}, byteSize: len(channel) + len(payload) + 64}
}

// telling is c, whose result is told to sent; nil is told nothing.
func (c redisCommand) telling(sent func(error)) redisCommand {
	if sent != nil {
		c.onReply = func(_ any, err error) { sent(err) }
	}
	return c
}

// once is a command that is not sent again after an error, when it is not known
// whether Redis has run it: a message arrives at most once.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// publisher sends commands in the order they are given, from a goroutine of its
// own: what arrives while a write is under way goes out together in the next one.
// Every namespace has its own, so namespaces never wait for each other.
type publisher struct {
	redisNodes redisNodes
	// fixedKey, if set, decides the server of all commands: with PUBLISH any
	// server of a cluster will do, but only one keeps the order.
	fixedKey     string
	counters     *counters
	log          *slog.Logger
	wakeSignal   chan struct{} // capacity 1
	refusedLines loglimit.Limiter
	former       formerConns

	closeCalled chan struct{} // closed by close
	runReturned chan struct{} // closed when run returned

	firstTry     chan struct{} // closed when Redis has taken something, or has not
	firstTryOnce sync.Once

	mu            sync.Mutex // guards what follows
	queue         []redisCommand
	queuedBytes   int
	isClosed      bool
	holders       int  // see hold
	lastFailed    bool // the last attempt failed
	everSucceeded bool // one has succeeded
}

func newPublisher(nodes redisNodes, fixedKey string, st *counters, log *slog.Logger) *publisher {
	return &publisher{
		redisNodes: nodes, fixedKey: fixedKey, counters: st, log: log,
		wakeSignal: make(chan struct{}, 1), closeCalled: make(chan struct{}), runReturned: make(chan struct{}), firstTry: make(chan struct{}),
	}
}

// queueCommand queues c. It never waits.
func (p *publisher) queueCommand(c redisCommand) error {
	p.mu.Lock()
	if p.isClosed {
		p.mu.Unlock()
		return ErrClosed
	}
	if len(p.queue) >= queueItems || p.queuedBytes+c.byteSize > queueBytes {
		p.mu.Unlock()
		p.counters.publishRefused.Add(1)
		return ErrQueueFull
	}
	p.queue = append(p.queue, c)
	p.queuedBytes += c.byteSize
	held := p.holders > 0 && c.onReply == nil // a reply may be waited for
	p.mu.Unlock()
	if !held {
		p.wakeUp()
	}
	return nil
}

func (p *publisher) wakeUp() {
	select {
	case p.wakeSignal <- struct{}{}:
	default:
	}
}

// hold lets commands without onReply wait for release, so that they go out in one write. It
// keeps nothing back that the publisher finds while it is awake: holders that overlap
// cannot stop it.
func (p *publisher) hold() (release func()) {
	p.mu.Lock()
	p.holders++
	p.mu.Unlock()
	return p.release
}

func (p *publisher) release() {
	p.mu.Lock()
	p.holders--
	p.mu.Unlock()
	p.wakeUp()
}

// queueFirst queues c before everything that waits. It is for few commands that must be
// sent: the limits of the queue do not count.
func (p *publisher) queueFirst(c redisCommand) {
	p.mu.Lock()
	if p.isClosed {
		p.mu.Unlock()
		return
	}
	p.queue = slices.Insert(p.queue, 0, c)
	p.queuedBytes += c.byteSize
	p.mu.Unlock()
	p.wakeUp()
}

// close refuses further commands; run sends what waits and returns. It is called once.
func (p *publisher) close() {
	p.mu.Lock()
	p.isClosed = true
	p.mu.Unlock()
	close(p.closeCalled)
	p.wakeUp()
}

// run sends until close was called and the queue is empty, or ctx ends.
func (p *publisher) run(ctx context.Context) {
	defer close(p.runReturned)
	var retry backoff
	var batch []redisCommand
	for {
		var closed bool
		batch, closed = p.takeBatch(batch[:0])
		if len(batch) == 0 {
			if closed {
				return
			}
			select {
			case <-p.wakeSignal:
				continue
			case <-ctx.Done():
				p.failQueued(ctx.Err())
				return
			}
		}
		err := p.sendBatch(ctx, batch)
		clear(batch)
		switch {
		case err == nil:
			if p.setDown(false) {
				p.log.Info("redis takes messages again")
			}
			retry.reset()
		case ctx.Err() != nil:
			p.failQueued(ctx.Err())
			return
		default:
			if !p.setDown(true) {
				p.log.Warn("redis takes no messages", "error", err)
			}
			p.redisNodes.refreshTopology(ctx)
			if closed {
				p.failQueued(err) // no caller waits for Redis to come back
				return
			}
			if !retry.waitOr(ctx, p.closeCalled) {
				p.failQueued(ctx.Err())
				return
			}
		}
	}
}

func (p *publisher) setDown(down bool) (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.lastFailed = p.lastFailed, down
	p.everSucceeded = p.everSucceeded || !down
	p.firstTryOnce.Do(func() { close(p.firstTry) })
	return before
}

// isDown reports whether Redis did not take what was sent last, or nothing yet.
func (p *publisher) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastFailed || !p.everSucceeded
}

// takeBatch moves what waits, up to the size of a batch, to dst.
func (p *publisher) takeBatch(dst []redisCommand) (batch []redisCommand, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.queue) && n < batchItems && (n == 0 || size+p.queue[n].byteSize <= batchBytes) {
		size += p.queue[n].byteSize
		n++
	}
	dst = append(dst, p.queue[:n]...)
	if n == len(p.queue) {
		clear(p.queue)
		p.queue = p.queue[:0]
	} else {
		clear(p.queue[:n])
		p.queue = p.queue[n:]
	}
	p.queuedBytes -= size
	return dst, p.isClosed
}

// failQueued gives up on everything that waits.
func (p *publisher) failQueued(err error) {
	p.mu.Lock()
	queue := p.queue
	p.queue, p.queuedBytes, p.isClosed = nil, 0, true
	p.mu.Unlock()
	for _, c := range queue {
		p.finishCommand(c, nil, err)
	}
}

func (p *publisher) finishCommand(c redisCommand, reply any, err error) {
	if err != nil {
		p.counters.publishFailed.Add(1)
	} else {
		p.counters.published.Add(1)
	}
	if c.onReply != nil {
		c.onReply(reply, err)
	}
	if c.publication != nil {
		c.publication.done(err)
	}
}

// sendBatch sends batch, one pipeline per server, and waits for the replies. The order
// is kept per server, and so per channel.
func (p *publisher) sendBatch(ctx context.Context, batch []redisCommand) error {
	if p.fixedKey != "" || p.redisNodes.singleClient != nil {
		node, err := p.redisNodes.ownerOf(ctx, p.fixedKey)
		return p.pipelineTo(ctx, node, err, batch)
	}
	type group struct {
		node  *redis.Client
		err   error
		batch []redisCommand
	}
	var groups []*group
	byNode := make(map[*redis.Client]*group)
	for _, c := range batch {
		node, err := p.redisNodes.ownerOf(ctx, c.owner())
		g := byNode[node]
		if g == nil {
			g = &group{node: node, err: err}
			byNode[node] = g
			groups = append(groups, g)
		}
		g.batch = append(g.batch, c)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(groups))
	for i, g := range groups {
		wg.Go(func() { errs[i] = p.pipelineTo(ctx, g.node, g.err, g.batch) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pipelineTo sends batch to node. The error is for the batch as a whole; a
// command's own error is told to its done.
func (p *publisher) pipelineTo(ctx context.Context, node *redis.Client, err error, batch []redisCommand) error {
	if err != nil {
		return p.failBatch(batch, err)
	}
	began := time.Now()
	var sender redisSender = node
	if conn, err := p.endFormer(ctx, node); err != nil {
		return p.failBatch(batch, err)
	} else if conn != nil {
		defer conn.Close() //nolint:errcheck // back to its pool
		sender = conn
	}
	cmds := make([]redis.Cmder, len(batch))
	for i, c := range batch {
		cmds[i] = c.command(ctx)
	}
	if len(cmds) == 1 {
		_ = sender.Process(ctx, cmds[0]) // the error is in the command
	} else {
		pipe := sender.Pipeline()
		_ = pipe.BatchProcess(ctx, cmds...)
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	var moved []redisCommand
	var failure error
	for i, c := range batch {
		reply, err := cmds[i].(once).Result()
		if err != nil {
			if _, isMoved := redis.IsMovedError(err); isMoved {
				// The slot lives elsewhere now: the command was not run, try once more.
				moved = append(moved, c)
				continue
			}
			if !isRefusal(err) {
				failure = err
			} else if held, ok := p.refusedLines.Allow(); ok {
				p.log.Warn("redis refused a message", "error", err, "not_logged", held)
			}
		}
		p.finishCommand(c, reply, err)
	}
	if failure != nil {
		p.former.noteFailure(node, began, failure)
	}
	if len(moved) > 0 {
		return errors.Join(failure, p.sendRedirected(ctx, moved))
	}
	return failure
}

// failBatch tells all commands of a batch that they were not sent.
func (p *publisher) failBatch(batch []redisCommand, err error) error {
	for _, c := range batch {
		p.finishCommand(c, nil, err)
	}
	return err
}

// firstKey is where the first key of a command stands.
func firstKey(args []any) int8 {
	if args[0] == "eval" {
		return 3
	}
	return 1
}

// sendRedirected sends commands again that were answered with MOVED.
func (p *publisher) sendRedirected(ctx context.Context, batch []redisCommand) error {
	for _, c := range batch {
		// The cluster client follows redirections and learns from them.
		args := c.arguments()
		cmd := redis.NewCmd(ctx, args...)
		if p.redisNodes.clusterClient == nil {
			p.finishCommand(c, nil, errClient)
			continue
		}
		cmd.SetFirstKeyPos(firstKey(args))
		_ = p.redisNodes.clusterClient.Process(ctx, once{cmd})
		reply, err := cmd.Result()
		p.finishCommand(c, reply, err)
	}
	return nil
}
