package load

import (
	"context"
	"net/http"
	"time"

	"posthouse/internal/sleep"
)

// idle opens connections and measures what opening one costs and how much memory
// the server then keeps for it.
func idle(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	t := targets[0]
	// A first crowd comes and goes, so that the server has its pools and its code
	// warm before it is measured.
	conns, err := dialAll(ctx, t.Addr, min(l.Idle, 200), nil)
	if err != nil {
		return nil, err
	}
	closeAll(conns)
	before, err := settled(ctx, t)
	if err != nil {
		return nil, err
	}
	cpu := cpuOf(targets)
	if conns, err = dialAll(ctx, t.Addr, l.Idle, nil); err != nil {
		return nil, err
	}
	cpu = cpuOf(targets) - cpu
	team := newCrew(ctx)
	for _, c := range conns {
		team.work(c, func() (int, error) { _, err := c.read(); return 0, err })
	}
	after, err := settled(team.ctx, t)
	n := float64(l.Idle)
	return team.finish([]Metric{
		{Name: "memory", Unit: "KiB", Value: float64(after-before) / 1024 / n},
		{Name: "handshake", Unit: "µs", Value: float64(cpu) / float64(time.Microsecond) / n},
	}, err, conns...)
}

// settled makes the server collect its garbage and returns its resident memory in
// bytes.
func settled(ctx context.Context, t *Target) (int64, error) {
	for range 3 {
		if _, err := once(ctx, t.Addr, http.MethodPost, "/bench/gc"); err != nil {
			return 0, err
		}
		if err := sleep.For(ctx, 300*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return Memory(t.PID)
}

// pings measures what idle connections cost while the server pings each of them
// once a second, for some seconds: CPU time per connection and ping.
func pings(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	conns, err := dialAll(ctx, targets[0].Addr, l.Idle, nil)
	if err != nil {
		return nil, err
	}
	team := newCrew(ctx)
	for _, c := range conns {
		team.work(c, func() (int, error) {
			op, err := c.readFrame()
			if err != nil || op != 1 || string(c.body) != "2" {
				return 0, err
			}
			return 1, c.send("3")
		})
	}
	l.Duration = max(l.Duration, 3*time.Second)
	m, err := team.measure(l, "µs", targets)
	return team.finish(m, err, conns...)
}
