package load

import (
	"context"
	"time"

	"posthouse/internal/sleep"
)

// History returns the scenarios that show what a history and recovery cost: run them with a
// server that has the feature and one that has not.
func History() []Scenario {
	return []Scenario{
		{Name: "history-fanout-1", Servers: 1, Run: fanout(1, 10)},
		{Name: "history-fanout-1000", Servers: 1, Run: fanout(1000, 1)},
		{Name: "history-fanout-redis", Servers: 1, Redis: true, Run: fanout(1000, 1)},
		{Name: "history-relay", Servers: 2, Redis: true, Run: cluster},
	}
}

// Recovery returns the scenarios of idle sessions that can be recovered.
func Recovery() (list []Scenario) {
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		list = append(list, Scenario{
			Name: "recovery-idle-" + adapter, Servers: 1, Redis: true,
			Env: []string{"BENCH_ADAPTER=" + adapter}, Run: recoverable,
		})
	}
	return list
}

// recoverable measures what an idle session costs the server in memory and Redis in memory
// and commands.
func recoverable(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	t := targets[0]
	warm, err := dialAll(ctx, t.Addr, min(l.Idle, 200), nil)
	if err != nil {
		return nil, err
	}
	for _, c := range warm { // by a DISCONNECT, because a session that breaks off is kept for minutes
		if err := c.send("41"); err != nil {
			return nil, err
		}
	}
	if err := sleep.For(ctx, 200*time.Millisecond); err != nil {
		return nil, err
	}
	closeAll(warm)
	before, err := settled(ctx, t)
	if err != nil {
		return nil, err
	}
	stored, err := redisMemory(ctx, l.Redis)
	if err != nil {
		return nil, err
	}
	// The server's own commands, which it runs without a session, are not the sessions'.
	window := max(3*l.Duration, 6*time.Second)
	base, err := commandsIn(ctx, l.Redis, window)
	if err != nil {
		return nil, err
	}
	conns, err := dialAll(ctx, t.Addr, l.Idle, nil)
	if err != nil {
		return nil, err
	}
	team := newCrew(ctx)
	for _, c := range conns {
		team.work(c, func() (int, error) { _, err := c.read(); return 0, err })
	}
	after, err := settled(ctx, t)
	if err != nil {
		return team.finish(nil, err, conns...)
	}
	commands, err := commandsIn(team.ctx, l.Redis, window)
	if err != nil {
		return team.finish(nil, err, conns...)
	}
	now, err := redisMemory(ctx, l.Redis)
	n := float64(l.Idle)
	return team.finish([]Metric{
		{Name: "memory", Unit: "B", Value: float64(after-before) / n},
		{Name: "memory of Redis", Unit: "B", Value: max((now-stored)/n, Nothing)},
		{Name: "commands a minute", Unit: "cmd", Value: max((commands-base)/n*float64(time.Minute)/float64(window), Nothing)},
	}, err, conns...)
}

// commandsIn counts the commands that Redis runs in that time.
func commandsIn(ctx context.Context, addr string, d time.Duration) (float64, error) {
	before, err := redisCommands(ctx, addr)
	if err != nil {
		return 0, err
	}
	if err := sleep.For(ctx, d); err != nil {
		return 0, err
	}
	after, err := redisCommands(ctx, addr)
	return after - before, err
}
