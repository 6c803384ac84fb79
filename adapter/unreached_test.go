package adapter_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// With Redis away since the start, results are this node's, and say so.
func TestUnreachableRedis_ResultsAreLocalAndErrorsNameTheCluster(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
			defer rdb.Close()
			r := newGoReplica(t, make(rdb), nil)
			c := r.connect(t, "/")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			check := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, adapter.ErrNotReached) || !strings.Contains(err.Error(), "adapter: cluster not reached: ") {
					t.Errorf("%s: %v", what, err)
				}
			}
			list, err := r.FetchSockets(ctx)
			if check("FetchSockets", err); len(list) != 1 || list[0].ID() != c.id() {
				t.Errorf("sockets: %v", list)
			}
			count, err := r.Adapter().ServerCount(ctx)
			if check("ServerCount", err); count != 1 {
				t.Errorf("%d servers", count)
			}
			if a, ok := r.Adapter().(*adapter.Classic); ok {
				rooms, err := a.AllRooms(ctx)
				if check("AllRooms", err); len(rooms) != 1 || rooms[0] != c.id() {
					t.Errorf("rooms: %q", rooms)
				}
			}
			_, err = r.ServerSideEmitWithAck(ctx, "hi")
			check("ServerSideEmitWithAck", err)
			check("SocketsJoin", r.SocketsJoin(ctx, "room"))
			answers := func() {
				go c.answer(t) // ends with the answer
				got, err := r.To("room").EmitWithAck(ctx, "ask", 1)
				if check("EmitWithAck", err); len(got) != 1 {
					t.Errorf("answers: %v", got)
				}
			}
			answers()
			check("SocketsLeave", r.SocketsLeave(ctx, "room"))
			if err := r.Emit("still", "here"); err != nil {
				t.Errorf("Emit: %v", err)
			}
			expectNext(t, c, `still["here"]`)
			check("DisconnectSockets", r.DisconnectSockets(ctx, true))
			if n := statsOf(r).RequestsFailed; n < 3 {
				t.Errorf("%d requests failed", n)
			}
		})
	}
}

// A stream that was lost and written to while its reader was away is a gap, however
// its new ids and numbers look.
func TestStreamsAdapter_StreamBeganAnew_IsAGap(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]int{"fewer entries than before": 1, "as many": 6, "more": 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a := newGoReplica(t, adapter.RedisStreams(through, quickStreams), withRecovery())
			e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
			c := a.Connect("/", nil)
			must(t, e, command{Cmd: "emit", Args: []any{"first"}})
			c.Expect("first")
			proxy.refuseConns("xread")
			for i := range 5 {
				must(t, e, command{Cmd: "emit", Args: []any{"lost", i}})
			}
			laterThanLast(t, rdb, "socket.io")
			rdb.Del(t.Context(), "socket.io")
			for i := range after {
				must(t, e, command{Cmd: "emit", Args: []any{"new", i}})
			}
			proxy.refuseConns("")
			var offset string
			for range after {
				offset = lastArg(t, c.Expect("new"))
			}
			testenv.Until(t, 5*time.Second, "the gap to be noticed", func() bool { return statsOf(a).StreamGaps > 0 })
			c.Close()
			testenv.Until(t, 5*time.Second, "disconnect", func() bool { return must(t, a, command{Cmd: "fetchSockets", Local: true}) == "[]" })
			if back := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
				t.Error("recovered with a gap")
			}
			if n := statsOf(a).StreamGaps; n != 1 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}

// The same when Redis itself begins anew, and is written to before the reader is back.
func TestStreamsAdapter_RedisRestartedEmpty_IsAGap(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 30} {
		t.Run(strconv.Itoa(after), func(t *testing.T) {
			t.Parallel()
			addr, process := testenv.Redis(t)
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			proxy, through := proxied(t, rdb)
			a := newGoReplica(t, adapter.RedisStreams(through, quickStreams), withRecovery())
			e := goEmitter{adapter.NewStreamsEmitter(rdb, nil)}
			c := a.Connect("/", nil)
			must(t, e, command{Cmd: "emit", Args: []any{"first"}})
			c.Expect("first")
			proxy.refuseConns("hello") // every connection begins with it
			must(t, e, command{Cmd: "emit", Args: []any{"lost"}})
			process.Kill()
			testenv.Start(t, nil, process.Args[0], process.Args[1:]...)
			awaitRedis(t, addr)
			for i := range after {
				must(t, e, command{Cmd: "emit", Args: []any{"new", i}})
			}
			proxy.refuseConns("")
			var offset string
			for range after {
				offset = lastArg(t, c.Expect("new"))
			}
			testenv.Until(t, 5*time.Second, "the gap to be noticed", func() bool { return statsOf(a).StreamGaps > 0 })
			c.Close()
			testenv.Until(t, 5*time.Second, "disconnect", func() bool { return must(t, a, command{Cmd: "fetchSockets", Local: true}) == "[]" })
			if back := a.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
				t.Error("recovered with a gap")
			}
			if n := statsOf(a).StreamGaps; n != 1 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}

// laterThanLast waits until Redis, whose ids are milliseconds, cannot give out again
// an id that the stream has: what is read up to there would look as if it were the same.
func laterThanLast(t *testing.T, rdb redis.UniversalClient, stream string) {
	t.Helper()
	info, err := rdb.XInfoStream(t.Context(), stream).Result()
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(info.LastGeneratedID, "-")
	last, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, 5*time.Second, "the clock of Redis to go on", func() bool {
		now, err := rdb.Time(t.Context()).Result()
		return err == nil && now.UnixMilli() > last
	})
}
