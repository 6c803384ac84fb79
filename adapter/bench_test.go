package adapter

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/parser"
	"posthouse/socketio/sockettest"
)

func benchPacket() *parser.Packet {
	return &parser.Packet{Type: parser.Event, Namespace: "/", Data: json.RawMessage(
		`["msg",{"i":12345,"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]`)}
}

func BenchmarkClassicEncode(b *testing.B) {
	p, o := benchPacket(), socketio.BroadcastOptions{Rooms: []string{"room1"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := appendClassicBroadcast(make([]byte, 0, 256), "oYcW10", p, &o, adapterOrder); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClassicDecode(b *testing.B) {
	o := socketio.BroadcastOptions{Rooms: []string{"room1"}}
	msg, err := appendClassicBroadcast(nil, "oYcW10", benchPacket(), &o, adapterOrder)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := decodeClassicBroadcast(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShardedEncode(b *testing.B) {
	m := &clusterMessage{messageType: clusterBroadcast, senderUID: "0f3dabe6a557aaa7", namespace: "/", packet: benchPacket(), options: socketio.BroadcastOptions{Rooms: []string{"room1"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.encodeSharded(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShardedDecode(b *testing.B) {
	m := &clusterMessage{messageType: clusterBroadcast, senderUID: "0f3dabe6a557aaa7", namespace: "/", packet: benchPacket(), options: socketio.BroadcastOptions{Rooms: []string{"room1"}}}
	msg, err := m.encodeSharded()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeCluster(msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRelay measures how long a broadcast of one replica takes to reach a
// client of another, next to a bare PUBLISH to a bare subscriber on the same
// Redis in the same run: p50-ns and p99-ns of both, and their ratio.
func BenchmarkRelay(b *testing.B) {
	adapters := map[string]func(redis.UniversalClient) socketio.NewAdapter{
		"classic": func(rdb redis.UniversalClient) socketio.NewAdapter { return Redis(rdb, nil) },
		"sharded": func(rdb redis.UniversalClient) socketio.NewAdapter { return ShardedRedis(rdb, nil) },
		"streams": func(rdb redis.UniversalClient) socketio.NewAdapter { return RedisStreams(rdb, nil) },
	}
	for name, make := range adapters {
		b.Run(name, func(b *testing.B) {
			addr, _ := testenv.Redis(b)
			rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr}})
			b.Cleanup(func() { rdb.Close() })
			from := sockettest.NewServer(b, &socketio.Options{NewAdapter: make(rdb)})
			to := sockettest.NewServer(b, &socketio.Options{NewAdapter: make(rdb)})
			c := to.Connect("/", nil)
			ctx := context.Background()
			for n := 0; n < 2; {
				n, _ = from.Of("/").Adapter().ServerCount(ctx)
			}
			sub := rdb.Subscribe(ctx, "bare")
			defer sub.Close()
			if _, err := sub.Receive(ctx); err != nil {
				b.Fatal(err)
			}
			payload, err := appendClassicBroadcast(nil, "oYcW10", benchPacket(), &socketio.BroadcastOptions{}, adapterOrder)
			if err != nil {
				b.Fatal(err)
			}
			var bare, relay []time.Duration
			for b.Loop() {
				began := time.Now()
				done := start(func() { rdb.Publish(ctx, "bare", payload) })
				if _, err := sub.ReceiveMessage(ctx); err != nil {
					b.Fatal(err)
				}
				bare = append(bare, time.Since(began))
				<-done
				began = time.Now()
				if err := from.Emit("msg", map[string]any{"i": 12345, "pad": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}); err != nil {
					b.Fatal(err)
				}
				c.Next()
				relay = append(relay, time.Since(began))
			}
			report(b, "bare", bare)
			report(b, "relay", relay)
			b.ReportMetric(float64(quantile(relay, 0.99))/float64(quantile(bare, 0.99)), "p99-ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func start(fn func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	return done
}

func quantile(d []time.Duration, q float64) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(int(float64(len(d))*q), len(d)-1)]
}

func report(b *testing.B, name string, d []time.Duration) {
	b.ReportMetric(float64(quantile(d, 0.5)), name+"-p50-ns")
	b.ReportMetric(float64(quantile(d, 0.99)), name+"-p99-ns")
}

// BenchmarkPublishBurst measures publishing as fast as callers can, over several
// namespaces at once: they must not wait for each other.
func BenchmarkPublishBurst(b *testing.B) {
	addr, _ := testenv.Redis(b)
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr}})
	b.Cleanup(func() { rdb.Close() })
	s := sockettest.NewServer(b, &socketio.Options{NewAdapter: Redis(rdb, nil)})
	names := []string{"/a", "/b", "/c", "/d"}
	for _, n := range names {
		s.Of(n)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		i := 0
		for pb.Next() {
			i++
			for s.Of(names[i%4]).To("room").Emit("msg", 12345) != nil { // full: let Redis catch up
				time.Sleep(time.Millisecond)
			}
		}
	})
	b.StopTimer()
	st := s.Of("/a").Adapter().(*Classic).Stats()
	b.ReportMetric(float64(st.PublishRefused), "refused")
}
