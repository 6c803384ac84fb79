// Package load puts a Socket.IO server under load and measures what it costs the
// server: CPU time per operation, from the clock that the kernel keeps of its
// process, and memory. Any server will do that offers the conventions of the
// benchmark (see ../README.md).
//
// The client side is written by hand, byte by byte, and shares no code with the
// server of this module: so one checks the other. A scenario
// owns the goroutines it starts and waits for them before it returns.
package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"
)

// Target is a server under test.
type Target struct {
	Addr  string // host:port, behind "tls:" when the server speaks TLS
	PID   int    // of its process on this machine
	Debug string // host:port of a gateway's profiles
}

// Load says how much to do. The zero value is what `make bench` runs.
type Load struct {
	Duration    time.Duration // of the measured part, default 2 s
	Warmup      time.Duration // before it, default a quarter of Duration
	Connections int           // of the echo scenarios, default 50
	Idle        int           // idle connections, default 1000
	Members     int           // of a fan-out's room, default what its name says
	Redis       string        // host:port of the Redis of the servers, for scenarios that count its commands
	WeChat      string        // host:port of the local WeChat, for scenarios of the gateway
}

func (l Load) withDefaults() Load {
	if l.Duration <= 0 {
		l.Duration = 2 * time.Second
	}
	if l.Warmup <= 0 {
		l.Warmup = l.Duration / 4
	}
	if l.Connections <= 0 {
		l.Connections = 50
	}
	if l.Idle <= 0 {
		l.Idle = 1000
	}
	return l
}

// Metric is one measured number; lower is better.
type Metric struct {
	Name  string
	Unit  string
	Value float64
}

// Nothing stands for a measured zero, because 0 is what was not measured.
const Nothing = 1e-6

// Scenario is one kind of load.
type Scenario struct {
	Name    string
	Servers int      // how many targets Run needs
	Redis   bool     // whether they need REDIS_URL
	Env     []string // what else the servers need in their environment
	Extra   bool     // runs only when it is asked for by name
	Bare    bool     // a WebSocket server that knows no Socket.IO can answer it with fixed bytes
	Gateway bool     // the target is the gateway itself, with a Redis and a local WeChat
	Run     func(ctx context.Context, l Load, targets []*Target) ([]Metric, error)
}

// Scenarios returns all of them, in the order in which they are reported.
func Scenarios() []Scenario {
	return append([]Scenario{
		{Name: "echo-1", Servers: 1, Bare: true, Run: echo(1)},
		{Name: "echo-16", Servers: 1, Bare: true, Run: echo(16)},
		{Name: "binary", Servers: 1, Bare: true, Run: binaryEcho},
		{Name: "fanout-1000", Servers: 1, Bare: true, Run: fanout(1000, 1)},
		{Name: "fanout-5000", Servers: 1, Bare: true, Run: fanout(5000, 1)},
		{Name: "fanout-bursts", Servers: 1, Bare: true, Run: fanout(1000, 10)},
		{Name: "polling", Servers: 1, Run: pollingRoundTrip},
		{Name: "polling-open", Servers: 1, Run: pollingOpenClose},
		{Name: "login", Servers: 1, Run: login},
		{Name: "cluster", Servers: 2, Redis: true, Run: cluster},
		{Name: "idle", Servers: 1, Bare: true, Run: idle},
		{Name: "pings", Servers: 1, Bare: true, Env: []string{"PING_INTERVAL=1000"}, Run: pings},
		{Name: "scaling", Servers: 1, Bare: true, Extra: true, Run: scaling},
	}, append(tlsScenarios(), deflateScenarios()...)...)
}

// crew is a group of clients that work until told to stop. The first error ends
// all of them.
type crew struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	ops    atomic.Int64
}

var (
	errDone = errors.New("done")
	errIdle = errors.New("load: the server did nothing")
)

func newCrew(ctx context.Context) *crew {
	c := &crew{}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

// work runs step again and again, counting what it did. conn is closed to wake
// a step that waits.
func (c *crew) work(conn interface{ Close() error }, step func() (int, error)) {
	stop := context.AfterFunc(c.ctx, func() { _ = conn.Close() })
	c.wg.Go(func() {
		defer stop()
		for c.ctx.Err() == nil {
			n, err := step()
			if err != nil {
				c.cancel(err) // has no effect after end
				return
			}
			c.ops.Add(int64(n))
		}
	})
}

// maxDurations is how often a measurement goes on in which no operation has ended: a short
// one on a busy machine says nothing about the server.
const maxDurations = 20

// countOps waits for d, and goes on while no operation has ended. It returns how many have.
func (c *crew) countOps(d time.Duration) (int64, error) {
	begun := c.ops.Load()
	for range maxDurations {
		if err := sleep.For(c.ctx, d); err != nil {
			return 0, err
		}
		if ops := c.ops.Load() - begun; ops > 0 {
			return ops, nil
		}
	}
	return 0, errIdle
}

// measure waits for the warm-up, then returns the CPU time of the targets per
// operation in the time that follows, in microseconds.
func (c *crew) measure(l Load, unit string, targets []*Target) ([]Metric, error) {
	if err := sleep.For(c.ctx, l.Warmup); err != nil {
		return nil, err
	}
	cpu := cpuOf(targets)
	ops, err := c.countOps(l.Duration)
	if err != nil {
		return nil, err
	}
	cpu = cpuOf(targets) - cpu
	return []Metric{{Unit: unit, Value: float64(cpu) / float64(time.Microsecond) / float64(ops)}}, nil
}

// end stops the crew, waits for it and returns the error that ended it earlier.
func (c *crew) end(conns ...*wsConn) error {
	c.cancel(errDone)
	for _, conn := range conns {
		_ = conn.Close()
	}
	c.wg.Wait()
	if err := context.Cause(c.ctx); !errors.Is(err, errDone) {
		return err
	}
	return nil
}

// finish joins what measure and end said.
func (c *crew) finish(m []Metric, err error, conns ...*wsConn) ([]Metric, error) {
	return m, errors.Join(c.end(conns...), err)
}

func cpuOf(targets []*Target) (sum time.Duration) {
	for _, t := range targets {
		d, err := CPU(t.PID)
		if err != nil {
			return 0
		}
		sum += d
	}
	return sum
}

// dialAll opens n connections, some at a time, and runs prepare on each.
func dialAll(ctx context.Context, addr string, n int, prepare func(i int, c *wsConn) error) ([]*wsConn, error) {
	conns := make([]*wsConn, n)
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, 32) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				c, err := dialWS(ctx, addr)
				if err == nil {
					conns[i] = c
					if _, err = c.connect("/"); err == nil && prepare != nil {
						err = prepare(i, c)
					}
				}
				errs[i] = err
			}
		})
	}
	wg.Wait()
	conns = slices.DeleteFunc(conns, func(c *wsConn) bool { return c == nil })
	if err := errors.Join(errors.Join(errs...), ctx.Err()); err != nil {
		closeAll(conns)
		return nil, fmt.Errorf("load: opening %d connections: %w", n, firstLine(err))
	}
	return conns, nil
}

func closeAll(conns []*wsConn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

// firstLine keeps one of many joined errors.
func firstLine(err error) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok && len(j.Unwrap()) > 0 {
		return firstLine(j.Unwrap()[0])
	}
	return err
}
