package adapter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// A replica behind a balancer that knows nothing of sessions.
func ExampleRelay() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	var relay *adapter.Relay
	relay, err := adapter.NewRelay(rdb, &adapter.RelayOptions{
		Tag: "gw1", Advertise: "10.0.0.7:3000",
		Secrets: [][]byte{[]byte(os.Getenv("CLUSTER_SECRET"))}, // 16 bytes or more, the same everywhere
		OnPeer:  func(r *http.Request) { log.Print("replica at ", r.RemoteAddr) },
	})
	if err != nil {
		log.Fatal(err)
	}
	io := socketio.NewServer(&socketio.Options{
		Engine:     engineio.Options{GenerateID: relay.NewID},
		NewAdapter: adapter.Redis(rdb, nil),
	})
	serve := func(ctx context.Context) error {
		go http.ListenAndServe(":3000", relay.Middleware(io))
		return relay.Run(ctx) // says goodbye when ctx ends
	}
	_ = serve
}

// Polls that a replica relays for others are given back before it ends; the sessions live on.
func ExampleRelay_Drain() {
	drain := func(ctx context.Context, io *socketio.Server, relay *adapter.Relay) {
		var draining sync.WaitGroup
		draining.Go(func() { _ = relay.Drain(ctx, 5*time.Second) })
		draining.Go(func() { _ = io.Drain(ctx, 5*time.Second) })
		draining.Wait()
		_ = io.Shutdown(ctx)
		var stats adapter.RelayStats = relay.Stats()
		log.Print(stats.Relayed, " requests were relayed")
	}
	_ = drain
}

func ExampleRelay_NewID() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"}) // connects when it is used
	defer rdb.Close()
	relay, err := adapter.NewRelay(rdb, &adapter.RelayOptions{Tag: "gw1", Advertise: "127.0.0.1:3000"})
	if err != nil {
		log.Fatal(err)
	}
	id, err := relay.NewID(nil)
	fmt.Println(len(id), id[20:], err)
	// Output: 23 gw1 <nil>
}

// The servers use ShardedRedis, or RedisStreams: so does the emitter.
func ExampleEmitter() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	var sharded *adapter.Emitter = adapter.NewShardedEmitter(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static})
	streams := adapter.NewStreamsEmitter(rdb, &adapter.StreamsOptions{MaxLen: 100_000})
	classic := adapter.NewEmitter(rdb, &adapter.EmitterOptions{Key: "my-app"})
	notify := func(ctx context.Context) {
		for _, io := range []*adapter.Emitter{sharded, streams, classic} {
			if err := io.Of("/orders").To("customer-7").Emit(ctx, "shipped", map[string]int{"order": 42}); err != nil {
				log.Print(err)
			}
		}
	}
	_ = notify
}

func ExampleSubscriptionMode() {
	var mode adapter.SubscriptionMode = adapter.DynamicPrivate // few rooms, and each socket is written to alone
	fmt.Println(mode)
	// Output: dynamic-private
}

// The numbers of a server are those of its namespaces.
func ExampleStats_Plus() {
	var all adapter.Stats
	for _, of := range []adapter.Stats{{Published: 2, Nodes: 1}, {Published: 3, Nodes: 1}} {
		all = all.Plus(of)
	}
	fmt.Println(all.Published, all.Nodes)
	// Output: 5 1
}

func ExampleStats_byAdapter() {
	stats := func(io *socketio.Server) adapter.Stats {
		switch a := io.Adapter().(type) {
		case *adapter.Classic:
			return a.Stats()
		case *adapter.Sharded:
			return a.Stats()
		case *adapter.Streams:
			return a.Stats()
		}
		return adapter.Stats{} // in memory
	}
	fmt.Println(stats(socketio.NewServer(nil)).Published)
	// Output: 0
}
