package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// cluster relays events from clients of one node to clients of the other: first
// many at once, for the CPU time of both nodes, then one at a time, for how long
// it takes.
func cluster(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	m, err := relay(ctx, l, targets, 16, 16, nil)
	if err != nil {
		return nil, err
	}
	var times latencies
	l.Duration /= 2
	if _, err := relay(ctx, l, targets, 1, 1, &times); err != nil {
		return nil, err
	}
	return append(m, times.p50()), nil
}

// relay keeps window events in flight for each pair: they go out in one write, and
// the next ones when all have arrived, in order.
func relay(ctx context.Context, l Load, targets []*Target, pairs, window int, times *latencies) ([]Metric, error) {
	return relayTo(ctx, targets, pairs, window, times, func(team *crew) ([]Metric, error) { return team.measure(l, "µs", targets) })
}

// relayTo is relay with a measure of the caller's own.
func relayTo(ctx context.Context, targets []*Target, pairs, window int, times *latencies, measure func(*crew) ([]Metric, error)) ([]Metric, error) {
	from, err := dialAll(ctx, targets[0].Addr, pairs, nil)
	if err != nil {
		return nil, err
	}
	// Rooms of its own: what the clients of an earlier run have sent may still be on
	// its way.
	room := func(i int) string { return fmt.Sprintf("pair-%d-of-%d", i, pairs) }
	to, err := dialAll(ctx, targets[1].Addr, pairs, func(i int, c *wsConn) error {
		if err := c.send(fmt.Sprintf(`420["join",%q]`, room(i))); err != nil {
			return err
		}
		return c.expect(`430[]`)
	})
	if err != nil {
		closeAll(from)
		return nil, err
	}
	team := newCrew(ctx)
	for i := range pairs {
		a, b := from[i], to[i]
		var want []string
		for n := range window {
			a.text(fmt.Sprintf(`42["relay",%q,{"text":"hello","n":%d}]`, room(i), n))
			want = append(want, fmt.Sprintf(`42["msg",{"text":"hello","n":%d}]`, n))
		}
		out := a.out
		a.out = nil
		team.work(b, func() (int, error) {
			start := time.Now()
			if _, err := a.Write(out); err != nil {
				return 0, err
			}
			for _, w := range want {
				if err := b.expect(w); err != nil {
					return 0, err
				}
			}
			times.add(time.Since(start))
			return window, nil
		})
		team.work(a, func() (int, error) { return 0, a.answerPings() })
	}
	m, err := measure(team)
	return team.finish(m, err, slices.Concat(from, to)...)
}

// answerPings reads a connection on which nothing but pings comes.
func (c *wsConn) answerPings() error {
	b, err := c.read()
	if err == nil {
		err = fmt.Errorf("load: unexpected %.80q", b)
	}
	return err
}

// latencies gathers how long round trips took; nil gathers nothing.
type latencies struct {
	mu  sync.Mutex // guards what follows
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

func (l *latencies) p50() Metric {
	slices.Sort(l.all)
	return Metric{Name: "p50", Unit: "ms", Value: float64(l.all[len(l.all)/2]) / float64(time.Millisecond)}
}
