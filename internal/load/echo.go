package load

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// echo keeps window acknowledged events in flight on each connection: they go out
// in one write, and the next ones when all are answered.
func echo(window int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		args := `{"id":12345,"name":"someone","text":"` + strings.Repeat("x", 40) + `"}]`
		return roundTrips(ctx, l, targets, func(c *wsConn) func() (int, error) {
			var want []string
			for i := range window {
				c.text(fmt.Sprintf(`42%d["echo",%s`, i, args))
				want = append(want, fmt.Sprintf(`43%d[%s`, i, args))
			}
			batch := bytes.Clone(c.out)
			c.out = nil
			return func() (int, error) {
				if _, err := c.Write(batch); err != nil {
					return 0, err
				}
				for _, w := range want {
					if err := c.expect(w); err != nil {
						return 0, err
					}
				}
				return window, nil
			}
		})
	}
}

// binaryEcho is echo with a kibibyte of binary, which makes two frames each way.
func binaryEcho(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	data := bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 256)
	return roundTrips(ctx, l.withDefaults(), targets, func(c *wsConn) func() (int, error) {
		c.text(`451-7["echo-bin",{"_placeholder":true,"num":0}]`)
		c.binary(data)
		batch := bytes.Clone(c.out)
		c.out = nil
		return func() (int, error) {
			if _, err := c.Write(batch); err != nil {
				return 0, err
			}
			if err := c.expect(`461-7[{"_placeholder":true,"num":0}]`); err != nil {
				return 0, err
			}
			return 1, c.expect(string(data))
		}
	})
}

// roundTrips measures what a step of every connection costs.
func roundTrips(ctx context.Context, l Load, targets []*Target, step func(*wsConn) func() (int, error)) ([]Metric, error) {
	conns, err := dialAll(ctx, targets[0].Addr, l.Connections, nil)
	if err != nil {
		return nil, err
	}
	team := newCrew(ctx)
	for _, c := range conns {
		team.work(c, step(c))
	}
	m, err := team.measure(l, "µs", targets)
	return team.finish(m, err, conns...)
}
