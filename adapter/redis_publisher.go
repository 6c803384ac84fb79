package adapter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// command is one Redis command that waits to be sent. It goes to the server
// that owns key.
type command struct {
	key  string
	args []any
	size int
	done func(reply any, err error) // may be nil; must not block
}

func publishCommand(name, channel string, payload []byte) command {
	return command{key: channel, args: []any{name, channel, payload}, size: len(channel) + len(payload) + 64}
}

// once is a command that is not sent again after an error, when nobody can know
// whether Redis has run it: a message arrives at most once.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// publisher sends commands in the order they are given, from a goroutine of its
// own: what arrives while a write is under way goes out together in the next one.
// Every namespace has its own, so namespaces never wait for each other.
type publisher struct {
	nodes redisNodes
	// fixedKey, if set, decides the server of all commands: with PUBLISH any
	// server of a cluster will do, but only one keeps the order.
	fixedKey string
	stats    *stats
	log      *slog.Logger
	wake     chan struct{} // capacity 1
	refused  loglimit.Limiter

	closing chan struct{} // closed by close
	ended   chan struct{} // closed when run returned

	firstTry chan struct{} // closed when Redis has taken something, or has not
	tried    sync.Once

	mu     sync.Mutex
	queue  []command
	bytes  int
	closed bool
	down   bool // the last attempt failed
	taken  bool // one has succeeded
}

func newPublisher(nodes redisNodes, fixedKey string, st *stats, log *slog.Logger) *publisher {
	return &publisher{
		nodes: nodes, fixedKey: fixedKey, stats: st, log: log,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}), firstTry: make(chan struct{}),
	}
}

// send queues c. It never waits.
func (p *publisher) send(c command) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if len(p.queue) >= queueItems || p.bytes+c.size > queueBytes {
		p.mu.Unlock()
		p.stats.publishRefused.Add(1)
		return ErrQueueFull
	}
	p.queue = append(p.queue, c)
	p.bytes += c.size
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// close refuses further commands; run sends what waits and returns. It is called once.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	close(p.closing)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run sends until close was called and the queue is empty, or ctx ends.
func (p *publisher) run(ctx context.Context) {
	defer close(p.ended)
	var retry backoff
	var batch []command
	for {
		var closed bool
		batch, closed = p.take(batch[:0])
		if len(batch) == 0 {
			if closed {
				return
			}
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				p.fail(ctx.Err())
				return
			}
		}
		err := p.exec(ctx, batch)
		clear(batch)
		switch {
		case err == nil:
			if p.setDown(false) {
				p.log.Info("redis takes messages again")
			}
			retry.reset()
		case ctx.Err() != nil:
			p.fail(ctx.Err())
			return
		default:
			if !p.setDown(true) {
				p.log.Warn("redis takes no messages", "error", err)
			}
			p.nodes.refresh(ctx)
			if closed {
				p.fail(err) // nobody waits for Redis to come back
				return
			}
			if !retry.waitOr(ctx, p.closing) {
				p.fail(ctx.Err())
				return
			}
		}
	}
}

func (p *publisher) setDown(down bool) (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.down = p.down, down
	p.taken = p.taken || !down
	p.tried.Do(func() { close(p.firstTry) })
	return before
}

// isDown reports whether Redis did not take what was sent last, or nothing yet.
func (p *publisher) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down || !p.taken
}

// take moves what waits, up to the size of a batch, to dst.
func (p *publisher) take(dst []command) (batch []command, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for n < len(p.queue) && n < batchItems && (n == 0 || size+p.queue[n].size <= batchBytes) {
		size += p.queue[n].size
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
	p.bytes -= size
	return dst, p.closed
}

// fail gives up on everything that waits.
func (p *publisher) fail(err error) {
	p.mu.Lock()
	queue := p.queue
	p.queue, p.bytes, p.closed = nil, 0, true
	p.mu.Unlock()
	for _, c := range queue {
		p.finish(c, nil, err)
	}
}

func (p *publisher) finish(c command, reply any, err error) {
	if err != nil {
		p.stats.publishFailed.Add(1)
	} else {
		p.stats.published.Add(1)
	}
	if c.done != nil {
		c.done(reply, err)
	}
}

// exec sends batch, one pipeline per server, and waits for the replies. The order
// is kept per server, and so per channel.
func (p *publisher) exec(ctx context.Context, batch []command) error {
	if p.fixedKey != "" || p.nodes.single != nil {
		node, err := p.nodes.owner(ctx, p.fixedKey)
		return p.pipeline(ctx, node, err, batch)
	}
	type group struct {
		node  *redis.Client
		err   error
		batch []command
	}
	var groups []*group
	byNode := make(map[*redis.Client]*group)
	for _, c := range batch {
		node, err := p.nodes.owner(ctx, c.key)
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
		wg.Go(func() { errs[i] = p.pipeline(ctx, g.node, g.err, g.batch) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pipeline sends batch to node. The error is for the batch as a whole; a
// command's own error is told to its done.
func (p *publisher) pipeline(ctx context.Context, node *redis.Client, err error, batch []command) error {
	if err != nil {
		for _, c := range batch {
			p.finish(c, nil, err)
		}
		return err
	}
	cmds := make([]*redis.Cmd, len(batch))
	if len(batch) == 1 {
		cmds[0] = redis.NewCmd(ctx, batch[0].args...)
		_ = node.Process(ctx, once{cmds[0]}) // the error is in the command
	} else {
		pipe := node.Pipeline()
		for i, c := range batch {
			cmds[i] = redis.NewCmd(ctx, c.args...)
			_ = pipe.Process(ctx, once{cmds[i]})
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	var moved []command
	var failure error
	for i, c := range batch {
		reply, err := cmds[i].Result()
		if _, isMoved := redis.IsMovedError(err); isMoved {
			// The slot lives elsewhere now: the command was not run, try once more.
			moved = append(moved, c)
			continue
		}
		var refused redis.Error
		if err != nil && !errors.As(err, &refused) {
			failure = err
		} else if err != nil {
			if held, ok := p.refused.Allow(); ok {
				p.log.Warn("redis refused a message", "error", err, "not_logged", held)
			}
		}
		p.finish(c, reply, err)
	}
	if len(moved) > 0 {
		return errors.Join(failure, p.redirect(ctx, moved))
	}
	return failure
}

// redirect sends commands again that were answered with MOVED.
func (p *publisher) redirect(ctx context.Context, batch []command) error {
	for _, c := range batch {
		// The cluster client follows redirections and learns from them.
		cmd := redis.NewCmd(ctx, c.args...)
		if p.nodes.cluster == nil {
			p.finish(c, nil, errClient)
			continue
		}
		cmd.SetFirstKeyPos(1)
		_ = p.nodes.cluster.Process(ctx, once{cmd})
		reply, err := cmd.Result()
		p.finish(c, reply, err)
	}
	return nil
}
