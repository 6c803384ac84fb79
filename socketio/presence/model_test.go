package presence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errCut = errors.New("cut off")

// cuttable is a Store that can be cut off.
type cuttable struct {
	Store
	cut *atomic.Bool
}

func (c cuttable) Renew(ctx context.Context) (bool, error) {
	if c.cut.Load() {
		return false, errCut
	}
	return c.Store.Renew(ctx)
}

func (c cuttable) Write(ctx context.Context, changes []Change) error {
	if c.cut.Load() {
		return errCut
	}
	return c.Store.Write(ctx, changes)
}

func (c cuttable) Read(ctx context.Context, room string) ([]Member, error) {
	if c.cut.Load() {
		return nil, errCut
	}
	return c.Store.Read(ctx, room)
}

func (c cuttable) Changed(ctx context.Context) ([]string, bool, error) {
	if c.cut.Load() {
		return nil, false, errCut
	}
	return c.Store.Changed(ctx)
}

func (c cuttable) Sweep(ctx context.Context) error {
	if c.cut.Load() {
		return errCut
	}
	return c.Store.Sweep(ctx)
}

// modelNode is a replica of the model: its connections are a plain map.
type modelNode struct {
	presence    *Presence
	kill        func()
	cut         *atomic.Bool
	connections map[changeKey]int
}

func newModelNode(t *testing.T, shared *memory) *modelNode {
	n := &modelNode{cut: &atomic.Bool{}, connections: map[changeKey]int{}}
	p, err := New(&Options{Rooms: func(string) bool { return true }, Store: cuttable{shared.node(), n.cut},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	n.presence, n.kill = p, func() { cancel(); <-ended }
	return n
}

func (n *modelNode) enter(ns *socketio.Namespace, room, user string) {
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	n.presence.enter(ns, room, user)
	n.connections[changeKey{room, user}]++
}

func (n *modelNode) exit(ns *socketio.Namespace, room, user string, grace bool) bool {
	key := changeKey{room, user}
	if n.connections[key] == 0 {
		return false
	}
	if n.connections[key]--; n.connections[key] == 0 {
		delete(n.connections, key)
	}
	n.presence.mu.Lock()
	defer n.presence.mu.Unlock()
	n.presence.exit(ns, room, user, grace)
	return true
}

// Three replicas and 10 000 random steps: whenever things are calm for the time that the
// documentation states, every replica knows the members that a plain map has.
func TestPresence_RandomJoinsLeavesReloadsKillsCuts_MatchAPlainMap(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { modelRun(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func modelRun(t *testing.T, random *rand.Rand) {
	server := socketio.NewServer(nil)
	defer server.Shutdown(context.Background())
	ns := server.Of("/")
	shared := newMemory(defaultLease)
	nodes := []*modelNode{newModelNode(t, shared), newModelNode(t, shared), newModelNode(t, shared)}
	defer func() {
		for _, n := range nodes {
			n.kill()
		}
	}()
	rooms := []string{"a", "b", "c"}
	for step := range 10_000 {
		n := nodes[random.IntN(len(nodes))]
		room, user := rooms[random.IntN(len(rooms))], fmt.Sprint("u", random.IntN(20))
		switch k := random.IntN(1000); {
		case k < 500:
			n.enter(ns, room, user)
		case k < 750:
			n.exit(ns, room, user, true)
		case k < 850:
			n.exit(ns, room, user, false)
		case k < 980: // a reload, perhaps on another replica
			if n.exit(ns, room, user, true) {
				time.Sleep(time.Duration(random.IntN(9000)) * time.Millisecond)
				nodes[random.IntN(len(nodes))].enter(ns, room, user)
			}
		case k < 990:
			n.cut.Store(!n.cut.Load())
		case k < 993:
			n.kill()
			i := slices.Index(nodes, n)
			nodes[i] = newModelNode(t, shared)
		default:
			time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		}
		if step%500 == 499 {
			for _, n := range nodes {
				n.cut.Store(false)
			}
			time.Sleep(20 * time.Second) // docs/realtime.md §6
			synctest.Wait()
			compareWithModel(t, step, ns, nodes, rooms)
		}
	}
	if len(shared.leases) != len(nodes) {
		t.Errorf("%d leases of %d replicas", len(shared.leases), len(nodes))
	}
}

func compareWithModel(t *testing.T, step int, ns *socketio.Namespace, nodes []*modelNode, rooms []string) {
	t.Helper()
	for _, room := range rooms {
		want := map[string]int{}
		for _, n := range nodes {
			for key, count := range n.connections {
				if key.room == room {
					want[key.user] += count
				}
			}
		}
		for i, n := range nodes {
			list, err := n.presence.Members(t.Context(), ns, room)
			if err != nil || list.Stale {
				t.Fatalf("step %d, replica %d: %+v %v", step, i, list, err)
			}
			got := map[string]int{}
			for _, m := range list.Members {
				got[m.User] = m.Connections
			}
			if !maps.Equal(got, want) {
				t.Fatalf("step %d, replica %d, room %s:\n got %v\nwant %v", step, i, room, got, want)
			}
			n.presence.mu.Lock()
			r := n.presence.rooms[storeName(ns, room)]
			if r != nil && !slices.Equal(slices.Sorted(maps.Keys(r.view)), slices.Sorted(maps.Keys(want))) {
				t.Errorf("step %d, replica %d, room %s: told %v, want %v", step, i, room, r.view, want)
			}
			n.presence.mu.Unlock()
		}
	}
}

// While the store is away the members known last are given, as stale; five seconds after it
// is back nothing is.
func TestMembers_StoreAway_LastKnownAndStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := socketio.NewServer(nil)
		defer server.Shutdown(context.Background())
		ns := server.Of("/")
		shared := newMemory(defaultLease)
		a, b := newModelNode(t, shared), newModelNode(t, shared)
		defer a.kill()
		defer b.kill()
		time.Sleep(time.Second)
		a.enter(ns, "a", "ada")
		b.enter(ns, "a", "bo")
		time.Sleep(3 * time.Second)
		a.cut.Store(true)
		b.cut.Store(true)
		list, err := a.presence.Members(t.Context(), ns, "a")
		if err != nil || !list.Stale || len(list.Members) != 2 {
			t.Fatalf("%+v %v", list, err)
		}
		if _, err := a.presence.Members(t.Context(), ns, "b"); !errors.Is(err, ErrUnknown) {
			t.Errorf("a room that is not known: %v", err)
		}
		time.Sleep(time.Minute) // the leases end
		a.cut.Store(false)
		b.cut.Store(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if list, err = a.presence.Members(t.Context(), ns, "a"); err != nil || list.Stale || len(list.Members) != 2 {
			t.Fatalf("%+v %v", list, err)
		}
	})
}

// A store that lost its data has no users until the replicas have written again: no user is said
// to have left meanwhile, and none to have come.
func TestPresence_StoreLosesItsData_NobodyIsSaidToHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sockettest.NewServer(t, nil)
		ns, shared := srv.Of("/"), newMemory(defaultLease)
		a := newModelNode(t, shared)
		defer a.kill()
		time.Sleep(500 * time.Millisecond) // the rounds of the two are apart
		b := newModelNode(t, shared)
		defer b.kill()
		a.enter(ns, "a", "ada")
		b.enter(ns, "a", "bo")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		c := srv.Connect("/", nil)
		if err := ns.In(c.ID).SocketsJoin(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			shared.mu.Lock()
			clear(shared.leases)
			clear(shared.rooms)
			shared.mu.Unlock()
			time.Sleep(5*time.Second + 700*time.Millisecond) // between the rounds of b and a, and of a and b
			synctest.Wait()
			if list, err := a.presence.Members(t.Context(), ns, "a"); err != nil || list.Stale || len(list.Members) != 2 {
				t.Errorf("5 s afterwards: %+v %v", list, err)
			}
		}
		c.Quiet()
	})
}
