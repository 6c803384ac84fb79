package adapter_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// The holes of docs/reliability.md §5.4 in the reference's streams adapter.

func TestNothingIsMissedWhileTheFirstReadFails(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	must(t, e, command{Cmd: "emit", Args: []any{"before"}})
	proxy, through := proxied(t, rdb)
	proxy.refuseConns("xread")
	b := newGoReplica(t, adapter.RedisStreams(through, quickStreams), nil)
	c := b.connect(t, "/")
	for i := range 3 {
		must(t, e, command{Cmd: "emit", Args: []any{"early", i}})
	}
	proxy.refuseConns("")
	for i := range 3 {
		expectNext(t, c, "early["+strconv.Itoa(i)+"]")
	}
}

func TestStreams_FailingReadIsNotAHotLoop(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	b := newGoReplica(t, adapter.RedisStreams(through, quickStreams), nil)
	c := b.connect(t, "/")
	proxy.refuseConns("xread")
	before := proxy.accepted.Load()
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	<-timer.C
	if n := proxy.accepted.Load() - before; n == 0 || n > 20 {
		t.Errorf("%d connections in two seconds", n)
	}
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	must(t, e, command{Cmd: "emit", Args: []any{"meanwhile"}})
	proxy.refuseConns("")
	expectNext(t, c, "meanwhile[]")
}

func TestTrimmingBeforeReadingIsNoticed(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	a := newGoReplica(t, adapter.RedisStreams(through, quickStreams), withRecovery())
	c := a.Connect("/", nil)
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	must(t, e, command{Cmd: "emit", Args: []any{"first"}})
	c.Expect("first")

	thaw := proxy.freeze("xread")
	for i := range 300 {
		must(t, e, command{Cmd: "emit", Args: []any{"n", i}})
	}
	if err := rdb.XTrimMaxLen(t.Context(), "socket.io", 100).Err(); err != nil {
		t.Fatal(err)
	}
	thaw() // the first of the 300 was on its way; the next 199 are gone
	var last string
	testenv.Until(t, 10*time.Second, "the end", func() bool {
		m := c.Expect("n")
		last = lastArg(t, m)
		return strings.HasPrefix(m.Args.String(), "[299,")
	})
	testenv.Until(t, 5*time.Second, "the gap to be noticed", func() bool { return statsOf(a).StreamGaps > 0 })

	// A client that was here during the gap does not recover as if nothing had happened.
	c.Close()
	testenv.Until(t, 5*time.Second, "disconnect", func() bool { return must(t, a, command{Cmd: "fetchSockets", Local: true}) == "[]" })
	back := a.Connect("/", map[string]any{"pid": c.PID, "offset": last})
	if back.ID == c.ID {
		t.Error("recovered with a gap")
	}
	// A client that came later does.
	must(t, e, command{Cmd: "emit", Args: []any{"second"}})
	offset := lastArg(t, back.Expect("second"))
	back.Close()
	kept(t, rdb, back.PID)
	if again := a.Connect("/", map[string]any{"pid": back.PID, "offset": offset}); again.ID != back.ID {
		t.Error("not recovered after the gap")
	}
	if n := statsOf(a).StreamGaps; n != 1 {
		t.Errorf("%d gaps", n)
	}
}

func TestStreams_BusyStreamHasNoFalseGaps(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	o := *quickStreams
	o.MaxLen = 1000
	a := newGoReplica(t, adapter.RedisStreams(rdb, &o), nil)
	e := goEmitter{adapter.NewStreamsEmitter(rdb, &o)}
	c := a.connect(t, "/")
	for i := range 3000 {
		must(t, e, command{Cmd: "emit", Args: []any{"n", i}})
		expectNext(t, c, "n["+strconv.Itoa(i)+"]")
	}
	if n := statsOf(a).StreamGaps; n != 0 {
		t.Errorf("%d gaps", n)
	}
}

func TestStreams_StreamThatBeginsAnewIsRead(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	// Ids of the future, as after a clock that jumped.
	if err := rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", ID: "9999999999999-0", Values: []any{"x", "y"}}).Err(); err != nil {
		t.Fatal(err)
	}
	a := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), nil)
	c := a.connect(t, "/")
	e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
	must(t, e, command{Cmd: "emit", Args: []any{"future"}}) // 9999999999999-1
	expectNext(t, c, "future[]")
	if err := rdb.Del(t.Context(), "socket.io").Err(); err != nil {
		t.Fatal(err)
	}
	must(t, e, command{Cmd: "emit", Args: []any{"anew"}}) // a smaller id
	expectNext(t, c, "anew[]")
	must(t, e, command{Cmd: "emit", Args: []any{"more"}})
	expectNext(t, c, "more[]")
}

func TestStreams_StalledReaderIsMadeAgain(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	proxy, through := proxied(t, rdb)
	a := newGoReplica(t, adapter.RedisStreams(through, quickStreams), nil)
	b := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), nil)
	arrives(t, 5*time.Second, b, a)
	defer proxy.freeze("xread")()
	// (go-redis gives a blocking read ten seconds more than it asked for.)
	arrives(t, 15*time.Second, b, a)
}

func TestBroadcastsInOrderDoNotWaitLongForRedis(t *testing.T) {
	t.Parallel()
	addr, process := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	a := newGoReplica(t, adapter.RedisStreams(rdb, quickStreams), withRecovery())
	c := a.connect(t, "/")
	process.Kill()
	began := time.Now()
	for i := range 50 {
		must(t, a, command{Cmd: "emit", Args: []any{"n", i}})
		expectNext(t, c, "n["+strconv.Itoa(i)+`,"-"]`)
	}
	if d := time.Since(began); d > 15*time.Second { // not a second each
		t.Errorf("50 broadcasts took %v", d)
	}
}

// The sharded adapter's.

func TestRoomsThatGoAreUnsubscribed(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil)
	c := a.connect(t, "/")
	channels := func() int {
		list, err := rdb.PubSubShardChannels(context.Background(), "socket.io#/#*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := channels()
	for range 3 {
		var rooms []string
		for i := range 200 {
			rooms = append(rooms, "room"+strconv.Itoa(i))
		}
		must(t, a, command{Cmd: "join", SID: c.id(), Rooms: rooms})
		testenv.Until(t, 5*time.Second, "subscriptions", func() bool { return channels() == before+200 })
		must(t, a, command{Cmd: "socketsLeave", Rooms: rooms})
		testenv.Until(t, 5*time.Second, "no subscriptions", func() bool { return channels() == before })
	}
}

func TestSlotsMayMove(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedisCluster(t)
	a := newGoReplica(t, adapter.ShardedRedis(rdb, quickSharded), nil)
	b := newGoReplica(t, adapter.ShardedRedis(rdb, quickSharded), nil)
	c := b.connect(t, "/")
	must(t, b, command{Cmd: "join", SID: c.id(), Rooms: []string{"room1"}})
	roomsSubscribed(t, rdb, adapter.Dynamic)("room1")
	must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"before"}})
	expectNext(t, c, "before[]")

	ctx := t.Context()
	slot := rdb.ClusterKeySlot(ctx, "socket.io#/#room1#").Val()
	from, err := rdb.MasterForKey(ctx, "socket.io#/#room1#")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var ids []string
	var masters []*redis.Client
	err = rdb.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error {
		id, err := m.Do(ctx, "cluster", "myid").Text()
		mu.Lock()
		defer mu.Unlock()
		if m.Options().Addr != from.Options().Addr {
			ids, masters = append(ids[:0], id), append(masters[:0], m)
		}
		return err
	})
	if err != nil || len(masters) != 1 {
		t.Fatal(err, len(masters))
	}
	// The slot moves to another master; the channel's subscribers are not asked.
	if err := masters[0].Do(ctx, "cluster", "setslot", slot, "node", ids[0]).Err(); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*redis.Client{from} {
		if err := m.Do(ctx, "cluster", "setslot", slot, "node", ids[0]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	moved := 0
	testenv.Until(t, 15*time.Second, "the room to be heard again", func() bool {
		moved++
		must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"after"}})
		counts, err := masters[0].PubSubShardNumSub(ctx, "socket.io#/#room1#").Result()
		return err == nil && counts["socket.io#/#room1#"] == 1
	})
	must(t, a, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"finally"}})
	for range moved {
		if c.next(t) == "finally[]" {
			return
		}
	}
	expectNext(t, c, "finally[]")
}
