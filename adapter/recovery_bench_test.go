package adapter

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// BenchmarkRecovery measures what recovery costs: "off" and "on" are one broadcast from
// one replica to a client of another, with nothing, with recovery alone, and with the log;
// "idle sessions" is what a session of a connected socket takes while nothing happens.
func BenchmarkRecovery(b *testing.B) {
	log := &LogOptions{}
	kinds := []struct {
		name     string
		recovery bool
		make     func(redis.UniversalClient) socketio.NewAdapter
	}{
		{"classic off", false, func(rdb redis.UniversalClient) socketio.NewAdapter { return Redis(rdb, nil) }},
		{"classic on", true, func(rdb redis.UniversalClient) socketio.NewAdapter { return Redis(rdb, &RedisOptions{Log: log}) }},
		{"sharded off", false, func(rdb redis.UniversalClient) socketio.NewAdapter { return ShardedRedis(rdb, nil) }},
		{"sharded on", true, func(rdb redis.UniversalClient) socketio.NewAdapter {
			return ShardedRedis(rdb, &ShardedOptions{Log: log})
		}},
		{"streams off", false, func(rdb redis.UniversalClient) socketio.NewAdapter { return RedisStreams(rdb, nil) }},
		{"streams on", true, func(rdb redis.UniversalClient) socketio.NewAdapter { return RedisStreams(rdb, nil) }},
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			rdb := benchRedis(b)
			options := func() *socketio.Options {
				o := &socketio.Options{NewAdapter: kind.make(rdb)}
				if kind.recovery {
					o.Recovery = &socketio.Recovery{}
				}
				return o
			}
			from, to := sockettest.NewServer(b, options()), sockettest.NewServer(b, options())
			c := to.Connect("/", nil)
			b.ReportAllocs()
			for b.Loop() {
				if err := from.Emit("msg", 1); err != nil {
					b.Fatal(err)
				}
				c.Expect("msg")
			}
		})
	}
	b.Run("idle sessions", benchIdleSessions)
}

func benchRedis(b *testing.B) *redis.Client {
	addr, _ := testenv.Redis(b)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { rdb.Close() })
	return rdb
}

func benchIdleSessions(b *testing.B) {
	const sessions, refreshes = 1000, 10
	rdb := benchRedis(b)
	ctx := b.Context()
	keep := 400 * time.Millisecond
	srv := sockettest.NewServer(b, &socketio.Options{
		NewAdapter: RedisStreams(rdb, &StreamsOptions{ProbeInterval: time.Hour, HeartbeatInterval: time.Hour, BlockTime: time.Hour}),
		Recovery:   &socketio.Recovery{MaxDisconnection: keep},
	})
	a := srv.Of("/").Adapter().(*Streams)
	for range sessions {
		_ = srv.Socket(srv.Connect("/", nil).ID).Join("room")
	}
	testenv.Until(b, 10*time.Second, "the sessions in redis", func() bool { return rdb.HLen(ctx, a.current.key).Val() == sessions+1 })
	before, began := commandsOf(b, rdb), time.Now()
	timer := time.NewTimer(refreshes * keep / 2)
	<-timer.C
	perRefresh := float64(commandsOf(b, rdb)-before) / (float64(time.Since(began)) / float64(keep/2))
	digests := a.localAdapter.CurrentSessions()
	i := 0
	b.ReportAllocs()
	for b.Loop() { // what a change costs, without Redis
		if _, ok := a.current.encode(digests[i%sessions]); !ok {
			b.Fatal("no session")
		}
		i++
	}
	b.ReportMetric(perRefresh, "commands/refresh") // of all sessions together; one a minute by default
	b.ReportMetric(perRefresh/sessions, "commands/session/min")
	b.ReportMetric(float64(rdb.MemoryUsage(ctx, a.current.key, 0).Val())/sessions, "redis-B/session")
}

// commandsOf counts the commands that Redis has run.
func commandsOf(b *testing.B, rdb *redis.Client) (n int) {
	text, err := rdb.Info(b.Context(), "stats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if count, ok := strings.CutPrefix(line, "total_commands_processed:"); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return n
}
