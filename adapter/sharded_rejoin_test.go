package adapter_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// A room that empties and fills again faster than Redis confirms keeps the connection of
// the subscription: the confirmation of the end is not a slot that moved.
func TestSharded_RoomLeftAndJoinedAgain_KeepsTheSubscription(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	srv := sockettest.NewServer(t, &socketio.Options{NewAdapter: adapter.ShardedRedis(rdb, nil)})
	joined := make(chan *socketio.Socket, 1)
	srv.Of("/").OnConnection(func(s *socketio.Socket) { joined <- s })
	c := srv.Connect("/", nil)
	s := <-joined
	const channel = "socket.io#/#topic#"
	subscribed := func() bool {
		counts, err := rdb.(*redis.Client).PubSubShardNumSub(context.Background(), channel).Result()
		return err == nil && counts[channel] == 1
	}
	for range 300 {
		if err := s.Join("topic"); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, 10*time.Second, "the subscription", subscribed)
		s.Leave("topic")
		for range 10 {
			runtime.Gosched() // the end is asked for
		}
	}
	if err := s.Join("topic"); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, 10*time.Second, "the subscription", subscribed)
	srv.Of("/").To("topic").Emit("there")
	c.Expect("there")
	if n := srv.Of("/").Adapter().(*adapter.Sharded).Stats().Resubscribed; n > 0 {
		t.Errorf("subscribed again %d times", n)
	}
}
