package adapter_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// A switchboard leads connections to whichever address was chosen last.
type switchboard struct {
	url    string
	target atomic.Pointer[string]
}

func newSwitchboard(t *testing.T) *switchboard {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard{url: "http://" + l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", *s.target.Load())
			if err != nil {
				c.Close()
				continue
			}
			mu.Lock()
			open = append(open, c, d)
			mu.Unlock()
			wg.Go(func() { _, _ = io.Copy(d, c); d.Close() })
			wg.Go(func() { _, _ = io.Copy(c, d); c.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// newProcessReplica is a replica in a process of its own.
func newProcessReplica(t *testing.T, kind, redisAddr string) (*testenv.Process, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	p := testenv.Start(t, []string{"ADAPTER_TEST_REPLICA=" + kind, "ADAPTER_TEST_REDIS=" + redisAddr, "ADAPTER_TEST_LISTEN=" + addr}, self)
	testenv.Until(t, 10*time.Second, "the replica", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p, addr
}

// The client of npm keeps its id and its rooms, and gets what it missed, when the
// replica that it was connected to is killed with SIGKILL.
func TestRecovery_NpmClient_SurvivesKilledReplica(t *testing.T) {
	t.Parallel()
	for kind := range recoveringAdapters {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			testenv.NodeDir(t)
			addr, _ := testenv.Redis(t)
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			// The second one is there first: it can vouch for what it hears.
			_, second := newProcessReplica(t, kind, addr)
			first, firstAddr := newProcessReplica(t, kind, addr)
			emitter := goEmitter{adapter.NewStreamsEmitter(rdb, quickStreams)}
			switch {
			case kind == "classic":
				emitter = goEmitter{adapter.NewEmitter(rdb, &adapter.EmitterOptions{Log: quickLog})}
			case strings.HasPrefix(kind, "sharded"):
				o := &adapter.ShardedOptions{Log: quickLog}
				if kind != "sharded" {
					o.SubscriptionMode = adapter.Static
				}
				emitter = goEmitter{adapter.NewShardedEmitter(rdb, o)}
			}

			board := newSwitchboard(t)
			board.target.Store(&firstAddr)
			cmd := exec.Command("node", "testdata/node/recover.js", board.url)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { in.Close(); _ = cmd.Wait() }()
			lines := bufio.NewScanner(out)
			type line struct {
				Event, ID string
				Recovered bool
				Args      []any
			}
			kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
			defer kill.Stop()
			next := func(event string) (l line) {
				t.Helper()
				for lines.Scan() {
					l = line{}
					if json.Unmarshal(lines.Bytes(), &l) != nil {
						t.Fatalf("line %s", lines.Text())
					}
					if l.Event == event {
						return l
					}
				}
				t.Fatalf("no %s", event)
				return l
			}
			before := next("connect")
			sent := 0
			emit := func() {
				must(t, emitter, command{Cmd: "emit", To: []string{"room1"}, Args: []any{"n", sent, bin(7)}})
				sent++
			}
			offset := ""
			testenv.Until(t, 10*time.Second, "an offset", func() bool { // and all replicas are ready
				emit()
				l := next("n")
				offset, _ = l.Args[len(l.Args)-1].(string)
				return len(offset) > 5
			})
			testenv.Until(t, 5*time.Second, "the session in redis", func() bool { return len(currentSessions(t, rdb)[before.ID].Rooms) == 2 })
			board.target.Store(&second)
			first.Kill()
			for range 3 {
				emit()
			}
			next("disconnect")
			// The missed events come before the client knows that it is connected.
			for i := sent - 3; i < sent; i++ {
				if l := next("n"); l.Args[0] != float64(i) || len(l.Args) != 3 {
					t.Fatalf("got %v, want %d", l.Args, i)
				}
			}
			after := next("connect")
			if !after.Recovered || after.ID != before.ID {
				t.Fatalf("connected as %+v, before as %+v", after, before)
			}
			emit() // it is in its room
			if l := next("n"); l.Args[0] != float64(sent-1) {
				t.Errorf("got %v", l.Args)
			}
		})
	}
}

// The client of npm does not come back with the session that its server ended, neither while
// Redis takes the mark nor while it takes none.
func TestRecovery_NpmClient_DisconnectedByItsServer_BeginsAnew(t *testing.T) {
	t.Parallel()
	for kind, make := range recoveringAdapters {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, redis away %t", kind, away), func(t *testing.T) {
				t.Parallel()
				testenv.NodeDir(t)
				rdb, _ := newRedis(t)
				proxy := newFaultProxy(t, rdb.(*redis.Client).Options().Addr)
				gate, through := gated(t, proxy.addr)
				gate.open()
				a := &mortalReplica{newGoReplica(t, make(through), withRecovery()), proxy}
				b := newGoReplica(t, make(rdb), withRecovery())
				for _, r := range []*goReplica{a.goReplica, b} {
					r.OnConnection(func(s *socketio.Socket) {
						s.On("join", func(e *socketio.Event) { _ = s.Join("room1"); _ = e.Ack() })
					})
				}
				knowEachOther(t, a.goReplica, b)
				offers(t, b, b.Connect("/", nil))
				board := newSwitchboard(t)
				address := func(r *goReplica) *string {
					front := httptest.NewServer(r.Server)
					t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
					addr := front.Listener.Addr().String()
					return &addr
				}
				board.target.Store(address(a.goReplica))
				var output testenv.Buffer
				cmd := exec.Command("node", "testdata/node/recover.js", board.url)
				cmd.Stdout = &output
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { in.Close(); _ = cmd.Wait() }()
				var before string
				testenv.Until(t, 20*time.Second, "the client in its room", func() bool {
					list := a.LocalAdapter().Members("room1")
					if len(list) == 1 {
						before = list[0]
					}
					return before != ""
				})
				testenv.Until(t, 10*time.Second, "the session in redis", func() bool { return len(currentSessions(t, rdb)[before].Rooms) == 2 })
				board.target.Store(address(b))
				gate.refuse.Store(away)
				a.Socket(before).Disconnect(false)
				testenv.Until(t, 20*time.Second, "the disconnection", func() bool {
					return strings.Contains(output.String(), `"io server disconnect"`)
				})
				a.kill()
				testenv.Until(t, 20*time.Second, "the client on the other replica", func() bool { return len(b.LocalAdapter().Members("room1")) == 1 })
				if now := b.LocalAdapter().Members("room1")[0]; now == before || b.Socket(now).Recovered() {
					t.Errorf("recovered as %s", now)
				}
				if told := strings.Contains(output.String(), "session_ended"); told != away {
					t.Errorf("session_ended arrived: %t", told)
				}
			})
		}
	}
}
