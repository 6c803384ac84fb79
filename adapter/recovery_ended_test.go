package adapter_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// A markGate holds back what Redis answers to the marks of ended sessions.
type markGate struct {
	reached    chan struct{} // closed when the first mark is written
	release    chan struct{} // closed when the answers may come
	open       func()        // closes release
	once       sync.Once
	roundTrips atomic.Int64 // with marks
	refuse     atomic.Bool  // marks do not reach Redis at all
}

var errGate = errors.New("the gate is shut")

func (g *markGate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *markGate) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (g *markGate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if args := cmds[0].Args(); cmds[0].Name() != "set" || !strings.Contains(args[1].(string), "ended#") {
			return next(ctx, cmds)
		}
		if g.refuse.Load() {
			for _, c := range cmds {
				c.SetErr(errGate)
			}
			return errGate
		}
		g.roundTrips.Add(1)
		err := next(ctx, cmds)
		g.once.Do(func() { close(g.reached) })
		<-g.release
		return err
	}
}

// gated returns a client of the same Redis through a gate.
func gated(t *testing.T, addr string) (*markGate, redis.UniversalClient) {
	t.Helper()
	g := &markGate{reached: make(chan struct{}), release: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.release) })
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	rdb.(*redis.Client).AddHook(g)
	return g, rdb
}

// untold fails the test when the client was told of its disconnection.
func untold(t *testing.T, c *sockettest.Client) {
	t.Helper()
	c.Conn.SendText("0/nothing,")
	for {
		text := c.Conn.Text()
		if strings.HasPrefix(text, "4/nothing,") {
			return
		}
		if strings.HasPrefix(text, "1") {
			t.Fatalf("the client was told before Redis has the mark: %q", text)
		}
	}
}

// A client that was disconnected is told so when its session can be found in Redis no more, so
// that it does not come back with it when its node dies in the same moment.
func TestRecovery_Disconnected_IsToldWhenTheSessionIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		for how, end := range map[string]func(t *testing.T, a *mortalReplica, b *goReplica, c *sockettest.Client){
			"socket": func(t *testing.T, a *mortalReplica, _ *goReplica, c *sockettest.Client) {
				a.Socket(c.ID).Disconnect(false)
			},
			"connection": func(t *testing.T, a *mortalReplica, _ *goReplica, c *sockettest.Client) {
				a.Socket(c.ID).Disconnect(true)
			},
			"local room": func(t *testing.T, a *mortalReplica, _ *goReplica, c *sockettest.Client) {
				must(t, a, command{Cmd: "disconnectSockets", To: []string{"room1"}, Local: true})
			},
			"other node": func(t *testing.T, a *mortalReplica, b *goReplica, c *sockettest.Client) {
				must(t, b, command{Cmd: "disconnectSockets", To: []string{c.ID}})
			},
			"panic": func(t *testing.T, a *mortalReplica, _ *goReplica, c *sockettest.Client) {
				c.Emit("panic")
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				rdb, _ := newRedis(t)
				proxy := newFaultProxy(t, rdb.(*redis.Client).Options().Addr)
				gate, through := gated(t, proxy.addr)
				a := &mortalReplica{newGoReplica(t, make(through), withRecovery()), proxy}
				defer gate.open()
				adapter.WaitForMarks(a.Of("/").Adapter())
				a.OnEvent("panic", func(*socketio.Event) { panic("on purpose") })
				b := newGoReplica(t, make(rdb), withRecovery())
				knowEachOther(t, a.goReplica, b)
				offers(t, b, b.Connect("/", nil))
				c := a.Connect("/", nil)
				must(t, a, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
				offset := offers(t, a.goReplica, c)
				isCurrent(t, rdb, c, 2, "{}")

				end(t, a, b, c)
				select {
				case <-gate.reached:
				case <-time.After(10 * time.Second):
					t.Error("there is no mark of the session in Redis")
				}
				if how != "panic" && how != "connection" { // what closes the connection reads no more
					untold(t, c)
				}
				gate.open()
				if how == "panic" {
					c.Conn.Closed()
				} else {
					c.Disconnected()
				}
				a.kill()
				if back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
					t.Error("recovered")
				}
			})
		}
	}
}

// A recovered session that a middleware refuses is over before the client hears of it.
func TestRecovery_RefusedByMiddleware_IsToldWhenTheSessionIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			gate, through := gated(t, rdb.(*redis.Client).Options().Addr)
			a := newGoReplica(t, make(through), withRecovery())
			defer gate.open()
			adapter.WaitForMarks(a.Of("/").Adapter())
			a.Use(func(_ context.Context, s *socketio.Socket) error {
				if s.Recovered() {
					return &socketio.ConnectError{Message: "not again"}
				}
				return nil
			})
			c := a.Connect("/", nil)
			offset := offers(t, a, c)
			c.Close()
			kept(t, rdb, c.PID)
			refused := newChannel[error]()
			go func() {
				_, err := a.TryConnect("/", map[string]any{"pid": c.PID, "offset": offset}, &sockettest.DialOptions{})
				refused <- err
			}()
			<-gate.reached
			select {
			case err := <-refused:
				t.Fatalf("told before Redis has the mark: %v", err)
			default:
			}
			gate.open()
			var refusal *socketio.ConnectError
			if err := <-refused; !errors.As(err, &refusal) || refusal.Message != "not again" {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

// While Redis is away the client waits two seconds for its end. Then it gets an offset from
// which no node recovers, and Redis gets the mark when it is back.
func TestRecovery_Disconnected_WhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			gate, through := gated(t, rdb.(*redis.Client).Options().Addr)
			gate.open()
			a := newGoReplica(t, make(through), withRecovery())
			b := newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a, b)
			offers(t, b, b.Connect("/", nil))
			c := a.Connect("/", nil)
			offset := offers(t, a, c)
			isCurrent(t, rdb, c, 1, "{}")
			gate.refuse.Store(true)
			began := time.Now()
			a.Socket(c.ID).Disconnect(false)
			if last := lastArg(t, c.Expect("session_ended")); last != "-" {
				t.Errorf("offset %q", last)
			}
			c.Disconnected()
			if waited := time.Since(began); waited < 2*time.Second {
				t.Errorf("told after %v", waited)
			}
			if back := b.Connect("/", map[string]any{"pid": c.PID, "offset": "-"}); back.ID == c.ID {
				t.Error("recovered with an offset that is none")
			}
			gate.refuse.Store(false)
			testenv.Until(t, 10*time.Second, "the mark", func() bool {
				return len(rdb.Keys(t.Context(), "sio:session:ended#/#*").Val()) == 1
			})
			if back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); back.ID == c.ID {
				t.Error("recovered")
			}
		})
	}
}

// The ends of many sessions go out together.
func TestRecovery_DisconnectedTogether_ShareTheirRoundTrips(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	gate, through := gated(t, rdb.(*redis.Client).Options().Addr)
	gate.open()
	a := newGoReplica(t, recoveringAdapters["classic"](through), withRecovery())
	watcher := a.Of("/").Adapter().(socketio.SessionWatcher)
	const count = 5000
	var all sync.WaitGroup
	all.Add(count)
	for i := range count {
		var pid [8]byte
		binary.BigEndian.PutUint64(pid[:], uint64(i))
		watcher.EndSession(sha256.Sum256(pid[:]), func(refused bool) {
			if !refused {
				t.Error("not refused")
			}
			all.Done()
		})
	}
	all.Wait()
	if n := gate.roundTrips.Load(); n > 50 {
		t.Errorf("%d round trips for %d sessions", n, count)
	}
	if n := rdb.DBSize(t.Context()).Val(); n < count {
		t.Errorf("%d keys", n)
	}
	for _, key := range rdb.Keys(t.Context(), "sio:session:ended#*").Val()[:1] {
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 10*time.Minute {
			t.Errorf("a mark lives for %v", ttl)
		}
	}
}

// A client that leaves and joins again while its end waits for Redis keeps its new socket.
func TestRecovery_Disconnected_ClientThatJoinedAgainIsNotTold(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	gate, through := gated(t, rdb.(*redis.Client).Options().Addr)
	a := newGoReplica(t, recoveringAdapters["streams"](through), withRecovery())
	defer gate.open()
	adapter.WaitForMarks(a.Of("/").Adapter())
	c := a.Connect("/", nil)
	a.Socket(c.ID).Disconnect(false)
	<-gate.reached
	c.Disconnect()
	c.Conn.SendText("0")
	var answer string
	for !strings.HasPrefix(answer, "0{") {
		answer = c.Conn.Text()
	}
	gate.open()
	// The next mark comes after the first was told.
	other := a.Connect("/", nil)
	a.Socket(other.ID).Disconnect(false)
	other.Disconnected()
	untold(t, c)
}

// Without recovery a disconnection writes nothing.
func TestRecovery_Off_DisconnectWritesNoMark(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	gate, through := gated(t, rdb.(*redis.Client).Options().Addr)
	a := newGoReplica(t, recoveringAdapters["classic"](through), nil)
	c := a.Connect("/", nil)
	a.Socket(c.ID).Disconnect(false)
	c.Disconnected()
	if n := gate.roundTrips.Load(); n != 0 {
		t.Errorf("%d round trips", n)
	}
}
