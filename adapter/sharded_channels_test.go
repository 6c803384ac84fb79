package adapter_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
)

// The channels of a replica are what docs/adapters.md says: two of the namespace, one for
// each room with members in the dynamic modes, one more for each socket in the private one.
func TestSharded_ChannelsOfEachMode(t *testing.T) {
	t.Parallel()
	const sockets, rooms = 20, 1000
	for mode, want := range map[adapter.SubscriptionMode]int{
		adapter.Static: 2, adapter.Dynamic: 2 + rooms, adapter.DynamicPrivate: 2 + rooms + sockets,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			rdb := newClient(t, &redis.UniversalOptions{Addrs: []string{addr}})
			o := *quickSharded
			o.SubscriptionMode = mode
			r := newGoReplica(t, adapter.ShardedRedis(rdb, &o), &socketio.Options{Limits: socketio.Limits{Rooms: rooms}})
			channels := func() int {
				list, err := rdb.PubSubShardChannels(context.Background(), "socket.io#/#*").Result()
				if err != nil {
					t.Fatal(err)
				}
				return len(list)
			}
			testenv.Until(t, 10*time.Second, "the channels of the namespace", func() bool { return channels() == 2 })
			before := usedMemory(t, rdb)
			var first string
			for i := range sockets {
				if c := r.Connect("/", nil); i == 0 {
					first = c.ID
				}
			}
			for i := range rooms {
				if err := r.Socket(first).Join(fmt.Sprint("room ", i)); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			testenv.Until(t, 20*time.Second, fmt.Sprint(want, " channels"), func() bool { return channels() == want })
			if n := want - 2; n > 0 {
				t.Logf("%d channels after %v, %d bytes of Redis each", want, time.Since(began), (usedMemory(t, rdb)-before)/int64(n))
			}
			r.Socket(first).Disconnect(true)
			left := 2
			if mode == adapter.DynamicPrivate {
				left += sockets - 1
			}
			testenv.Until(t, 20*time.Second, fmt.Sprint(left, " channels left"), func() bool { return channels() == left })
		})
	}
}

// usedMemory is what Redis holds.
func usedMemory(t *testing.T, rdb redis.UniversalClient) int64 {
	t.Helper()
	info, err := rdb.Info(context.Background(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no used_memory")
	return 0
}
