package main

import (
	"context"
	"fmt"
	"runtime/metrics"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/admin"
	"posthouse/socketio/history"
)

// addFeature adds what a variant of the server has beside the conventions: configured is
// the rules of a namespace without a hook (socketio/access), programmed a program that does
// by hand what those rules do, admin the Admin UI without an administrator, history a history
// of every room, recovery connection state recovery (an option of the server and its adapter).
func addFeature(io *socketio.Server, name string) (stop func(), err error) {
	switch name {
	case "", "recovery":
		return func() {}, nil
	case "configured":
		rules, err := access.New(&access.Options{Rooms: []string{"everyone"}, Relay: []string{"typing"}, EventsPerSecond: 1e6, EventsBurst: 1e6})
		if err != nil {
			return nil, err
		}
		rules.Apply(io.Of("/"))
		rules.Apply(io.Of("/login"))
		return func() {}, nil
	case "programmed": // what those rules do, by hand
		for _, n := range []*socketio.Namespace{io.Of("/"), io.Of("/login")} {
			n.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("everyone") })
			n.OnEvent("typing", func(e *socketio.Event) { _ = e.Socket().To("everyone").Emit("typing") })
			n.LimitEvents(1e6, 1e6)
		}
		return func() {}, nil
	case "history":
		h, err := history.New(&history.Options{Rooms: func(string) bool { return true }})
		if err != nil {
			return nil, err
		}
		h.Apply(io.Of("/"))
		return func() {}, nil
	case "programmed": // what those rules do, by hand
		for _, n := range []*socketio.Namespace{io.Of("/"), io.Of("/login")} {
			n.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("everyone") })
			n.OnEvent("typing", func(e *socketio.Event) { _ = e.Socket().To("everyone").Emit("typing") })
			n.LimitEvents(1e6, 1e6)
		}
		return func() {}, nil
	case "admin":
		page, err := admin.Instrument(io, &admin.Options{NoAuth: true})
		if err != nil {
			return nil, err
		}
		return func() { _ = page.Close() }, nil
	}
	return nil, fmt.Errorf("BENCH_WITH=%s is not known", name)
}

// newAdapter returns the adapter of that name. The streams adapter has the log that recovery
// needs, the others get one.
func newAdapter(rdb redis.UniversalClient, name string, recovery bool) (socketio.NewAdapter, error) {
	var log *adapter.LogOptions
	if recovery {
		log = &adapter.LogOptions{}
	}
	switch name {
	case "", "classic":
		return adapter.Redis(rdb, &adapter.RedisOptions{Log: log}), nil
	case "sharded":
		return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{Log: log}), nil
	case "streams":
		return adapter.RedisStreams(rdb, nil), nil
	}
	return nil, fmt.Errorf("BENCH_ADAPTER=%s is not known", name)
}

// gcSeconds is the CPU time that the garbage collector has taken, as of its last cycle.
func gcSeconds() float64 {
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64()
}
