package adapter_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// knowEachOther waits until the replicas have heard of each other.
func knowEachOther(t *testing.T, rs ...*goReplica) {
	t.Helper()
	for _, r := range rs {
		testenv.Until(t, 5*time.Second, "cluster", func() bool {
			return must(t, r, command{Cmd: "serverCount"}) == fmt.Sprint(len(rs))
		})
		if got := must(t, r, command{Cmd: "fetchSockets"}); got == "" {
			t.Fatal("no answer")
		}
	}
}

// A client comes back, to the same replica or to another one, while the replica that
// it left still takes its old connection for alive.
func TestStreams_TakesOverTheOldConnection(t *testing.T) {
	t.Parallel()
	for _, received := range []bool{true, false} {
		for _, elsewhere := range []bool{true, false} {
			t.Run(fmt.Sprintf("received %t, another replica %t", received, elsewhere), func(t *testing.T) {
				t.Parallel()
				rdb, _ := newRedis(t)
				a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
				b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
				knowEachOther(t, a, b)
				reasons := make(chan socketio.Reason, 1)
				a.OnDisconnect(func(s *socketio.Socket, r socketio.Reason) {
					if !s.Recovered() {
						reasons <- r
					}
				})
				c := a.Connect("/", nil)
				must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
				must(t, a, command{Cmd: "data", SID: c.ID, Data: map[string]any{"user": "bob"}})
				auth := map[string]any{"pid": c.PID}
				if received {
					must(t, b, command{Cmd: "emit", Args: []any{"first"}})
					auth["offset"] = lastArg(t, c.Expect("first"))
				}
				must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed", 1}})
				must(t, b, command{Cmd: "emit", To: []string{c.ID}, Args: []any{"missed", 2}})
				c.Expect("missed") // by a connection that is about to be forgotten
				c.Expect("missed")

				next := a
				if elsewhere {
					next = b
				}
				began := time.Now()
				back := next.Connect("/", auth)
				if back.ID != c.ID || back.PID != c.PID {
					t.Fatalf("a new session after %v: %s", time.Since(began), back.ID)
				}
				for _, want := range []string{"1", "2"} {
					if got := back.Expect("missed").Args.JSON(0); got != want {
						t.Errorf("missed %s, want %s", got, want)
					}
				}
				must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"live"}})
				back.Expect("live")
				back.Quiet()
				select {
				case r := <-reasons:
					if r != socketio.ReasonTransportClose {
						t.Errorf("the old socket ended with %s", r)
					}
				case <-time.After(5 * time.Second):
					t.Error("the old socket lives on")
				}
				if n := rdb.Exists(t.Context(), "sio:session:"+c.PID).Val(); n != 0 {
					t.Error("the session is kept as well")
				}
			})
		}
	}
}

// A client that received nothing recovers on another replica: also on a stream that
// nothing was ever written to.
func TestStreams_RecoversAClientThatReceivedNothing(t *testing.T) {
	t.Parallel()
	for _, busy := range []bool{true, false} {
		rdb, _ := newRedis(t)
		a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
		b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
		if busy {
			must(t, a, command{Cmd: "emit", Args: []any{"before"}})
		}
		c := a.Connect("/", nil)
		c.Close()
		kept(t, rdb, c.PID)
		must(t, a, command{Cmd: "emit", Args: []any{"missed"}})
		back := b.Connect("/", map[string]any{"pid": c.PID})
		if back.ID != c.ID {
			t.Fatalf("not recovered, busy %t", busy)
		}
		back.Expect("missed")
		back.Quiet()

		// With a gap it starts anew.
		back.Close()
		kept(t, rdb, c.PID)
		must(t, a, command{Cmd: "emit", Args: []any{"missed"}})
		if err := rdb.XTrimMaxLen(t.Context(), "socket.io", 1).Err(); err != nil {
			t.Fatal(err)
		}
		if again := b.Connect("/", map[string]any{"pid": c.PID}); again.ID == c.ID {
			t.Errorf("recovered with a gap, busy %t", busy)
		}
	}
}

// A replica that died answers no question: a client that it had is let in after a
// bounded time, with a fresh session.
func TestStreams_TakeoverDoesNotWaitForADeadReplica(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	a := newGoReplica(t, adapter.RedisStreams(through, nil), withRecovery())
	b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	knowEachOther(t, a, b)
	c := a.Connect("/", nil)
	defer proxy.freeze("subscribe")()
	began := time.Now()
	if back := b.Connect("/", map[string]any{"pid": c.PID}); back.ID == c.ID {
		t.Error("recovered")
	}
	if d := time.Since(began); d < 400*time.Millisecond || d > 5*time.Second {
		t.Errorf("it took %v: the other replica was not asked, or waited for too long", d)
	}
}

// A Node replica in the cluster neither answers nor suffers, and it understands
// sessions that a Go replica kept.
func TestStreams_TakeoverBesideANodeReplica(t *testing.T) {
	t.Parallel()
	rdb, where := newRedis(t)
	a := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	b := newGoReplica(t, adapter.RedisStreams(rdb, nil), withRecovery())
	node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Server: map[string]any{"connectionStateRecovery": map[string]any{}}})
	testenv.Until(t, 5*time.Second, "cluster", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "3" })
	c := a.Connect("/", nil)
	must(t, node, command{Cmd: "emit", Args: []any{"first"}})
	offset := lastArg(t, c.Expect("first"))
	back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
	if back.ID != c.ID {
		t.Fatal("not taken over")
	}
	must(t, node, command{Cmd: "emit", To: []string{c.ID}, Args: []any{"second"}})
	offset = lastArg(t, back.Expect("second"))
	back.Close()
	kept(t, rdb, c.PID)
	var onNode struct{ SID string }
	answer := must(t, node, command{Cmd: "connect", Auth: map[string]any{"pid": c.PID, "offset": offset}})
	if err := json.Unmarshal([]byte(answer), &onNode); err != nil || onNode.SID != c.ID {
		t.Errorf("Node made a new session: %s, %v", answer, err)
	}
}
