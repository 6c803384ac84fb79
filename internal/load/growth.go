package load

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"
)

// Growth returns the scenarios that show how a cost grows with what the server holds. They
// ask for more of the conventions than those of Scenarios do.
func Growth() []Scenario {
	list := []Scenario{
		{Name: "growth-rooms", Servers: 1, Run: rooms},
		{Name: "growth-namespaces", Servers: 1, Run: namespaces},
		{Name: "growth-acks", Servers: 1, Run: broadcastAcks},
	}
	return list
}

// GrowthSockets returns the scenarios of growing numbers of sockets, which the floor
// answers as well.
func GrowthSockets() []Scenario {
	list := []Scenario{}
	for _, n := range []int{100, 1000, 10_000} {
		list = append(list, Scenario{Name: fmt.Sprintf("sockets-echo-%d", n), Servers: 1, Bare: true, Run: echoOf(n)})
	}
	for _, n := range []int{100, 1000, 10_000} {
		list = append(list, Scenario{Name: fmt.Sprintf("sockets-fanout-%d", n), Servers: 1, Bare: true, Run: fanout(n, 1)})
	}
	return list
}

// GrowthReplicas returns the scenarios of growing clusters.
func GrowthReplicas() (list []Scenario) {
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		for _, n := range []int{2, 4, 8} {
			list = append(list, Scenario{
				Name: fmt.Sprintf("replicas-%s-%d", adapter, n), Servers: n, Redis: true,
				Env: []string{"BENCH_ADAPTER=" + adapter}, Run: replicas,
			})
		}
	}
	return list
}

// echoOf is echo with one event in flight on each of n connections.
func echoOf(n int) func(context.Context, Load, []*Target) ([]Metric, error) {
	return func(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
		l.Connections = min(n, maxConnections())
		return echo(1)(ctx, l, targets)
	}
}

// costOf is the CPU time of the targets per operation while do does n of them.
func costOf(targets []*Target, name string, n int, do func() error) (Metric, error) {
	cpu := cpuOf(targets)
	err := do()
	cpu = cpuOf(targets) - cpu
	return perEvent(name, cpu, int64(n)), err
}

// each runs do on all connections, some at a time.
func each(ctx context.Context, conns []*wsConn, do func(i int, c *wsConn) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(conns) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(i, conns[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// roomsEach is how many rooms each socket of the scenario joins.
const roomsEach = 100

// rooms lets each of many sockets join a hundred rooms of its own, sends to single rooms
// among few and among all of them, and leaves them.
func rooms(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	conns, err := dialAll(ctx, targets[0].Addr, l.Idle, nil)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	var all []Metric
	// ask sends the event for the numbered rooms from first on, in one write.
	ask := func(event string, first, n int) func(int, *wsConn) error {
		return func(i int, c *wsConn) error {
			_ = c.SetDeadline(time.Now().Add(ioTimeout))
			for j := range n {
				c.text(fmt.Sprintf(`42%d[%q,"room-%d"]`, j, event, i*roomsEach+first+j))
			}
			if err := c.flush(); err != nil {
				return err
			}
			for j := range n {
				if err := c.expect(fmt.Sprintf(`43%d[]`, j)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	step := func(event string, first, n int) error {
		m, err := costOf(targets, fmt.Sprintf("%s, %d rooms", event, len(conns)*roomsEach), len(conns)*n, func() error {
			return each(ctx, conns, ask(event, first, n))
		})
		if n > 1 {
			all = append(all, m)
		}
		return err
	}
	send := func(perSocket int) error {
		m, err := sendToRooms(ctx, l, targets, conns, perSocket)
		all = append(all, m...)
		return err
	}
	if err := step("join", 0, 1); err != nil { // the code is warm after that
		return nil, err
	}
	if err := send(1); err != nil {
		return nil, err
	}
	if err := step("join", 1, roomsEach-1); err != nil {
		return nil, err
	}
	if err := send(roomsEach); err != nil {
		return nil, err
	}
	return all, step("leave", 1, roomsEach-1)
}

// sendToRooms relays events, sixteen in a write, each to another room of the next socket,
// which is its only member.
func sendToRooms(ctx context.Context, l Load, targets []*Target, conns []*wsConn, perSocket int) ([]Metric, error) {
	const window = 16
	senders, err := dialAll(ctx, targets[0].Addr, min(window, len(conns)), nil)
	if err != nil {
		return nil, err
	}
	team := newCrew(ctx)
	for s, from := range senders {
		offset, end := s*len(conns)/len(senders), (s+1)*len(conns)/len(senders)
		share := conns[offset:end]
		turn := 0
		_ = from.SetDeadline(time.Time{})
		team.work(from, func() (int, error) {
			first := turn
			for range window {
				room := (offset+turn%len(share))*roomsEach + (turn/len(share))%perSocket
				from.text(fmt.Sprintf(`42["relay","room-%d",{"n":%d}]`, room, turn%window))
				turn++
			}
			if err := from.flush(); err != nil {
				return 0, err
			}
			for i := range window {
				to := share[(first+i)%len(share)]
				_ = to.SetDeadline(time.Now().Add(ioTimeout))
				if err := to.expect(fmt.Sprintf(`42["msg",{"n":%d}]`, (first+i)%window)); err != nil {
					return 0, err
				}
			}
			return window, nil
		})
	}
	m, err := team.measure(l, "µs", targets)
	if len(m) > 0 {
		m[0].Name = fmt.Sprintf("to 1 of %d rooms", len(conns)*perSocket)
	}
	return team.finish(m, err, senders...)
}

// namespacesEach is how many namespaces each socket of the scenario joins.
const namespacesEach = 10

// namespaces joins many of them from each connection, and echoes events in all.
func namespaces(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	conns, err := dialAll(ctx, targets[0].Addr, max(1, l.Idle/namespacesEach), nil)
	if err != nil {
		return nil, err
	}
	name := func(i, j int) string { return fmt.Sprintf("/n/%d", i*namespacesEach+j) }
	m, err := costOf(targets, "connect", len(conns)*namespacesEach, func() error {
		return each(ctx, conns, func(i int, c *wsConn) error {
			for j := range namespacesEach {
				if _, err := c.connect(name(i, j)); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	team := newCrew(ctx)
	for i, c := range conns {
		turn := 0
		team.work(c, func() (int, error) {
			n := name(i, turn%namespacesEach)
			turn++
			if err := c.send(`42` + n + `,1["echo","hello"]`); err != nil {
				return 0, err
			}
			return 1, c.expect(`43` + n + `,1["hello"]`)
		})
	}
	echo, err := team.measure(l, "µs", targets)
	if len(echo) > 0 {
		echo[0].Name = fmt.Sprintf("echo in 1 of %d", len(conns)*namespacesEach)
	}
	return team.finish(append([]Metric{m}, echo...), err, conns...)
}

// broadcastAcks broadcasts to a room and waits until the server has the acknowledgements
// of all members.
func broadcastAcks(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	conns, err := dialAll(ctx, targets[0].Addr, l.Idle, func(_ int, c *wsConn) error {
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
	members := newCrew(ctx)
	for _, c := range conns {
		members.work(c, func() (int, error) {
			b, err := c.read()
			if err != nil {
				return 0, err
			}
			var id int
			if _, err := fmt.Sscanf(string(b), `42%d["ask"`, &id); err != nil {
				return 0, fmt.Errorf("load: asked with %.80q", b)
			}
			return 0, c.send(fmt.Sprintf(`43%d["yes"]`, id))
		})
	}
	asks := newCrew(members.ctx)
	asks.work(driver, func() (int, error) {
		answer, err := driver.do(http.MethodGet, "/bench/ask?room=r", "")
		if err == nil && answer != fmt.Sprint(len(conns)) {
			err = fmt.Errorf("load: %s of %d acknowledged", answer, len(conns))
		}
		return len(conns), err
	})
	m, err := asks.measure(l, "µs", targets)
	m, err = asks.finish(m, err)
	return members.finish(m, err, conns...)
}

// replicas relays events from clients of the first server to rooms that live on the second:
// what that costs the whole cluster, and what the servers that have no part in it, beside
// what those cost when nothing happens.
func replicas(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	others := targets[min(2, len(targets)):]
	if err := sleep.For(ctx, l.Duration/2); err != nil { // the cluster has found itself
		return nil, err
	}
	idle := cpuOf(others)
	if err := sleep.For(ctx, l.Duration); err != nil {
		return nil, err
	}
	idle = cpuOf(others) - idle
	return relayTo(ctx, targets, 16, 16, nil, func(team *crew) ([]Metric, error) {
		if err := sleep.For(team.ctx, l.Warmup); err != nil {
			return nil, err
		}
		all, rest := cpuOf(targets), cpuOf(others)
		ops, err := team.countOps(l.Duration)
		if err != nil {
			return nil, err
		}
		all, rest = cpuOf(targets)-all, cpuOf(others)-rest
		m := []Metric{perEvent("", all, ops)}
		if len(others) > 0 {
			m = append(m, perEvent("the others", rest, ops), perEvent("the others, idle", idle, ops))
		}
		return m, nil
	})
}

func perEvent(name string, cpu time.Duration, ops int64) Metric {
	return Metric{Name: name, Unit: "µs", Value: max(float64(cpu)/float64(time.Microsecond)/float64(ops), Nothing)}
}
