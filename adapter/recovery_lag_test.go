package adapter_test

import (
	"testing"
	"time"

	"posthouse/adapter"
	"posthouse/socketio/sockettest"
)

// A node that has not read as far as the client has gives it nothing twice: the client
// is let in when the node has caught up.
func TestRecovery_OnNodeWhoseReaderLags_RepeatsNothing(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	ahead := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), withRecovery())
	behind := newGoReplica(t, adapter.RedisStreams(through, quickStreams), withRecovery())
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	number := 0
	emit := func(n int) {
		for range n {
			must(t, e, command{Cmd: "emit", Args: []any{"n", number}})
			number++
		}
	}
	want := 0
	expectAll := func(c *sockettest.Client) (offset string) {
		for ; want < number; want++ {
			m := c.Expect("n")
			var i int
			if err := m.Args.Bind(0, &i); err != nil || i != want {
				t.Fatalf("got event %d, want %d (%v)", i, want, err)
			}
			offset = lastArg(t, m)
		}
		return offset
	}
	c := ahead.Connect("/", nil)
	// The other node has read something before it is stopped.
	bystander := behind.Connect("/", nil)
	emit(1)
	bystander.Expect("n")
	thaw := proxy.freeze("xread")
	defer thaw()
	emit(20)
	offset := expectAll(c)
	c.Close()
	kept(t, rdb, c.PID)
	emit(5) // what the client misses

	// The node goes on when it has taken the session.
	if err := rdb.ConfigSet(t.Context(), "notify-keyspace-events", "Kg").Err(); err != nil {
		t.Fatal(err)
	}
	taken := rdb.Subscribe(t.Context(), "__keyspace@0__:sio:session:"+c.PID)
	defer taken.Close()
	if _, err := taken.Receive(t.Context()); err != nil { // subscribed
		t.Fatal(err)
	}
	go func() { // ends with the event or the test
		_, _ = taken.Receive(t.Context())
		thaw()
	}()
	back := behind.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
	if back.ID != c.ID {
		t.Fatal("not recovered")
	}
	expectAll(back)
	emit(3)
	expectAll(back)
}

// A node that does not catch up in time begins a new session rather than to give the
// client events twice.
func TestRecovery_OnNodeWhoseReaderIsStuck_BeginsAnew(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	o := *quickStreams
	o.RequestsTimeout = 300 * time.Millisecond
	ahead := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), withRecovery())
	behind := newGoReplica(t, adapter.RedisStreams(through, &o), withRecovery())
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	c, bystander := ahead.Connect("/", nil), behind.Connect("/", nil)
	must(t, e, command{Cmd: "emit", Args: []any{"n", 0}})
	bystander.Expect("n")
	c.Expect("n")
	thaw := proxy.freeze("xread")
	defer thaw()
	must(t, e, command{Cmd: "emit", Args: []any{"n", 1}})
	offset := lastArg(t, c.Expect("n"))
	c.Close()
	kept(t, rdb, c.PID)
	if back := behind.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
		t.Error("recovered by a node that has not read what the client has")
	}
}
