package main

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio/sockettest"
)

// With REDIS_URL two servers are one chat.
func TestTwoReplicasAreOneChat(t *testing.T) {
	addr, _ := testenv.Redis(t)
	replica := func() *sockettest.Server {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { rdb.Close() }) // after the server's own
		o := options()
		o.NewAdapter = adapter.RedisStreams(rdb, nil)
		srv := sockettest.NewServer(t, o)
		newChat(srv.Server)
		return srv
	}
	one := replica()
	ada, _, _ := arrive(t, one, guest("Ada", "lobby"))
	say(t, ada, "lobby", "1", "is this one chat?")

	two := replica() // started later, knows nothing yet
	testenv.Until(t, sockettest.Wait, "both replicas", func() bool {
		n, err := two.Adapter().ServerCount(context.Background())
		return err == nil && n == 2
	})
	bo, _, _ := arrive(t, two, guest("Bo", "lobby"))
	ada.Expect("present")
	var r room
	bind(t, bo.Call("join", roomName{"lobby"}), 0, &r)
	if len(r.Messages) != 1 || len(r.People) != 2 {
		t.Errorf("the room on the second replica: %+v", r)
	}
	said := say(t, bo, "lobby", "2", "it is")
	ada.Expect("message")
	var m Message
	if bind(t, ada.Expect("message").Args, 0, &m); m != said {
		t.Errorf("%+v came, %+v was said", m, said)
	}
	bind(t, ada.Call("join", roomName{"lobby"}), 0, &r)
	if len(r.Messages) != 2 {
		t.Errorf("the first replica keeps %+v", r.Messages)
	}
}
