package adapter_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/history"
	"posthouse/socketio/sockettest"
)

// keptIn makes histories of rooms topic:* for a replica of an adapter.
func keptIn(t *testing.T, rdb redis.UniversalClient, kind string) (*sockettest.Server, *history.History) {
	t.Helper()
	a, opts := historyAdapters()[kind](rdb)
	opts.NewAdapter = a
	srv := sockettest.NewServer(t, opts)
	kept, err := history.New(&history.Options{Rooms: func(room string) bool { return strings.HasPrefix(room, "topic:") }})
	if err != nil {
		t.Fatal(err)
	}
	return srv, kept
}

// Rooms of the same name in two namespaces have histories of their own.
func TestHistory_RoomsOfTwoNamespaces_AreApart(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			srv, kept := keptIn(t, newClient(t, &redis.UniversalOptions{Addrs: []string{addr}}), kind)
			for _, name := range []string{"/a", "/b"} {
				n := srv.Of(name)
				kept.Apply(n)
				if err := n.To("topic:1").Record().Emit("said", name); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"/a", "/b"} {
				var page *history.Page
				testenv.Until(t, 10*time.Second, "the event", func() (ok bool) {
					var err error
					page, err = kept.Read(t.Context(), srv.Of(name), "topic:1", 10, "")
					return err == nil && len(page.Events) > 0
				})
				if got := string(page.Events[0].Args[0]); len(page.Events) != 1 || got != `"`+name+`"` {
					t.Errorf("%s has %d events, the first is %s", name, len(page.Events), got)
				}
			}
		})
	}
}

// In a Redis Cluster the histories, the log and the channel get an event in one step, with
// recovery as well.
func TestHistory_OnACluster_WithRecovery(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedisCluster(t)
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			a, keptA := keptIn(t, rdb, kind)
			b, keptB := keptIn(t, rdb, kind)
			for _, name := range []string{"/", "/team"} {
				// The shared cluster is not empty.
				room := "topic:" + kind + name
				keptA.Apply(a.Of(name))
				keptB.Apply(b.Of(name))
				b.Of(name).OnConnection(func(s *socketio.Socket) { _ = s.Join(room) })
				there := b.Connect(name, nil)
				testenv.Until(t, 15*time.Second, "the cluster", func() bool {
					n, err := a.Of(name).Adapter().ServerCount(t.Context())
					return err == nil && n == 2
				})
				for i := range 3 {
					if err := a.Of(name).To(room).Record().Emit("said", i); err != nil {
						t.Fatal(err)
					}
					if got := there.Expect("said").Args.JSON(0); got != string(rune('0'+i)) {
						t.Errorf("said %s, want %d", got, i)
					}
				}
				page, err := keptB.Read(t.Context(), b.Of(name), room, 10, "")
				if err != nil || page.Gap || len(page.Events) != 3 {
					t.Errorf("%s: %+v %v", name, page, err)
				}
			}
		})
	}
}

// Events older than the age of a history are gone from Redis, and all keys but the one that
// says that there were some.
func TestHistory_AgeOverRedis_ForgetsAndSaysSo(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			a, _ := newHistoryReplica(t, kind, addr, history.Options{Age: time.Second})
			b, _ := newHistoryReplica(t, kind, addr, history.Options{Age: time.Second})
			// It has written nothing that it could miss: what it says is what Redis says.
			reader, kept := newHistoryReplica(t, kind, addr, history.Options{Age: time.Second})
			if err := a.To("topic:1").Record().Emit("said", 1); err != nil {
				t.Fatal(err)
			}
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			testenv.Until(t, 10*time.Second, "the stream to expire", func() bool {
				keys := rdb.Keys(t.Context(), "*-history:*").Val()
				return len(keys) == 1 && strings.HasSuffix(keys[0], "topic:1:old")
			})
			if page, err := kept.Read(t.Context(), reader.Of("/"), "topic:1", 5, ""); err != nil || !page.Gap || len(page.Events) != 0 {
				t.Errorf("the event of the room is gone: %+v %v", page, err)
			}
			// Another replica begins the stream anew: its first event has a predecessor.
			again := 0
			testenv.Until(t, 10*time.Second, "the new stream", func() bool {
				page, err := kept.Read(t.Context(), reader.Of("/"), "topic:1", 5, "")
				if err == nil && len(page.Events) > 0 {
					if !page.Gap {
						t.Errorf("nothing says that the first event had predecessors: %+v", page)
					}
					return true
				}
				if again++; again%100 == 1 { // a slow machine may have seen the first one expire
					_ = b.To("topic:1").Record().Emit("said", 2)
				}
				return false
			})
			if page, err := kept.Read(t.Context(), reader.Of("/"), "topic:2", 5, ""); err != nil || page.Gap {
				t.Errorf("a room without events: %+v %v", page, err)
			}
			// With a newer one beside it the older one is trimmed, also where the stream lives on.
			stream := strings.TrimSuffix(rdb.Keys(t.Context(), "*topic:1:old").Val()[0], "topic:1:old") + "topic:3"
			emit := func(n int) {
				t.Helper()
				if err := a.To("topic:3").Record().Emit("said", n); err != nil {
					t.Fatal(err)
				}
			}
			var old string
			testenv.Until(t, 10*time.Second, "the older one", func() bool {
				emit(1)
				list := rdb.XRange(t.Context(), stream, "-", "+").Val()
				if len(list) == 0 || !rdb.Persist(t.Context(), stream).Val() {
					return false
				}
				old = list[len(list)-1].ID
				return true
			})
			testenv.Until(t, 10*time.Second, "its age", func() bool {
				rdb.Persist(t.Context(), stream) // another of the first emits may have come
				list := rdb.XRange(t.Context(), stream, "-", "+").Val()
				first, _, _ := strings.Cut(list[len(list)-1].ID, "-")
				return strconv.FormatInt(rdb.Time(t.Context()).Val().UnixMilli()-1000, 10) > first
			})
			if page, err := kept.Read(t.Context(), reader.Of("/"), "topic:3", 5, ""); err != nil || !page.Gap || len(page.Events) != 0 {
				t.Errorf("an event that is too old: %+v %v", page, err)
			}
			testenv.Until(t, 10*time.Second, "the newer one alone", func() bool {
				emit(2)
				list := rdb.XRange(t.Context(), stream, "-", "+").Val()
				if slices.ContainsFunc(list, func(m redis.XMessage) bool { return m.ID == old }) {
					return false
				}
				page, err := kept.Read(t.Context(), reader.Of("/"), "topic:3", 5, "")
				return len(list) > 0 && err == nil && page.Gap
			})
		})
	}
}

// An event is kept in at most 100 rooms: one for more is refused, and no socket gets it.
func TestHistory_EventForTooManyRooms_IsRefused(t *testing.T) {
	t.Parallel()
	for kind := range historyAdapters() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			srv, kept := keptIn(t, newClient(t, &redis.UniversalOptions{Addrs: []string{addr}}), kind)
			n := srv.Of("/")
			kept.Apply(n)
			c := srv.Connect("/", nil)
			rooms := make([]string, 101)
			for i := range rooms {
				rooms[i] = "topic:" + strconv.Itoa(i)
			}
			if err := n.In(c.ID).SocketsJoin(t.Context(), rooms...); err != nil {
				t.Fatal(err)
			}
			if err := n.To(rooms...).Record().Emit("said", "too many"); !errors.Is(err, history.ErrTooManyRooms) {
				t.Errorf("101 rooms: %v", err)
			}
			if err := n.To(rooms[:100]...).Record().Emit("said", "enough"); err != nil {
				t.Errorf("100 rooms: %v", err)
			}
			if got := c.Expect("said").Args.JSON(0); got != `"enough"` {
				t.Errorf("the socket got %s", got)
			}
			testenv.Until(t, 10*time.Second, "the event in the last room", func() bool {
				page, err := kept.Read(t.Context(), n, rooms[99], 10, "")
				return err == nil && len(page.Events) == 1
			})
		})
	}
}
