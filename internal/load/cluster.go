package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// cluster relays events from clients of one node to clients of the other, one in
// flight per pair. The CPU time is that of both nodes.
func cluster(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	const pairs = 16
	from, err := dialAll(ctx, targets[0].Addr, pairs, nil)
	if err != nil {
		return nil, err
	}
	to, err := dialAll(ctx, targets[1].Addr, pairs, func(i int, c *wsConn) error {
		if err := c.send(fmt.Sprintf(`420["join","pair-%d"]`, i)); err != nil {
			return err
		}
		return c.expect(`430[]`)
	})
	if err != nil {
		closeAll(from)
		return nil, err
	}
	all := slices.Concat(from, to)
	var mu sync.Mutex
	var latencies []time.Duration
	team := newCrew(ctx)
	for i := range pairs {
		a, b := from[i], to[i]
		a.text(fmt.Sprintf(`42["relay","pair-%d",{"text":"hello","n":%d}]`, i, i))
		out := a.out
		a.out = nil
		want := fmt.Sprintf(`42["msg",{"text":"hello","n":%d}]`, i)
		team.work(b, func() (int, error) {
			start := time.Now()
			if _, err := a.Write(out); err != nil {
				return 0, err
			}
			if err := b.expect(want); err != nil {
				return 0, err
			}
			mu.Lock()
			latencies = append(latencies, time.Since(start))
			mu.Unlock()
			return 1, nil
		})
	}
	m, err := team.measure(l, "µs", targets)
	if m, err = team.finish(m, err, all...); err != nil {
		return nil, err
	}
	slices.Sort(latencies)
	p50 := latencies[len(latencies)/2]
	return append(m, Metric{Name: "p50", Unit: "ms", Value: float64(p50) / float64(time.Millisecond)}), nil
}
