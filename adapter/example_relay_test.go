package adapter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// A replica behind a balancer that knows nothing of sessions.
func ExampleRouter() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	var router *adapter.Router
	router, err := adapter.NewRouter(rdb, adapter.RouterOptions{Tag: "gw1", Advertise: "10.0.0.7:3000"})
	if err != nil {
		log.Fatal(err)
	}
	io := socketio.NewServer(&socketio.Options{
		Engine:     engineio.Options{GenerateID: router.NewID},
		NewAdapter: adapter.Redis(rdb, nil),
	})
	serve := func(ctx context.Context) error {
		go http.ListenAndServe(":3000", router.Middleware(io))
		return router.Run(ctx) // says goodbye when ctx ends
	}
	_ = serve
}

func ExampleRouter_NewID() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"}) // connects when it is used
	defer rdb.Close()
	router, err := adapter.NewRouter(rdb, adapter.RouterOptions{Tag: "gw1", Advertise: "10.0.0.7:3000"})
	if err != nil {
		log.Fatal(err)
	}
	id, err := router.NewID(nil)
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
