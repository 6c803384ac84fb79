package adapter_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// recoveringAdapters are all ways in which clients recover on another node. Their probes and
// heartbeats keep the default intervals: on a busy machine a probe that must be back in 200 ms ends
// subscriptions, and a node whose subscription ended is rightly no witness.
var recoveringAdapters = map[string]func(redis.UniversalClient) socketio.NewAdapter{
	"streams": func(rdb redis.UniversalClient) socketio.NewAdapter {
		return adapter.RedisStreams(rdb, &adapter.StreamsOptions{BlockTime: quickLog.BlockTime})
	},
	"classic": func(rdb redis.UniversalClient) socketio.NewAdapter {
		return adapter.Redis(rdb, &adapter.RedisOptions{Log: quickLog})
	},
	"sharded": func(rdb redis.UniversalClient) socketio.NewAdapter {
		return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{Log: quickLog})
	},
	"sharded, static": func(rdb redis.UniversalClient) socketio.NewAdapter {
		return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{Log: quickLog, SubscriptionMode: adapter.Static})
	},
}

var quickLog = &adapter.LogOptions{BlockTime: 300 * time.Millisecond}

// offers waits until clients of r get offsets, and returns the last one that c got.
func offers(t *testing.T, r *goReplica, c *sockettest.Client) (offset string) {
	t.Helper()
	testenv.Until(t, 10*time.Second, "offsets", func() bool {
		must(t, r, command{Cmd: "emit", To: []string{c.ID}, Args: []any{"offset?", 1}})
		m := c.Expect("offset?")
		if last := lastArg(t, m); last != "-" {
			offset = last
		}
		return offset != ""
	})
	return offset
}

func TestLog_ClientRecoversOnAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		for _, killed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rdb, _ := newRedis(t)
				a := newMortalReplica(t, rdb, make)
				b := newGoReplica(t, make(rdb), withRecovery())
				knowEachOther(t, a.goReplica, b)
				offers(t, b, b.Connect("/", nil))
				c := a.Connect("/", nil)
				must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
				offers(t, a.goReplica, c)
				isCurrent(t, rdb, c, 2, "{}")
				must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"live", bin(7)}})
				offset := lastArg(t, c.Expect("live"))
				if killed {
					a.kill()
				} else {
					c.Close()
					kept(t, rdb, c.PID)
				}
				must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"missed", 1, bin(7)}})
				must(t, b, command{Cmd: "emit", To: []string{"other"}, Args: []any{"missed", "not"}})
				must(t, b, command{Cmd: "emit", Volatile: true, Args: []any{"missed", "not"}})
				must(t, b, command{Cmd: "emit", Args: []any{"missed", 2}})
				back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
				if back.ID != c.ID {
					t.Fatalf("a new session, killed %t", killed)
				}
				for _, want := range []string{`[1,{"$bin":"07"},"`, `[2,"`} {
					m := back.Expect("missed")
					if got := mark(m.Args.String(), m.Args.Attachments); len(got) < len(want) || got[:len(want)] != want {
						t.Errorf("got %s, want %s…", got, want)
					}
				}
				must(t, b, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"live"}})
				back.Expect("live")
				back.Quiet()
			})
		}
	}
}

// unlogged are publishers that write no log, beside nodes that do.
func TestLog_PublisherWithoutIt_EndsRecoveryWhereItWasActive(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		if name == "streams" {
			continue // all its publishers write the stream
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			kind, opts := name, map[string]any(nil)
			if name == "sharded, static" {
				kind, opts = "sharded", map[string]any{"subscriptionMode": "static"}
			}
			// Without the channels of other rooms a Node node counts as active.
			hearsAll := name != "sharded"
			a, b := newGoReplica(t, make(rdb), withRecovery()), newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a, b)
			node := newNodeReplica(t, nodeConfig{Kind: kind, Where: where, Opts: opts})
			testenv.Until(t, 5*time.Second, "cluster", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "3" })
			onNode, bystanders := node.connect(t, "/"), []*sockettest.Client{a.Connect("/", nil)}
			must(t, a, command{Cmd: "join", SID: bystanders[0].ID, Rooms: []string{"room1"}})
			if hearsAll {
				// b counts an event as later than all that it has read when it hears of it.
				bystanders = append(bystanders, b.Connect("/", nil))
				must(t, b, command{Cmd: "join", SID: bystanders[1].ID, Rooms: []string{"room1"}})
			}
			published := func() { // and not only delivered by the node itself
				t.Helper()
				for _, bystander := range bystanders {
					bystander.Expect("unlogged")
				}
				expectNext(t, onNode, "unlogged[]")
			}
			must(t, node, command{Cmd: "join", SID: onNode.id(), Rooms: []string{"room1"}})

			comeBack := func(what string, recovered bool, meanwhile func()) {
				t.Helper()
				for _, r := range []*goReplica{a, b} { // of what was heard before
					if err := adapter.WriteMarks(t.Context(), r.Of("/").Adapter()); err != nil {
						t.Fatal(err)
					}
				}
				offers(t, b, b.Connect("/", nil))
				c := a.Connect("/", nil)
				must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
				offset := offers(t, a, c)
				c.Close()
				kept(t, rdb, c.PID)
				meanwhile()
				must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"logged"}})
				back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
				if got := back.ID == c.ID; got != recovered {
					t.Fatalf("%s: recovered %t", what, got)
				}
				if recovered {
					back.Expect("logged")
				}
				back.Close()
				// Node's clients get every event once, and as ever.
				expectNext(t, onNode, "logged[]")
			}
			comeBack("idle", hearsAll, func() {})
			comeBack("active in its room", false, func() {
				must(t, node, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"unlogged"}})
				published()
			})
			comeBack("active in another room", hearsAll, func() {
				must(t, node, command{Cmd: "emit", To: []string{"other"}, Args: []any{"unlogged"}})
			})
			comeBack("active with volatile events", hearsAll, func() {
				must(t, node, command{Cmd: "emit", To: []string{"room1"}, Volatile: true, Args: []any{"unlogged"}})
				published()
			})
		})
	}
}

// With the log on, Go and Node nodes do for each other what they do without it.
func TestLog_BetweenGoAndNode(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "sharded"} {
		for _, goFirst := range []bool{true, false} {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				rdb, where := newRedis(t)
				var ready []func(...string)
				if kind == "sharded" {
					ready = append(ready, roomsSubscribed(t, rdb, adapter.Dynamic))
				}
				node := newNodeReplica(t, nodeConfig{Kind: kind, Where: where})
				first, second := replica(newGoReplica(t, recoveringAdapters[kind](rdb), nil)), replica(node)
				if !goFirst {
					first, second = second, first
				}
				operations(t, kind, first, second, ready...)
			})
		}
	}
}

// Emitters with the log are recovered, those without it end recovery.
func TestLog_Emitter(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		if name == "streams" || name == "sharded" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newGoReplica(t, make(rdb), withRecovery()), newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a, b)
			emitter := func(log *adapter.LogOptions) goEmitter {
				if name == "classic" {
					return goEmitter{adapter.NewEmitter(rdb, &adapter.EmitterOptions{Log: log})}
				}
				return goEmitter{adapter.NewShardedEmitter(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static, Log: log})}
			}
			for _, logged := range []bool{true, false} {
				offers(t, b, b.Connect("/", nil))
				c := a.Connect("/", nil)
				offset := offers(t, a, c)
				var log *adapter.LogOptions
				if logged {
					log = quickLog
				}
				must(t, emitter(log), command{Cmd: "emit", To: []string{c.ID}, Args: []any{"live"}})
				if got := c.Expect("live").Args.String() != "[]"; got != logged {
					t.Errorf("an offset: %t, logged %t", got, logged)
				}
				c.Close()
				kept(t, rdb, c.PID)
				must(t, emitter(log), command{Cmd: "emit", To: []string{c.ID}, Args: []any{"missed"}})
				back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
				if got := back.ID == c.ID; got != logged {
					t.Fatalf("recovered %t, logged %t", got, logged)
				}
				if logged {
					back.Expect("live")
					back.Expect("missed")
				}
				back.Quiet()
			}
		})
	}
}
