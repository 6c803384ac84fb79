package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// quick are options that find trouble sooner than in production.
var (
	quickClassic = &adapter.RedisOptions{ProbeInterval: 200 * time.Millisecond, HeartbeatInterval: 200 * time.Millisecond}
	quickSharded = &adapter.ShardedOptions{ProbeInterval: 200 * time.Millisecond, HeartbeatInterval: 200 * time.Millisecond}
	quickStreams = &adapter.StreamsOptions{ProbeInterval: 200 * time.Millisecond, HeartbeatInterval: 200 * time.Millisecond, BlockTime: 300 * time.Millisecond}
)

var quickAdapters = map[string]func(redis.UniversalClient) socketio.NewAdapter{
	"classic": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.Redis(rdb, quickClassic) },
	"sharded": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.ShardedRedis(rdb, quickSharded) },
	"streams": func(rdb redis.UniversalClient) socketio.NewAdapter { return adapter.RedisStreams(rdb, quickStreams) },
}

func statsOf(r *goReplica) adapter.Stats {
	return r.Of("/").Adapter().(interface{ Stats() adapter.Stats }).Stats()
}

// proxied returns a client of the same Redis through a proxy.
func proxied(t *testing.T, rdb redis.UniversalClient) (*faultProxy, redis.UniversalClient) {
	t.Helper()
	p := newFaultProxy(t, rdb.(*redis.Client).Options().Addr)
	return p, newClient(t, &redis.UniversalOptions{Addrs: []string{p.addr}})
}

// arrives emits from one replica until a client of the other gets it.
func arrives(t *testing.T, limit time.Duration, from, to replica) {
	t.Helper()
	reachAll(t, limit, []replica{from, to})
}

func TestAdapters_SilentSubscriptionIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			proxy, through := proxied(t, rdb)
			a, b := newGoReplica(t, make(through), nil), newGoReplica(t, make(rdb), nil)
			arrives(t, 5*time.Second, b, a)
			defer proxy.freeze("subscribe")()
			testenv.Until(t, 5*time.Second, "silence to be noticed", func() bool { return statsOf(a).Silent > 0 })
			arrives(t, 5*time.Second, b, a)
			testenv.Until(t, 5*time.Second, "requests to work", func() bool {
				got, err := b.do(command{Cmd: "serverSideEmitWithAck", NSP: "/", Args: []any{"hi"}})
				return err == nil && got == `["hello from go"]`
			})
		})
	}
}

func TestAdapters_KilledSubscriptionsComeBackWithoutAHotLoop(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(rdb), nil)
			arrives(t, 5*time.Second, b, a)
			before := statsOf(a).Resubscribed
			const seconds = 3
			ticker := time.NewTicker(200 * time.Millisecond)
			defer ticker.Stop()
			for range 5 * seconds {
				<-ticker.C
				rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub")
			}
			if n := statsOf(a).Resubscribed - before; n == 0 || n > 10*seconds {
				t.Errorf("%d subscriptions in %d s", n, seconds)
			}
			arrives(t, 5*time.Second, b, a)
		})
	}
}

func TestAdapters_RedisGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, process := testenv.Redis(t)
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			proxy := newFaultProxy(t, addr)
			through := newClient(t, &redis.UniversalOptions{Addrs: []string{proxy.addr}})
			a, b := newGoReplica(t, make(through), nil), newGoReplica(t, make(rdb), nil)
			arrives(t, 5*time.Second, b, a)
			c := a.connect(t, "/")
			process.Kill()

			// Local rooms work meanwhile, and no caller waits.
			began, accepted := time.Now(), proxy.accepted.Load()
			for i := range 100 {
				// The other nodes may not have heard of it; here it is done.
				if _, err := a.do(command{Cmd: "socketsJoin", NSP: "/", To: []string{c.id()}, Rooms: []string{"room" + strconv.Itoa(i)}}); err != nil && !errors.Is(err, adapter.ErrNotReached) {
					t.Fatal(err)
				}
				must(t, a, command{Cmd: "emit", To: []string{"room" + strconv.Itoa(i)}, Args: []any{"local", i}})
				expectNext(t, c, "local["+strconv.Itoa(i)+"]")
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("100 local broadcasts took %v", d)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			list, err := a.FetchSockets(ctx)
			var partial *socketio.PartialError
			if !errors.As(err, &partial) || len(list) == 0 || !slices.ContainsFunc(list, func(s *socketio.RemoteSocket) bool { return s.ID() == c.id() }) {
				t.Errorf("%d sockets, %v", len(list), err)
			}
			timer := time.NewTimer(2 * time.Second)
			defer timer.Stop()
			<-timer.C
			// Two subscribers (three namespaces each), a reader, and what was asked for.
			if n := proxy.accepted.Load() - accepted; n > 200 {
				t.Errorf("%d connections in two seconds", n)
			}

			port := addr[strings.LastIndex(addr, ":")+1:]
			testenv.Start(t, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
			awaitRedis(t, addr)
			arrives(t, 5*time.Second, b, a)
			arrives(t, 5*time.Second, a, b)
			testenv.Until(t, 5*time.Second, "requests to work", func() bool {
				got, err := b.do(command{Cmd: "serverSideEmitWithAck", NSP: "/", Args: []any{"hi"}})
				return err == nil && got == `["hello from go"]`
			})
		})
	}
}

func TestAdapters_StoppedRedisHoldsUpNoBroadcast(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, process := testenv.Redis(t)
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(rdb), nil)
			arrives(t, 5*time.Second, b, a)
			c := a.connect(t, "/")
			_ = process.Process.Signal(syscall.SIGSTOP)
			began := time.Now()
			for i := range 100 {
				must(t, a, command{Cmd: "emit", To: []string{c.id()}, Args: []any{"local", i}})
				expectNext(t, c, "local["+strconv.Itoa(i)+"]")
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("100 local broadcasts took %v", d)
			}
			timer := time.NewTimer(2 * time.Second)
			defer timer.Stop()
			<-timer.C
			_ = process.Process.Signal(syscall.SIGCONT)
			arrives(t, 5*time.Second, b, a)
			arrives(t, 5*time.Second, a, b)
		})
	}
}

// A node that Redis counts and that does not answer, speaking the classic
// adapter's words.
type mutePeer struct {
	t   *testing.T
	rdb redis.UniversalClient
	uid string
	sub *redis.PubSub

	heard uint64 // requests
}

func newMutePeer(t *testing.T, rdb redis.UniversalClient, uid string) *mutePeer {
	t.Helper()
	p := &mutePeer{t: t, rdb: rdb, uid: uid}
	p.sub = rdb.Subscribe(t.Context(), "socket.io-request#/#", "socket.io-response#/#"+uid+"#")
	for range 2 {
		if _, err := p.sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { p.sub.Close() })
	return p
}

// hears waits until n requests arrived in all: nodes are counted before a request is
// published, and a goodbye from before the count is no part of it.
func (p *mutePeer) hears(n uint64) {
	p.t.Helper()
	for p.heard < n {
		m, err := p.sub.ReceiveMessage(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		if m.Channel == "socket.io-request#/#" {
			p.heard++
		}
	}
}

func (p *mutePeer) say(what string) {
	p.t.Helper()
	if err := p.rdb.Publish(context.Background(), "socket.io-nodes#/#", fmt.Sprintf(`{"uid":%q,"type":%q}`, p.uid, what)).Err(); err != nil {
		p.t.Fatal(err)
	}
}

func TestAdapters_RequestsTellWhichNodesDidNotAnswer(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.Redis(rdb, nil), nil)
	b := newGoReplica(t, adapter.Redis(rdb, nil), nil)
	ca, cb := a.connect(t, "/"), b.connect(t, "/")
	mute := newMutePeer(t, rdb, "mute01")
	mute.say("beat")
	fetch := func(limit time.Duration) (int, *socketio.PartialError) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		list, err := a.FetchSockets(ctx)
		var partial *socketio.PartialError
		if err != nil && !errors.As(err, &partial) {
			t.Fatal(err)
		}
		return len(list), partial
	}
	testenv.Until(t, 5*time.Second, "the name to be known", func() bool {
		n, partial := fetch(300 * time.Millisecond)
		if n != 2 || partial == nil || partial.Expected != 2 || partial.Received != 1 {
			t.Fatalf("%d sockets (%s, %s), %+v", n, ca.id(), cb.id(), partial)
		}
		return slices.Equal(partial.Missing, []string{"mute01"})
	})
	_, err := a.To().Timeout(300*time.Millisecond).EmitWithAck(t.Context(), "silent")
	var partial *socketio.PartialError
	if !errors.As(err, &partial) || !slices.Equal(partial.Missing, []string{"mute01"}) || partial.Received != 0 || partial.Expected != 3 {
		t.Errorf("%+v", err)
	}

	// A goodbye ends the wait.
	asked := statsOf(a).Requests
	done := make(chan *socketio.PartialError, 1)
	began := time.Now()
	go func() {
		_, partial := fetch(5 * time.Second)
		done <- partial
	}()
	mute.hears(asked + 1)
	testenv.Until(t, 5*time.Second, "goodbye to help", func() bool {
		mute.say("bye")
		select {
		case partial := <-done:
			if partial != nil {
				t.Errorf("after goodbye: %+v", partial)
			}
			return true
		default:
			return false
		}
	})
	if d := time.Since(began); d > 4*time.Second {
		t.Errorf("waited %v", d)
	}
}

func TestAdapters_RequestsDoNotWaitForSilentNodes(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.Redis(rdb, &adapter.RedisOptions{HeartbeatInterval: 100 * time.Millisecond}), nil)
	mute := newMutePeer(t, rdb, "mute01")
	testenv.Until(t, 5*time.Second, "the name to be known", func() bool {
		mute.say("beat")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := a.FetchSockets(ctx)
		var partial *socketio.PartialError
		return errors.As(err, &partial) && slices.Equal(partial.Missing, []string{"mute01"})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := a.FetchSockets(ctx); err != nil { // falls silent meanwhile
		t.Error(err)
	}
	if _, err := a.FetchSockets(ctx); err != nil { // is known to be silent
		t.Error(err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("waited %v", d)
	}
	// When it is back it is waited for again.
	mute.say("beat")
	testenv.Until(t, 5*time.Second, "it to be waited for", func() bool {
		mute.say("beat")
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Millisecond)
		defer cancel()
		_, err := a.FetchSockets(ctx)
		return err != nil
	})
}

// countHook calls a function while Redis counts subscribers, once.
type countHook struct{ during atomic.Pointer[func()] }

func (h *countHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *countHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "pubsub" {
			if f := h.during.Swap(nil); f != nil {
				(*f)()
			}
		}
		return err
	}
}

func (h *countHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A node that leaves while Redis counts the nodes is counted, and no request waits for it.
func TestAdapters_RequestsDoNotWaitForNodesThatLeaveWhileTheyAreCounted(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	counting := newClient(t, &redis.UniversalOptions{Addrs: []string{rdb.(*redis.Client).Options().Addr}})
	hook := &countHook{}
	counting.AddHook(hook)
	a := newGoReplica(t, adapter.Redis(counting, nil), nil)
	mute := newMutePeer(t, rdb, "mute01")
	nodes := func(n int) func() bool { return func() bool { return statsOf(a).Nodes == n } }
	mute.say("beat")
	testenv.Until(t, 10*time.Second, "the name to be known", nodes(1))
	hook.during.Store(new(func() {
		mute.say("bye")
		testenv.Until(t, 10*time.Second, "the goodbye to be heard", nodes(0))
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if _, err := a.FetchSockets(ctx); err != nil || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestAdapters_SenselessMessagesAreCountedAndIgnored(t *testing.T) {
	t.Parallel()
	rubbish := []string{"", "{", "[]", "{}", "\x93", "\xc1", "\x93\xa1a\x81", "null", `{"type":99,"data":{},"uid":"x","nsp":"/"}`,
		`{"type":3,"data":{"packet":{"type":2,"data":[]},"opts":{}},"uid":"x","nsp":"/"}`, `{"type":3,"uid":"x","nsp":"/"}`, `{"type":8,"uid":"x","nsp":"/"}`, `{"type":2,"opts":{"rooms":5}}`,
		`{"type":6,"uid":"x","data":{}}`, `{"type":5,"requestId":7}`, "\x85\xa3uid\xa1x", "\xdd\xff\xff\xff\xff", strings.Repeat("\x91", 100_000),
		`{"type":3,"data":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `,"uid":"x","nsp":"/"}`}
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(rdb), nil)
			for _, channel := range []string{"socket.io#/#", "socket.io-request#/#", "socket.io-response#/#", "socket.io-nodes#/#"} {
				for _, r := range rubbish {
					if name == "sharded" {
						rdb.SPublish(t.Context(), channel, r)
					} else {
						rdb.Publish(t.Context(), channel, r)
					}
				}
			}
			if name == "streams" {
				for _, r := range rubbish {
					rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []any{"uid", "x", "nsp", "/", "type", "3", "data", r}})
					rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []any{"nsp", "/", "type", r}})
					rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", Values: []any{"x", r}})
				}
			}
			arrives(t, 5*time.Second, b, a)
			if s := statsOf(a); s.Malformed == 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestAdapters_PublishingKeepsTheOrder(t *testing.T) {
	t.Parallel()
	cluster, _ := newRedisCluster(t)
	single, _ := newRedis(t)
	for name, tt := range map[string]struct {
		make goAdapter
		to   func(i int) []string
	}{
		"classic":            {adapter.Redis(single, nil), func(i int) []string { return []string{"room1", "room2"}[:1+i%2] }},
		"classic on cluster": {adapter.Redis(cluster, nil), func(i int) []string { return []string{"room1", "room2"}[:1+i%2] }},
		"sharded":            {adapter.ShardedRedis(single, nil), func(i int) []string { return []string{"room1", "room2"}[:1+i%2] }},
		"sharded on cluster": {adapter.ShardedRedis(cluster, nil), func(i int) []string { return nil }},
		"streams on cluster": {adapter.RedisStreams(cluster, nil), func(i int) []string { return []string{"room1", "room2"}[:1+i%2] }},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newGoReplica(t, tt.make, nil), newGoReplica(t, tt.make, nil)
			c := b.connect(t, "/")
			must(t, b, command{Cmd: "join", SID: c.id(), Rooms: []string{"room1"}})
			testenv.Until(t, 5*time.Second, "both", func() bool { return must(t, a, command{Cmd: "serverCount"}) == "2" })
			if name == "sharded" {
				roomsSubscribed(t, single, adapter.Dynamic)("room1")
			}
			const n = 2000
			for i := range n {
				must(t, a, command{Cmd: "emit", To: tt.to(i), Args: []any{"n", i}})
			}
			for i := range n {
				expectNext(t, c, "n["+strconv.Itoa(i)+"]")
			}
		})
	}
}

func TestAdapters_Close_Twice(t *testing.T) {
	t.Parallel()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a, b := newGoReplica(t, make(rdb), nil), newGoReplica(t, make(rdb), nil)
			c := a.connect(t, "/")
			ad := a.Of("/").Adapter()
			for range 2 {
				if err := ad.Close(); err != nil {
					t.Error(err)
				}
			}
			testenv.Until(t, 5*time.Second, "subscriptions to go", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "1" })
			if err := a.Emit("local"); !errors.Is(err, adapter.ErrClosed) {
				t.Errorf("got %v", err)
			}
			expectNext(t, c, "local[]")
			if got, err := a.FetchSockets(t.Context()); len(got) != 1 || !errors.Is(err, adapter.ErrClosed) {
				t.Errorf("%d sockets, %v", len(got), err)
			}
		})
	}
}

func TestAdapters_StartWithoutRedis(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for name, make := range quickAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{l.Addr().String()}})
			began := time.Now()
			a := newGoReplica(t, make(rdb), nil)
			c := a.connect(t, "/")
			must(t, a, command{Cmd: "emit", Args: []any{"local"}})
			expectNext(t, c, "local[]")
			if d := time.Since(began); d > 4*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}
