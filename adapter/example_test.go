package adapter_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
)

func ExampleRedis() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	// Reaches the sockets of all replicas, in Go and in Node.
	_ = io.To("room 101").Emit("hello", "everybody")
}

func ExampleClientName() {
	// Messages of this node arrive in order, also behind a connection that was given up.
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379", ClientName: adapter.ClientName()})
	_ = socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
}

func ExampleRedis_sentinel() {
	rdb := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{"localhost:26379"}})
	_ = socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, &adapter.RedisOptions{Key: "my-app"})})
}

func ExampleClassic_RemoteDisconnect() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	disconnect := func(ctx context.Context, socketID string) error {
		login := io.Of("/login").Adapter().(*adapter.Classic)
		return login.RemoteDisconnect(ctx, socketID, true)
	}
	_ = disconnect
}

func ExampleClassic_AllRooms() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	rooms := func(ctx context.Context) ([]string, error) {
		return io.Of("/").Adapter().(*adapter.Classic).AllRooms(ctx)
	}
	_ = rooms
}

func ExampleClassic_HoldPublishing() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	release := io.Of("/").Adapter().(*adapter.Classic).HoldPublishing()
	for i := range 100 { // go to the other replicas in one write
		_ = io.To("room 101").Emit("count", i)
	}
	release()
}

func ExampleShardedRedis() {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:7000", "localhost:7001"}})
	_ = socketio.NewServer(&socketio.Options{
		NewAdapter: adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static}),
	})
}

func ExampleRedisStreams() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	// A client that loses its connection to one replica goes on at another,
	// without missing an event.
	_ = socketio.NewServer(&socketio.Options{
		NewAdapter: adapter.RedisStreams(rdb, &adapter.StreamsOptions{MaxLen: 100_000}),
		Recovery:   &socketio.Recovery{MaxDisconnection: 2 * time.Minute},
	})
}

func ExampleNewEmitter() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	send := func(ctx context.Context) error {
		io := adapter.NewEmitter(rdb, nil)
		if err := io.To("room 101").Except("muted").Emit(ctx, "news", 1, "headline"); err != nil {
			return err
		}
		return io.Of("/login").In("ticket").DisconnectSockets(ctx, true)
	}
	_ = send
}

// A program that keeps the truth elsewhere reads it more often while messages may get lost.
func ExampleClassic_Proved() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	options := &adapter.RedisOptions{ProofInterval: 500 * time.Millisecond}
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, options)})
	suspect := func() bool {
		return time.Since(io.Of("/").Adapter().(*adapter.Classic).Proved()) > time.Second
	}
	_ = suspect
}

func ExampleSharded_Proved() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	options := &adapter.ShardedOptions{ProofInterval: 500 * time.Millisecond}
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.ShardedRedis(rdb, options)})
	suspect := func() bool {
		return time.Since(io.Of("/").Adapter().(*adapter.Sharded).Proved()) > time.Second
	}
	_ = suspect
}

func ExampleStreams_Proved() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	options := &adapter.StreamsOptions{ProofInterval: 500 * time.Millisecond}
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.RedisStreams(rdb, options)})
	suspect := func() bool {
		return time.Since(io.Of("/").Adapter().(*adapter.Streams).Proved()) > time.Second
	}
	_ = suspect
}

// Clients recover their session on any node, also after their node was killed, and Node
// nodes with @socket.io/redis-adapter stay in the cluster.
func ExampleLogOptions() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	log := &adapter.LogOptions{MaxLen: 50_000}
	io := socketio.NewServer(&socketio.Options{
		Recovery:   &socketio.Recovery{MaxDisconnection: 2 * time.Minute},
		NewAdapter: adapter.Redis(rdb, &adapter.RedisOptions{Log: log}),
	})
	// A publisher without the log ends the recovery of those who may have missed something.
	emitter := adapter.NewEmitter(rdb, &adapter.EmitterOptions{Log: log})
	_, _ = io, emitter
}

func ExampleStats() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	watch := func() {
		if s := io.Of("/").Adapter().(*adapter.Classic).Stats(); s.Silent > 0 {
			log.Printf("subscriptions fell silent %d times", s.Silent)
		}
	}
	_ = watch
}

func ExampleRequestKinds() {
	var st adapter.Stats // as Stats of an adapter returns it
	for i, kind := range adapter.RequestKinds() {
		var r adapter.RequestStats = st.ByKind[i]
		fmt.Println(kind, r.Sent, r.Failed)
	}
	// Output:
	// emitWithAck 0 0
	// fetchSockets 0 0
	// allRooms 0 0
	// serverSideEmit 0 0
	// remoteDisconnect 0 0
	// serverCount 0 0
	// change 0 0
}
