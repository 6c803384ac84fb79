package adapter_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/presence"
	"posthouse/socketio/sockettest"
)

// presenceScale makes the times of docs/realtime.md §6 shorter by this.
const presenceScale = 15

var presenceUser = socketio.NewKey[string]("sub")

// presenceReplica is a server with presence, whose users are named by the auth object.
type presenceReplica struct {
	*sockettest.Server
	here *presence.Presence
	kill func() // as SIGKILL would: nothing more is written
}

func newPresenceReplica(t testing.TB, rdb redis.UniversalClient, lease time.Duration) *presenceReplica {
	t.Helper()
	store, err := adapter.NewPresence(rdb, &adapter.PresenceOptions{Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	here, err := presence.New(&presence.Options{
		Rooms: func(room string) bool { return strings.HasPrefix(room, "topic:") }, Store: store,
		Grace: lease * 2 / 3, Interval: lease / 15, Timeout: time.Second, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &presenceReplica{Server: sockettest.NewServer(t, nil), here: here}
	r.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ User string }
		_ = s.Auth(&auth)
		presenceUser.Set(s, auth.User)
		return nil
	})
	here.Apply(r.Of("/"))
	r.OnEvent("join", func(e *socketio.Event) {
		var room string
		_ = e.Bind(&room)
		_ = e.Ack(e.Socket().Join(room) == nil)
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); here.Run(ctx) }()
	r.kill = func() { cancel(); <-ended }
	t.Cleanup(r.kill)
	return r
}

// members is who is in a room for this replica; nil while that is not known.
func (r *presenceReplica) members(room string) map[string]int {
	list, err := r.here.Members(context.Background(), r.Of("/"), room)
	if err != nil || list.Stale {
		return nil
	}
	all := map[string]int{}
	for _, m := range list.Members {
		all[m.User] = m.Connections
	}
	return all
}

// Random joins, leaves, reloads, kills and cuts from Redis, with short times: whenever things are
// calm, every replica knows the members that a plain map has.
func TestPresence_RandomStepsOverRedis_MatchAPlainMap(t *testing.T) {
	t.Parallel()
	addr, _ := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	const lease = 15 * time.Second / presenceScale
	type connection struct {
		client     *sockettest.Client
		replica    *presenceReplica
		room, user string
	}
	var replicas []*presenceReplica
	var proxies []*faultProxy
	for range 3 {
		proxy, through := proxied(t, rdb)
		replicas, proxies = append(replicas, newPresenceReplica(t, through, lease)), append(proxies, proxy)
	}
	var connections []connection
	join := func(user, room string) {
		r := replicas[rand.IntN(len(replicas))]
		c := r.Connect("/", map[string]any{"user": user})
		c.Call("join", room)
		connections = append(connections, connection{c, r, room, user})
	}
	for step := range 2000 {
		user, room := fmt.Sprint("u", rand.IntN(10)), fmt.Sprint("topic:", rand.IntN(3))
		switch k := rand.IntN(1000); {
		case k < 450:
			join(user, room)
		case k < 990:
			if len(connections) == 0 {
				continue
			}
			i := rand.IntN(len(connections))
			c := connections[i]
			connections = slices.Delete(connections, i, i+1)
			switch {
			case k < 700:
				c.client.Close()
			case k < 800:
				c.replica.Socket(c.client.ID).Leave(c.room)
				c.client.Close()
			default: // a reload
				c.client.Close()
				join(c.user, c.room)
			}
		case k < 995:
			proxies[rand.IntN(len(proxies))].refuseConns("*")
		default:
			i := rand.IntN(len(replicas))
			dead := replicas[i]
			dead.kill()
			proxy, through := proxied(t, rdb)
			replicas[i], proxies[i] = newPresenceReplica(t, through, lease), proxy
			connections = slices.DeleteFunc(connections, func(c connection) bool { return c.replica == dead })
		}
		if step%250 != 249 {
			continue
		}
		for _, proxy := range proxies {
			proxy.refuseConns("")
		}
		for room := range 3 {
			name := fmt.Sprint("topic:", room)
			want := map[string]int{}
			for _, c := range connections {
				if c.room == name {
					want[c.user]++
				}
			}
			for i, r := range replicas {
				var got map[string]int
				testenv.Until(t, 20*time.Second, "the members of "+name, func() bool {
					got = r.members(name)
					return got != nil && maps.Equal(got, want)
				})
				if !maps.Equal(got, want) {
					t.Fatalf("step %d, replica %d: %v, want %v", step, i, got, want)
				}
			}
		}
	}
	for _, c := range connections {
		c.client.Close()
	}
	testenv.Until(t, 20*time.Second, "an empty Redis", func() bool { // no ghost in any key
		keys, err := rdb.Keys(context.Background(), "*presence:room*").Result()
		return err == nil && len(keys) == 0
	})
}

// A user who reloads, and comes back at another replica, was never away: there with no
// connection, and in no notice.
func TestPresence_ReloadOverRedis_MakesNoNotice(t *testing.T) {
	t.Parallel()
	addr, _ := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	a, b := newPresenceReplica(t, rdb, 30*time.Second), newPresenceReplica(t, rdb, 30*time.Second) // and 20 s of grace
	watcher := b.Connect("/", map[string]any{"user": "watcher"})
	watcher.Call("join", "topic:1")
	testenv.Until(t, 10*time.Second, "the first list", func() bool { return b.members("topic:1") != nil }) // notices tell what is new since then
	ada := a.Connect("/", map[string]any{"user": "ada"})
	ada.Call("join", "topic:1")
	notices := func(user string) {
		t.Helper()
		for {
			var n struct{ Joined, Left []string }
			if err := watcher.Expect("presence").Args.Bind(0, &n); err != nil {
				t.Fatal(err)
			}
			if len(n.Left) > 0 || user != "ada" && slices.Contains(n.Joined, "ada") {
				t.Errorf("notice %+v", n)
			}
			if slices.Contains(n.Joined, user) {
				return
			}
		}
	}
	notices("ada")
	ada.Close()
	testenv.Until(t, 10*time.Second, "ada without a connection", func() bool {
		n, there := b.members("topic:1")["ada"]
		return there && n == 0
	})
	late := b.Connect("/", map[string]any{"user": "late"}) // of whom the next round tells
	late.Call("join", "topic:1")
	notices("late")
	again := b.Connect("/", map[string]any{"user": "ada"})
	again.Call("join", "topic:1")
	if n := b.members("topic:1")["ada"]; n != 1 {
		t.Errorf("ada has %d connections", n)
	}
	last := b.Connect("/", map[string]any{"user": "last"})
	last.Call("join", "topic:1")
	notices("last")
}

const presenceChild = "POSTHOUSE_TEST_PRESENCE_CHILD"

// TestPresenceChild is no test: it is the replica that is killed.
func TestPresenceChild(t *testing.T) {
	addr := os.Getenv(presenceChild)
	if addr == "" {
		t.Skip("runs in a process of its own")
	}
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	r := newPresenceReplica(t, rdb, 15*time.Second)
	for _, user := range []string{"ada", "bo"} {
		c := r.Connect("/", map[string]any{"user": user})
		c.Call("join", "topic:1")
	}
	select {} // until it is killed
}

// A replica that is killed with SIGKILL: its users are gone 20 seconds later, the others
// are untouched. In real time, as it is deployed.
func TestPresence_Sigkill_UsersGoneWithin20Seconds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 seconds")
	}
	t.Parallel()
	addr, _ := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	r := newPresenceReplica(t, rdb, 15*time.Second)
	cmd := exec.Command(os.Args[0], "-test.run=^TestPresenceChild$")
	cmd.Env = append(os.Environ(), presenceChild+"="+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	bo := r.Connect("/", map[string]any{"user": "bo"})
	bo.Call("join", "topic:1")
	testenv.Until(t, 10*time.Second, "both replicas", func() bool { return maps.Equal(r.members("topic:1"), map[string]int{"ada": 1, "bo": 2}) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	testenv.Until(t, 25*time.Second, "the end of the killed users", func() bool { return maps.Equal(r.members("topic:1"), map[string]int{"bo": 1}) })
	for {
		m := bo.Expect("presence")
		if text := m.Args.JSON(0); strings.Contains(text, `"left":["ada"]`) {
			break
		} else if !strings.Contains(text, `"left":[]`) {
			t.Fatalf("%s", text)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the notice came after %v", took)
	}
	if got := r.members("topic:1"); !maps.Equal(got, map[string]int{"bo": 1}) {
		t.Errorf("%v", got)
	}
}

// Redis restarts without its data: no member gets a notice, and five seconds later all are
// there.
func TestPresence_RedisRestarts_HealsWithin5Seconds(t *testing.T) {
	testenv.Need(t, "redis-server")
	t.Parallel()
	port := testenv.FreePort(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{fmt.Sprint("127.0.0.1:", port)}})
	start := func() *testenv.Process {
		p := testenv.Start(t, nil, "redis-server", "--port", fmt.Sprint(port), "--save", "", "--appendonly", "no", "--dir", t.TempDir())
		testenv.Until(t, 10*time.Second, "Redis", func() bool { return rdb.Ping(context.Background()).Err() == nil })
		return p
	}
	server := start()
	a, b := newPresenceReplica(t, rdb, 15*time.Second), newPresenceReplica(t, rdb, 15*time.Second)
	ada, bo := a.Connect("/", map[string]any{"user": "ada"}), b.Connect("/", map[string]any{"user": "bo"})
	ada.Call("join", "topic:1")
	bo.Call("join", "topic:1")
	both := map[string]int{"ada": 1, "bo": 1}
	testenv.Until(t, 10*time.Second, "both", func() bool {
		return maps.Equal(a.members("topic:1"), both) && maps.Equal(b.members("topic:1"), both)
	})
	server.Kill()
	testenv.Until(t, 10*time.Second, "the last known", func() bool {
		list, err := a.here.Members(t.Context(), a.Of("/"), "topic:1")
		return err == nil && list.Stale && len(list.Members) == 2
	})
	start()
	began := time.Now()
	testenv.Until(t, 10*time.Second, "both again", func() bool {
		return maps.Equal(a.members("topic:1"), both) && maps.Equal(b.members("topic:1"), both)
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("healed after %v", took)
	}
}

// The cost of presence: commands a join, bytes a member.
func TestPresence_Cost_TwoScriptsAndOneReadAJoinFewBytesAMember(t *testing.T) {
	addr, _ := testenv.Redis(t)
	rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
	store, err := adapter.NewPresence(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	const members = 10_000
	changes := make([]presence.Change, members)
	for i := range changes {
		changes[i] = presence.Change{Room: "/,topic:1", User: fmt.Sprintf("user-%08d", i), Since: time.Now(), Connections: 1}
	}
	if err := store.Write(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	size, err := rdb.MemoryUsage(t.Context(), "{socket.io}-presence:room:/,topic:1", 0).Result()
	if err != nil || size/members > 160 {
		t.Errorf("%d bytes a member, %v", size/members, err)
	}
	if err := rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := store.Write(t.Context(), []presence.Change{{Room: "/,topic:1", User: "one more", Since: time.Now(), Connections: 1}}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes a member; a join to %d members: %v", size/members, members, time.Since(began))
	info, err := rdb.InfoMap(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for name, text := range info["Commandstats"] {
		var n int
		_, _ = fmt.Sscanf(text, "calls=%d", &n)
		if !strings.Contains(name, "config") && !strings.Contains(name, "info") {
			calls += n
		}
	}
	if calls > 6 { // eval, TIME, HGET, SADD, HSET, XADD
		t.Errorf("%d commands a join: %v", calls, info["Commandstats"])
	}
}

func BenchmarkPresenceJoin(b *testing.B) {
	addr, _ := testenv.Redis(b)
	rdb := newClient(b, &redis.UniversalOptions{Addrs: []string{addr}})
	store, err := adapter.NewPresence(rdb, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.Renew(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, members := range []int{0, 10_000} {
		changes := make([]presence.Change, members)
		for i := range changes {
			changes[i] = presence.Change{Room: "/,topic", User: fmt.Sprint("user", i), Since: time.Now(), Connections: 1}
		}
		if err := store.Write(b.Context(), changes); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			c := []presence.Change{{Room: "/,topic", User: "one", Since: time.Now(), Connections: 1}}
			for b.Loop() {
				c[0].Gone = !c[0].Gone
				if err := store.Write(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleNewPresence() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	defer rdb.Close()
	store, err := adapter.NewPresence(rdb, &adapter.PresenceOptions{Key: "chat"})
	if err != nil {
		panic(err)
	}
	here, err := presence.New(&presence.Options{Rooms: func(string) bool { return true }, Store: store})
	fmt.Println(here != nil, err)
	// Output: true <nil>
}
