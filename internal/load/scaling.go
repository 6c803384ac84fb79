package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// scaling measures the memory of a connection at a small number and at as many as
// descriptors allow, and a message at growing numbers of connections, each with one
// in flight. Memory comes first: what a server has once had it may keep.
func scaling(ctx context.Context, l Load, targets []*Target) (all []Metric, err error) {
	l = l.withDefaults()
	most := maxConnections()
	args := `{"id":12345,"name":"someone","text":"` + strings.Repeat("x", 40) + `"}]`
	for _, n := range []int{1000, most} {
		l.Idle = n
		m, err := idle(ctx, l, targets)
		if err != nil {
			return all, err
		}
		all = append(all, Metric{Name: fmt.Sprintf("memory of %d", n), Unit: m[0].Unit, Value: m[0].Value})
	}
	for _, n := range []int{100, 1000, min(10_000, most)} {
		l.Connections = n
		m, err := roundTrips(ctx, l, targets, func(c *wsConn) func() (int, error) {
			c.text(`421["echo",` + args)
			out := slices.Clone(c.out)
			c.out = nil
			return func() (int, error) {
				if _, err := c.Write(out); err != nil {
					return 0, err
				}
				return 1, c.expect(`431[` + args)
			}
		})
		if err != nil {
			return all, err
		}
		all = append(all, Metric{Name: fmt.Sprintf("echo of %d", n), Unit: m[0].Unit, Value: m[0].Value})
	}
	return all, nil
}
