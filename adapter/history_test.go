package adapter_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
	"posthouse/socketio/sockettest"
)

// historyAdapters are the adapters with histories, by kind.
func historyAdapters() map[string]func(redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
	return map[string]func(redis.UniversalClient) (socketio.NewAdapter, *socketio.Options){
		"classic": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.Redis(c, nil), &socketio.Options{}
		},
		"sharded": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.ShardedRedis(c, nil), &socketio.Options{}
		},
		"streams": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.RedisStreams(c, nil), &socketio.Options{}
		},
		"streams with recovery": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.RedisStreams(c, nil), &socketio.Options{Recovery: &socketio.Recovery{MaxDisconnection: time.Minute}}
		},
		"classic with recovery": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.Redis(c, &adapter.RedisOptions{Log: &adapter.LogOptions{}}), &socketio.Options{Recovery: &socketio.Recovery{MaxDisconnection: time.Minute}}
		},
		"classic with a log": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.Redis(c, &adapter.RedisOptions{Log: &adapter.LogOptions{}}), &socketio.Options{}
		},
		"sharded with recovery": func(c redis.UniversalClient) (socketio.NewAdapter, *socketio.Options) {
			return adapter.ShardedRedis(c, &adapter.ShardedOptions{Log: &adapter.LogOptions{}}), &socketio.Options{Recovery: &socketio.Recovery{MaxDisconnection: time.Minute}}
		},
	}
}

// newHistoryReplica serves rooms topic:* with histories.
func newHistoryReplica(t testing.TB, kind, addr string, o history.Options) (*sockettest.Server, *history.History) {
	t.Helper()
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	a, opts := historyAdapters()[kind](rdb)
	opts.NewAdapter = a
	srv := sockettest.NewServer(t, opts)
	o.Rooms = func(room string) bool { return strings.HasPrefix(room, "topic:") }
	kept, err := history.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := access.New(&access.Options{Join: []string{"topic:*"}, History: kept})
	if err != nil {
		t.Fatal(err)
	}
	rules.Apply(srv.Of("/"))
	return srv, kept
}

type historyAnswer struct {
	History []struct{ Args []any }
	Gap     bool
	Error   *struct{ Code string }
}

func joinWithHistory(t testing.TB, c *sockettest.Client, n int) (a historyAnswer) {
	t.Helper()
	if err := c.Call("join", map[string]any{"room": "topic:1", "history": n}).Bind(0, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// runs checks that the numbers of each writer follow each other.
type runs map[any]float64

func (r runs) follows(args []any) error {
	writer, n := args[0], args[1].(float64)
	want, seen := r[writer]
	r[writer] = n + 1
	if seen && n != want {
		return fmt.Errorf("%v: %v, want %v", writer, n, want)
	}
	return nil
}

// numberedWriter emits numbered events until stopped.
func numberedWriter(io *socketio.Server, name string, every time.Duration) (stop func()) {
	end := make(chan struct{})
	var task sync.WaitGroup
	task.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			_ = io.To("topic:1").Record().Emit("n", name, i)
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	})
	return sync.OnceFunc(func() { close(end); task.Wait() })
}

func TestHistory_JoinsWhileReplicasWrite_MeetWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			addr, _ := testenv.Redis(t)
			a, _ := newHistoryReplica(t, kind, addr, history.Options{Events: 20})
			b, _ := newHistoryReplica(t, kind, addr, history.Options{Events: 20})
			stopA := numberedWriter(a.Server, "a", 2*time.Millisecond)
			defer stopA()
			stopB := numberedWriter(b.Server, "b", 2*time.Millisecond)
			defer stopB()
			for i := range 200 {
				srv := []*sockettest.Server{a, b}[i%2]
				c := srv.Connect("/", nil)
				answer := joinWithHistory(t, c, 1+rand.IntN(30))
				if answer.Error != nil {
					t.Fatalf("join %d: %+v", i, answer.Error)
				}
				r := runs{}
				for _, e := range answer.History {
					if err := r.follows(e.Args); err != nil {
						t.Fatalf("join %d: history: %v", i, err)
					}
				}
				for range 8 {
					m := c.Expect("n")
					var args []any
					if err := json.Unmarshal([]byte(m.Args.String()), &args); err != nil {
						t.Fatal(err)
					}
					if err := r.follows(args); err != nil {
						t.Fatalf("join %d: live: %v after %v", i, err, answer.History)
					}
				}
				c.Close()
			}
		})
	}
}

func TestHistory_AnyReplicaReadsWhatAnotherHasWritten(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			addr, server := testenv.Redis(t)
			a, keptA := newHistoryReplica(t, kind, addr, history.Options{Events: 5, Age: time.Minute})
			b, keptB := newHistoryReplica(t, kind, addr, history.Options{Events: 5, Age: time.Minute})
			there := b.Connect("/", nil)
			there.Call("join", "topic:1")
			told := func(p *history.Page) (text []string) {
				for _, e := range p.Events {
					text = append(text, string(e.Args[len(e.Args)-1]))
				}
				return text
			}
			for i := range 8 {
				_ = a.To("topic:1", "topic:2", "else").Record().Emit("n", []byte{1}, i)
				there.Expect("n")
			}
			for name, read := range map[string]func(room string, limit int) (*history.Page, error){
				"a": func(room string, limit int) (*history.Page, error) {
					return keptA.Read(t.Context(), a.Of("/"), room, limit, "")
				},
				"b": func(room string, limit int) (*history.Page, error) {
					return keptB.Read(t.Context(), b.Of("/"), room, limit, "")
				},
			} {
				for _, room := range []string{"topic:1", "topic:2"} {
					page, err := read(room, 10)
					if err != nil || !slices.Equal(told(page), []string{"3", "4", "5", "6", "7"}) || !page.Gap || page.More {
						t.Errorf("%s %s: %+v %v", name, room, page, err)
					}
					page, err = read(room, 2)
					if err != nil || !slices.Equal(told(page), []string{"6", "7"}) || page.Gap || !page.More {
						t.Errorf("%s %s: %+v %v", name, room, page, err)
					}
				}
				if page, err := read("topic:3", 2); err != nil || page.Gap || len(page.Events) != 0 {
					t.Errorf("%s: a room without events: %+v %v", name, page, err)
				}
			}
			server.Kill()
			if _, err := keptA.Read(t.Context(), a.Of("/"), "topic:1", 1, ""); err == nil {
				t.Error("read without Redis")
			}
		})
	}
}

// A page says that events of other writers were trimmed, also when its own begin with the first
// number of their writer and none is missing between them.
func TestHistory_OthersEventsAreTrimmed_SaysGap(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			o := history.Options{Events: 2}
			a, _ := newHistoryReplica(t, kind, addr, o)
			b, _ := newHistoryReplica(t, kind, addr, o)
			reader, kept := newHistoryReplica(t, kind, addr, o)
			there := reader.Connect("/", nil)
			there.Call("join", "topic:1")
			for i, writer := range []*sockettest.Server{a, b, b} {
				if err := writer.To("topic:1").Record().Emit("n", i); err != nil {
					t.Fatal(err)
				}
				there.Expect("n")
			}
			page, err := kept.Read(t.Context(), reader.Of("/"), "topic:1", 5, "")
			if err != nil || len(page.Events) != 2 || !page.Gap {
				t.Errorf("%+v %v", page, err)
			}
		})
	}
}

// A room whose events are lost with Redis says so on every replica: the numbers of a writer
// that lives on do not begin with one.
func TestHistory_RedisLosesItsData_SaysGap(t *testing.T) {
	t.Parallel()
	addr, _ := testenv.Redis(t)
	a, keptA := newHistoryReplica(t, "classic", addr, history.Options{})
	b, keptB := newHistoryReplica(t, "classic", addr, history.Options{})
	there := b.Connect("/", nil)
	there.Call("join", "topic:1")
	say := func(n int) {
		_ = a.To("topic:1").Record().Emit("n", "a", n)
		there.Expect("n")
	}
	say(1)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	if page, err := keptA.Read(t.Context(), a.Of("/"), "topic:1", 5, ""); err != nil || page.Gap {
		t.Fatalf("%+v %v", page, err)
	}
	if err := rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if page, err := keptA.Read(t.Context(), a.Of("/"), "topic:1", 5, ""); err != nil || !page.Gap {
		t.Errorf("the writer: %+v %v", page, err)
	}
	say(2)
	for _, read := range []func() (*history.Page, error){
		func() (*history.Page, error) { return keptA.Read(t.Context(), a.Of("/"), "topic:1", 5, "") },
		func() (*history.Page, error) { return keptB.Read(t.Context(), b.Of("/"), "topic:1", 5, "") },
	} {
		if page, err := read(); err != nil || !page.Gap || len(page.Events) != 1 {
			t.Errorf("%+v %v", page, err)
		}
	}
}

// An event that Redis did not take is missing in the history, which says so.
func TestHistory_RefusedEvent_SaysGap(t *testing.T) {
	t.Parallel()
	addr, _ := testenv.Redis(t)
	a, kept := newHistoryReplica(t, "classic", addr, history.Options{})
	b, _ := newHistoryReplica(t, "classic", addr, history.Options{})
	there := b.Connect("/", nil)
	there.Call("join", "topic:1")
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	stream := "socket.io-history:{socket.io#/#}/,topic:1"
	say := func(n int) {
		_ = a.To("topic:1").Record().Emit("n", "a", n)
		there.Expect("n") // also what is not kept reaches the other replica
	}
	say(1)
	if err := rdb.Rename(t.Context(), stream, "aside").Err(); err != nil {
		t.Fatal(err)
	}
	rdb.Set(t.Context(), stream, "no stream", 0)
	say(2)
	if err := rdb.Rename(t.Context(), "aside", stream).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, 10*time.Second, "the gap at the end", func() bool { // the writer learns of it by the reply
		page, err := kept.Read(t.Context(), a.Of("/"), "topic:1", 1, "")
		return err == nil && page.Gap
	})
	say(3)
	if page, err := kept.Read(t.Context(), a.Of("/"), "topic:1", 2, ""); err != nil || !page.Gap || len(page.Events) != 2 {
		t.Errorf("in the middle: %+v %v", page, err)
	}
	testenv.Until(t, 10*time.Second, "no gap behind it", func() bool { // which the writer learns in the same way
		page, err := kept.Read(t.Context(), a.Of("/"), "topic:1", 1, "")
		return err == nil && !page.Gap
	})
}

// historyChild makes a process of this test a replica that writes: see TestMain.
const historyChild = "POSTHOUSE_TEST_HISTORY_CHILD"

// TestHistoryChild is no test: it is the replica that is killed.
func TestHistoryChild(t *testing.T) {
	addr := os.Getenv(historyChild)
	if addr == "" {
		t.Skip("runs in a process of its own")
	}
	srv, _ := newHistoryReplica(t, "classic", addr, history.Options{Events: 100})
	defer numberedWriter(srv.Server, "child", 2*time.Millisecond)()
	fmt.Println("writing")
	<-t.Context().Done()
	select {} // until it is killed
}

func startHistoryChild(t *testing.T, addr string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHistoryChild$", "-test.v")
	cmd.Env = append(os.Environ(), historyChild+"="+addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "writing") {
			return kill
		}
	}
	t.Fatal("the replica did not start")
	return nil
}

// Joins while a replica is killed and Redis restarts: what a client gets is contiguous, or
// the answer says gap. The live events behind it are judged where Pub/Sub delivers them:
// not over the restart itself.
func TestHistory_KillsTrimsAndRestarts_ContiguousOrGap(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	port := testenv.FreePort(t)
	start := func() *testenv.Process {
		p := testenv.Start(t, nil, "redis-server", "--port", fmt.Sprint(port), "--save", "", "--appendonly", "no", "--dir", t.TempDir())
		rdb := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
		defer rdb.Close()
		testenv.Until(t, 10*time.Second, "Redis", func() bool { return rdb.Ping(context.Background()).Err() == nil })
		return p
	}
	testenv.Need(t, "redis-server")
	server := start()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	a, _ := newHistoryReplica(t, "classic", addr, history.Options{Events: 100})
	b, _ := newHistoryReplica(t, "classic", addr, history.Options{Events: 100})
	kill := startHistoryChild(t, addr)
	defer numberedWriter(a.Server, "a", 2*time.Millisecond)()

	var outages atomic.Int64 // odd while Redis is away or messages cannot arrive yet
	joins, gaps, refused := 0, 0, 0
	join := func(i int) {
		before := outages.Load()
		c := []*sockettest.Server{a, b}[i%2].Connect("/", nil)
		defer c.Close()
		answer := joinWithHistory(t, c, 1+rand.IntN(150))
		if answer.Error != nil {
			if answer.Error.Code != "unavailable" || before%2 == 0 && outages.Load() == before {
				t.Fatalf("join %d: %+v", i, answer.Error)
			}
			refused++
			return
		}
		joins++
		r := runs{}
		for _, e := range answer.History {
			if err := r.follows(e.Args); err != nil && !answer.Gap {
				t.Fatalf("join %d: history without gap: %v", i, err)
			}
		}
		if answer.Gap {
			gaps++
		}
		for range 4 {
			m := c.Expect("n")
			var args []any
			if err := json.Unmarshal([]byte(m.Args.String()), &args); err != nil {
				t.Fatal(err)
			}
			if err := r.follows(args); err != nil && before%2 == 0 && outages.Load() == before {
				t.Fatalf("join %d: live: %v", i, err)
			}
		}
	}
	for i := range 200 {
		switch i {
		case 60:
			kill()
		case 120:
			outages.Add(1)
			server.Kill()
		case 130:
			server = start()
			for _, srv := range []*sockettest.Server{a, b} {
				there := srv.Connect("/", nil)
				testenv.Until(t, 20*time.Second, "a replica that hears the others", func() bool {
					return joinWithHistory(t, there, 1).Error == nil
				})
				for range 3 { // messages arrive again
					there.Expect("n")
				}
				there.Close()
			}
			outages.Add(1)
		}
		join(i)
	}
	if joins < 150 || gaps == 0 {
		t.Errorf("%d joins, %d with a gap, %d refused", joins, gaps, refused)
	}
	t.Logf("%d joins, %d with a gap, %d refused", joins, gaps, refused)
}
