package adapter_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/history"
)

// The cost of a recorded emit and of a join, in commands.
func TestHistory_Cost_OneScriptAnEmitTwoCommandsAJoin(t *testing.T) {
	addr, _ := testenv.Redis(t)
	a, _ := newHistoryReplica(t, "classic", addr, history.Options{})
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	count := func() map[string]string {
		info, err := rdb.InfoMap(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return info["Commandstats"]
	}
	calls := func(name string) (n int) {
		_, _ = fmt.Sscanf(count()["cmdstat_"+name], "calls=%d", &n)
		return n
	}
	c := a.Connect("/", nil)
	c.Call("join", "topic:1")
	for range 10 {
		_ = a.To("topic:1").Record().Emit("n", 1)
		c.Expect("n")
	}
	joinWithHistory(t, c, 5) // behind the emits
	// xrevrange: one to find the newest event, one in the script that reads.
	if evals, adds, reads := calls("eval"), calls("xadd"), calls("xrevrange"); evals != 11 || adds != 10 || reads != 2 {
		t.Errorf("%d scripts, %d XADD, %d XREVRANGE", evals, adds, reads)
	}
}

// An event that a history keeps is for Node's servers and their clients like any other.
func TestHistory_NodeReplicas_GetTheEventAsAnyOther(t *testing.T) {
	for kind, newAdapter := range map[string]func(redis.UniversalClient) socketio.NewAdapter{
		"classic": func(c redis.UniversalClient) socketio.NewAdapter { return adapter.Redis(c, nil) },
		"sharded": func(c redis.UniversalClient) socketio.NewAdapter { return adapter.ShardedRedis(c, nil) },
		"streams": func(c redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(c, nil) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: kind, Where: where})
			goes := newGoReplica(t, newAdapter(rdb), nil)
			kept, err := history.New(&history.Options{Rooms: func(string) bool { return true }})
			if err != nil {
				t.Fatal(err)
			}
			kept.Apply(goes.Of("/"))
			c := node.connect(t, "/")
			for _, args := range [][]any{{"one", 1}, {[]byte{1, 2}}} {
				if err := goes.To(c.id(), "two").Record().Emit("kept", args...); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []string{`kept["one",1]`, `kept[{"$bin":"0102"}]`} {
				if got := c.next(t); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			page, err := kept.Read(t.Context(), goes.Of("/"), "two", 5, "")
			if err != nil || len(page.Events) != 2 || page.Gap {
				t.Errorf("%+v %v", page, err)
			}
		})
	}
}

func ExampleClassic_HistoryStore() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	defer rdb.Close()
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	defer io.Shutdown(context.Background())
	// Package history asks the adapter of a namespace where its events are.
	backend, _ := io.Adapter().(*adapter.Classic)
	var store history.Store = backend.HistoryStore()
	_ = store
}

func ExampleSharded_HistoryStore() {
	var backend *adapter.Sharded // of a namespace
	if backend != nil {
		_ = backend.HistoryStore()
	}
}

func ExampleStreams_HistoryStore() {
	var backend *adapter.Streams // of a namespace
	if backend != nil {
		_ = backend.HistoryStore()
	}
}
