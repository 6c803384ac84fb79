package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
		newChat(srv.Server, nil)
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

// Three people write in three browsers, each on a replica of its own. One of the replicas
// is killed with SIGKILL: every message arrives once on every page, and all three stay. With
// POSTHOUSE_TEST_SCREENSHOTS set to a directory the pages are photographed.
func TestThreeReplicas_OneIsKilledWhilePeopleWrite_NothingIsLost(t *testing.T) {
	t.Parallel()
	node := testenv.NodeDir(t)
	testenv.Need(t, "chromium")
	addr, _ := testenv.Redis(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var replicas []*testenv.Process
	var addrs []string
	for range 3 {
		port := strconv.Itoa(testenv.FreePort(t))
		p := testenv.Start(t, []string{"CHAT_TEST_REPLICA=1", "PORT=" + port, "REDIS_URL=redis://" + addr}, self)
		p.Ready(t, "http://127.0.0.1:"+port)
		replicas, addrs = append(replicas, p), append(addrs, "127.0.0.1:"+port)
	}
	args := []string{filepath.Join("testdata", "replicas.mjs"), os.Getenv("POSTHOUSE_TEST_SCREENSHOTS")}
	for i := range addrs { // a balancer for each person, with that replica as the first choice
		args = append(args, "http://"+newWire(t, addrs[i], addrs[(i+1)%3], addrs[(i+2)%3]).Addr().String())
	}
	script := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node", args...)
	testenv.Until(t, time.Minute, "the moment to kill", func() bool {
		var failed *exec.ExitError
		if errors.As(script.Wait(0), &failed) {
			t.Fatal(script.Output())
		}
		return strings.Contains(script.Output(), "kill\n")
	})
	replicas[0].Kill()
	if err := script.Wait(time.Minute); err != nil || !strings.Contains(script.Output(), "ok\n") {
		t.Fatalf("%v\n%s", err, script.Output())
	}
}

// The people of a replica that is killed are gone for the others: "presence" says so.
func TestAReplicaIsKilledAndItsPeopleAreGone(t *testing.T) {
	addr, _ := testenv.Redis(t)
	replica := func() (*sockettest.Server, *chat, func()) {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { rdb.Close() })
		o := options()
		o.NewAdapter = adapter.RedisStreams(rdb, nil)
		people, err := adapter.NewPresence(rdb, &adapter.PresenceOptions{Lease: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		srv := sockettest.NewServer(t, o)
		c := newChat(srv.Server, people)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); c.here.Run(ctx) }()
		kill := func() { cancel(); <-ended } // for Redis the replica is dead then
		t.Cleanup(kill)
		return srv, c, kill
	}
	one, c, _ := replica()
	two, _, kill := replica()
	ada, _, _ := arrive(t, one, guest("Ada", "lobby"))
	_, boIs, _ := arrive(t, two, guest("Bo", "lobby"))
	ada.Expect("present")
	testenv.Until(t, sockettest.Wait, "both people", func() bool {
		list, err := c.here.Members(context.Background(), one.Of("/"), roomPrefix+"lobby")
		return err == nil && !list.Stale && len(list.Members) == 2
	})
	kill()
	var n struct{ Left []string }
	for len(n.Left) == 0 { // Bo may be told to have come first
		bind(t, ada.Expect("presence").Args, 0, &n)
	}
	if len(n.Left) != 1 || n.Left[0] != boIs.ID {
		t.Errorf("%+v, Bo is %s", n, boIs.ID)
	}
}
