package adapter_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// newRedis starts a redis-server and returns a client and where Node finds it.
func newRedis(t testing.TB) (redis.UniversalClient, map[string]any) {
	t.Helper()
	addr, _ := testenv.Redis(t)
	port, err := strconv.Atoi(addr[strings.LastIndex(addr, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, &redis.UniversalOptions{Addrs: []string{addr}}), map[string]any{"port": port}
}

func newClient(t testing.TB, o *redis.UniversalOptions) redis.UniversalClient {
	t.Helper()
	o.DialTimeout, o.ReadTimeout = 2*time.Second, time.Second
	rdb := redis.NewUniversalClient(o)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// docs/conformance.md behaviour 40
func TestClassic_BroadcastsAndRequestsBetweenGoReplicas(t *testing.T) {
	t.Parallel()
	rdb, _ := newRedis(t)
	a := newGoReplica(t, adapter.Redis(rdb, nil), nil)
	b := newGoReplica(t, adapter.Redis(rdb, &adapter.RedisOptions{PublishOnSpecificResponseChannel: true}), nil)
	operations(t, "classic", a, b)
}

func TestClassicFromGoToNode(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"redis", "ioredis"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "classic", Where: where, Library: library})
			operations(t, "classic", newGoReplica(t, adapter.Redis(rdb, nil), nil), node)
		})
	}
}

func TestClassicFromNodeToGo(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"redis", "ioredis"} {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			rdb, where := newRedis(t)
			node := newNodeReplica(t, nodeConfig{Kind: "classic", Where: where, Library: library})
			operations(t, "classic", node, newGoReplica(t, adapter.Redis(rdb, nil), nil))
		})
	}
}

func TestClassicWithSocketIORedis6(t *testing.T) {
	t.Parallel()
	t.Run("from Go", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		node := newNodeReplica(t, nodeConfig{Kind: "old", Where: where, Library: "redis3"})
		operations(t, "old", newGoReplica(t, adapter.Redis(rdb, nil), nil), node)
	})
	t.Run("from Node", func(t *testing.T) {
		t.Parallel()
		rdb, where := newRedis(t)
		node := newNodeReplica(t, nodeConfig{Kind: "old", Where: where, Library: "redis3"})
		operations(t, "old", node, newGoReplica(t, adapter.Redis(rdb, nil), nil))
	})
}
