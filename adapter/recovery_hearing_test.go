package adapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// unloggedEmitters are the publishers without the log that all nodes hear.
var unloggedEmitters = map[string]func(redis.UniversalClient) goEmitter{
	"classic": func(rdb redis.UniversalClient) goEmitter { return goEmitter{adapter.NewEmitter(rdb, nil)} },
	"sharded, static": func(rdb redis.UniversalClient) goEmitter {
		return goEmitter{adapter.NewShardedEmitter(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static})}
	},
}

// hearers runs f for each adapter whose nodes hear publishers without the log.
func hearers(t *testing.T, f func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter)) {
	t.Parallel()
	for name, emitter := range unloggedEmitters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			f(t, rdb, recoveringAdapters[name], emitter(rdb))
		})
	}
}

// isRecovered loses the connection of c and comes back to r.
func isRecovered(t *testing.T, rdb redis.UniversalClient, r *goReplica, c *sockettest.Client, offset string) bool {
	t.Helper()
	c.Close()
	back := r.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
	return back.ID == c.ID
}

// A node that does not hear gives no offsets behind what others heard.
func TestLog_DeafNode_GivesNoOffsetBehindAMark(t *testing.T) {
	hearers(t, func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter) {
		proxy, through := proxied(t, rdb)
		a, b := newGoReplica(t, make(through), withRecovery()), newGoReplica(t, make(rdb), withRecovery())
		knowEachOther(t, a, b)
		onB := b.Connect("/", nil)
		offers(t, b, onB)
		c := a.Connect("/", nil)
		offers(t, a, c)
		thaw := proxy.freeze("subscribe")
		defer thaw()
		must(t, unlogged, command{Cmd: "emit", Args: []any{"unlogged"}})
		onB.Expect("unlogged")
		testenv.Until(t, 5*time.Second, "the mark", func() bool {
			list, err := rdb.XRevRangeN(t.Context(), "socket.io-log", "+", "-", 1).Result()
			return err == nil && len(list) == 1 && list[0].Values["type"] == "64"
		})
		must(t, b, command{Cmd: "emit", Args: []any{"logged"}})
		if got := c.Expect("logged").Args.String(); got != `["-"]` {
			t.Errorf("an offset behind an event that the client did not get: %s", got)
		}
		onB.Expect("logged")
	})
}

// A busy publisher without the log puts its marks off by 100 ms at most, and they stand for its rooms
// only: clients of other rooms are recovered.
func TestLog_BusyPublisherWithoutIt_EndsRecoveryInItsRoomsOnly(t *testing.T) {
	hearers(t, func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter) {
		a := newGoReplica(t, make(rdb), withRecovery())
		in, out := a.Connect("/", nil), a.Connect("/", nil)
		must(t, a, command{Cmd: "join", SID: in.ID, Rooms: []string{"busy"}})
		inOffset, outOffset := offers(t, a, in), offers(t, a, out)
		marks := func() (n int) {
			list, err := rdb.XRange(t.Context(), "socket.io-log", "-", "+").Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				if data, _ := e.Values["data"].(string); e.Values["type"] == "64" && strings.HasPrefix(data, `{"mark":"heard",`) {
					n++
				}
			}
			return n
		}
		emitted := 0
		for until := time.Now().Add(10 * time.Second); emitted < 200 || marks() == 0; emitted++ {
			must(t, unlogged, command{Cmd: "emit", To: []string{"busy"}, Args: []any{"unlogged"}})
			if time.Now().After(until) {
				t.Fatalf("no mark for %d events", emitted)
			}
		}
		for range emitted {
			in.Expect("unlogged")
		}
		if !isRecovered(t, rdb, a, out, outOffset) {
			t.Error("not recovered although only another room was busy")
		}
		if isRecovered(t, rdb, a, in, inOffset) {
			t.Error("recovered without the events of its room")
		}
	})
}

// A socket that lived through a time without subscription may have missed something: it
// is not recovered, whatever it got later.
func TestLog_SocketThatLivedThroughDeafness_IsNotRecovered(t *testing.T) {
	hearers(t, func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter) {
		proxy, through := proxied(t, rdb)
		a := newGoReplica(t, make(through), withRecovery())
		c := a.Connect("/", nil)
		offers(t, a, c)
		lost := statsOf(a).Resubscribed
		proxy.refuseConns("subscribe")
		testenv.Until(t, 5*time.Second, "the subscription to be lost", func() bool { return statsOf(a).Resubscribed > lost })
		must(t, unlogged, command{Cmd: "emit", Args: []any{"unlogged"}})
		must(t, a, command{Cmd: "emit", Args: []any{"logged"}})
		if got := c.Expect("logged").Args.String(); got != `["-"]` {
			t.Errorf("an offset while the subscription is away: %s", got)
		}
		proxy.refuseConns("")
		offset := offers(t, a, c)
		if isRecovered(t, rdb, a, c, offset) {
			t.Error("recovered with a gap")
		}
		// One that came later is.
		fresh := a.Connect("/", nil)
		if offset := offers(t, a, fresh); !isRecovered(t, rdb, a, fresh, offset) {
			t.Error("not recovered although it heard everything")
		}
	})
}

// An event that a node hears while it restores a session ends the recovery: the log was read without it.
func TestLog_HeardWhileRestoring_IsNotRecovered(t *testing.T) {
	hearers(t, func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter) {
		proxy, through := proxied(t, rdb)
		a := newGoReplica(t, make(through), withRecovery())
		there := a.Connect("/", nil)
		c := a.Connect("/", nil)
		offset := offers(t, a, c)
		c.Close()
		release := proxy.delay("xrange")
		defer release()
		back := func() chan *sockettest.Client {
			came := newClientChan()
			go func() { came <- a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}) }()
			return came
		}()
		testenv.Until(t, 5*time.Second, "the session to be read", func() bool { return proxy.heldConns() > 0 })
		must(t, unlogged, command{Cmd: "emit", Args: []any{"unlogged"}})
		there.Expect("unlogged")
		release()
		if b := <-back; b.ID == c.ID {
			t.Error("recovered without what was heard meanwhile")
		}
	})
}

// newClientChan is for tests in which make is an adapter's.
func newClientChan() chan *sockettest.Client { return make(chan *sockettest.Client, 1) }

// Silence counts only if a node heard it.
func TestLog_WithoutAWitness_IsNotRecovered(t *testing.T) {
	hearers(t, func(t *testing.T, rdb redis.UniversalClient, make func(redis.UniversalClient) socketio.NewAdapter, unlogged goEmitter) {
		for _, witness := range []bool{false, true} { // the nodes of the first one are gone then
			a := newMortalReplica(t, rdb, make)
			if witness {
				w := newGoReplica(t, make(rdb), withRecovery())
				offers(t, w, w.Connect("/", nil))
			}
			c := a.Connect("/", nil)
			offset := offers(t, a.goReplica, c)
			isCurrent(t, rdb, c, 1, "{}")
			a.kill()
			b := newMortalReplica(t, rdb, make)
			offers(t, b.goReplica, b.Connect("/", nil))
			if witness {
				testenv.Until(t, 5*time.Second, "presence", func() bool { return statsOf(b.goReplica).Nodes > 0 })
			}
			if got := isRecovered(t, rdb, b.goReplica, c, offset); got != witness {
				t.Errorf("recovered %t, with a witness %t", got, witness)
			}
			b.kill()
		}
	})
}

// An event that the log may lack ends the recovery of the sockets of all nodes.
func TestLog_LostEvent_EndsRecovery(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, make(through), withRecovery()), newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a, b)
			onA, onB := a.Connect("/", nil), b.Connect("/", nil)
			offers(t, a, onA)
			offers(t, b, onB)
			proxy.refuseConns("socket.io") // no publication gets through
			must(t, a, command{Cmd: "emit", Args: []any{"lost"}})
			if got := onA.Expect("lost").Args.String(); got != `["-"]` {
				t.Errorf("an event out of order: %s", got)
			}
			proxy.refuseConns("")
			var offset string
			testenv.Until(t, 10*time.Second, "later events", func() bool {
				must(t, a, command{Cmd: "emit", To: []string{onB.ID}, Args: []any{"later"}})
				must(t, b, command{Cmd: "emit", To: []string{onB.ID}, Args: []any{"own"}})
				offset = lastArg(t, onB.Expect("own"))
				return len(offset) > 1 && statsOf(a).Published > 0 && lostMarks(t, rdb, name) > 0
			})
			offset = offers(t, b, onB)
			if isRecovered(t, rdb, b, onB, offset) {
				t.Error("recovered without the lost event")
			}
		})
	}
}

// lostMarks counts the marks of lost events in the log.
func lostMarks(t *testing.T, rdb redis.UniversalClient, name string) (n int) {
	t.Helper()
	stream := "socket.io-log"
	if name == "streams" {
		stream = "socket.io"
	}
	list, err := rdb.XRange(t.Context(), stream, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if data, _ := e.Values["data"].(string); e.Values["type"] == "64" && len(data) > 15 && data[:15] == `{"mark":"lost",` {
			n++
		}
	}
	return n
}

// A node that found a gap gives no offsets before Redis holds no session of the sockets
// that have it: it may die at any time.
func TestRecovery_GapFound_NoOffsetsBeforeSessionsAreGone(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	make := recoveringAdapters["streams"]
	proxyA, throughA := proxied(t, rdb)
	proxyB, throughB := proxied(t, rdb)
	a, b := newGoReplica(t, make(throughA), withRecovery()), newGoReplica(t, make(throughB), withRecovery())
	knowEachOther(t, a, b)
	onB := b.Connect("/", nil)
	isCurrent(t, rdb, onB, 1, "{}")
	release := proxyB.delay("sio:session:live")
	defer release()
	proxyA.refuseConns("socket.io")
	must(t, a, command{Cmd: "emit", Args: []any{"lost"}})
	proxyA.refuseConns("")
	// It comes behind the mark of the lost one.
	testenv.Until(t, 10*time.Second, "the mark", func() bool { return lostMarks(t, rdb, "streams") > 0 })
	must(t, a, command{Cmd: "emit", Args: []any{"later"}})
	if got := onB.Expect("later").Args.String(); got != `["-"]` {
		t.Errorf("an offset behind a gap: %s", got)
	}
	release()
	offers(t, a, a.Connect("/", nil))
	testenv.Until(t, 10*time.Second, "offsets", func() bool {
		must(t, a, command{Cmd: "emit", Args: []any{"later"}})
		return lastArg(t, onB.Expect("later")) != "-"
	})
	if _, has := currentSessions(t, rdb)[onB.ID]; has {
		t.Error("the session is still in redis")
	}
}
