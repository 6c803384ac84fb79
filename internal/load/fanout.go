package load

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// fanout broadcasts to a room, burst events at a time, and waits for all
// deliveries before the next burst.
func fanout(members, burst int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l = l.withDefaults()
		members := cmp.Or(l.Members, members)
		conns, err := dialAll(ctx, targets[0].Addr, members, func(_ int, c *wsConn) error {
			if err := c.send(`420["join","r"]`); err != nil {
				return err
			}
			return c.expect(`430[]`)
		})
		if err != nil {
			return nil, err
		}
		driver, err := dialHTTP(ctx, targets[0].Addr)
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		listeners := newCrew(ctx) // counts nothing: deliveries are counted by the burst
		perBurst := int64(members * burst)
		var delivered atomic.Int64
		complete := make(chan struct{}, 1) // at most one burst is under way
		for _, c := range conns {
			listeners.work(c, func() (int, error) {
				b, err := c.read()
				if err != nil {
					return 0, err
				}
				if !bytes.HasPrefix(b, []byte(`42["msg",{"i":`)) {
					return 0, fmt.Errorf("load: broadcast of %.80q", b)
				}
				if delivered.Add(1)%perBurst == 0 {
					complete <- struct{}{}
				}
				return 1, nil
			})
		}
		path := fmt.Sprintf("/bench/broadcast?room=r&n=%d", burst)
		drivers := newCrew(listeners.ctx)
		drivers.work(driver, func() (int, error) {
			if _, err := driver.do(http.MethodGet, path, ""); err != nil {
				return 0, err
			}
			select {
			case <-complete:
				return int(perBurst), nil
			case <-drivers.ctx.Done():
				return 0, context.Cause(drivers.ctx)
			}
		})
		m, err := drivers.measure(l, "µs", targets)
		m, err = drivers.finish(m, err)
		return listeners.finish(m, err, conns...)
	}
}
