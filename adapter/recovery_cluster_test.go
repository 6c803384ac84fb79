package adapter_test

import (
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// In a Redis Cluster the log lives on one server, the channels and sessions on others.
func TestLog_OnACluster(t *testing.T) {
	t.Parallel()
	rdb, where := newRedisCluster(t)
	for _, name := range []string{"classic", "sharded", "sharded, static"} {
		t.Run(name, func(t *testing.T) {
			a, b := newGoReplica(t, recoveringAdapters[name](rdb), withRecovery()), newGoReplica(t, recoveringAdapters[name](rdb), withRecovery())
			testenv.Until(t, 10*time.Second, "presence", func() bool { return statsOf(a).Nodes == 1 && statsOf(b).Nodes == 1 })
			offers(t, b, b.Connect("/", nil))
			c := a.Connect("/", nil)
			must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
			offset := offers(t, a, c)
			c.Close()
			testenv.Until(t, 5*time.Second, "session", func() bool { return rdb.Exists(t.Context(), "sio:session:"+c.PID).Val() == 1 })
			must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed", 1}})
			must(t, b, command{Cmd: "emit", Args: []any{"missed", 2}})
			back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
			if back.ID != c.ID {
				t.Fatal("a new session")
			}
			for _, want := range []string{"1", "2"} {
				if got := back.Expect("missed").Args.JSON(0); got != want {
					t.Errorf("missed %s, want %s", got, want)
				}
			}
			if name != "classic" {
				return
			}
			// Node nodes get what is published beside the log, once, and end recovery.
			node := newNodeReplica(t, nodeConfig{Kind: "classic", Where: where, Library: "ioredis"})
			testenv.Until(t, 10*time.Second, "the cluster", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "3" })
			onNode, bystander := node.connect(t, "/"), a.Connect("/", nil)
			must(t, node, command{Cmd: "join", SID: onNode.id(), Rooms: []string{"room1"}})
			must(t, a, command{Cmd: "join", SID: bystander.ID, Rooms: []string{"room1"}})
			offset = offers(t, b, back)
			back.Close()
			testenv.Until(t, 5*time.Second, "session", func() bool { return rdb.Exists(t.Context(), "sio:session:"+c.PID).Val() == 1 })
			must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"logged"}})
			expectNext(t, onNode, "logged[]")
			must(t, node, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"unlogged"}})
			bystander.Expect("logged")
			bystander.Expect("unlogged") // it has been published
			if again := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); again.ID == c.ID {
				t.Error("recovered with a gap")
			}
		})
	}
}
