package adapter_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// newRedisCluster starts three masters that share the slots.
func newRedisCluster(t testing.TB) (*redis.ClusterClient, map[string]any) {
	t.Helper()
	addrs := testenv.RedisCluster(t, "--cluster-node-timeout", "2000")
	ports := make([]int, len(addrs))
	for i, addr := range addrs {
		ports[i], _ = strconv.Atoi(addr[strings.LastIndex(addr, ":")+1:])
	}
	c := newClient(t, &redis.UniversalOptions{Addrs: addrs, IsClusterMode: true}).(*redis.ClusterClient)
	return c, map[string]any{"cluster": ports}
}

func awaitRedis(t testing.TB, addr string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer c.Close()
	testenv.Until(t, 10*time.Second, "redis at "+addr, func() bool { return c.Ping(context.Background()).Err() == nil })
}

func TestClassicOnACluster(t *testing.T) {
	t.Parallel()
	rdb, where := newRedisCluster(t)
	t.Run("Go to Go", func(t *testing.T) {
		operations(t, "classic", newGoReplica(t, adapter.Redis(rdb, nil), nil), newGoReplica(t, adapter.Redis(rdb, nil), nil))
	})
	t.Run("Go to Node", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "classic", Where: where, Library: "ioredis"})
		operations(t, "classic", newGoReplica(t, adapter.Redis(rdb, nil), nil), node)
	})
	t.Run("Node to Go", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "classic", Where: where, Library: "ioredis"})
		// (ioredis publishes on any server of the cluster.)
		operations(t, "classic in any order", node, newGoReplica(t, adapter.Redis(rdb, nil), nil))
	})
}

func TestShardedOnACluster(t *testing.T) {
	t.Parallel()
	rdb, where := newRedisCluster(t)
	wait := roomsSubscribed(t, rdb, adapter.Dynamic)
	t.Run("Go to Go", func(t *testing.T) {
		operations(t, "sharded", newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil), newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil), wait)
	})
	t.Run("Go to Node", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "sharded", Where: where})
		operations(t, "sharded", newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil), node, wait)
	})
	t.Run("Node to Go", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "sharded", Where: where})
		operations(t, "sharded", node, newGoReplica(t, adapter.ShardedRedis(rdb, nil), nil), wait)
	})
}

func TestStreamsOnACluster(t *testing.T) {
	t.Parallel()
	rdb, where := newRedisCluster(t)
	t.Run("Go to Go", func(t *testing.T) {
		operations(t, "streams", newGoReplica(t, adapter.RedisStreams(rdb, nil), nil), newGoReplica(t, adapter.RedisStreams(rdb, nil), nil))
	})
	t.Run("Go to Node", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Library: "ioredis"})
		operations(t, "streams", newGoReplica(t, adapter.RedisStreams(rdb, nil), nil), node)
	})
	t.Run("Node to Go", func(t *testing.T) {
		node := newNodeReplica(t, nodeConfig{Kind: "streams", Where: where, Library: "ioredis"})
		operations(t, "streams", node, newGoReplica(t, adapter.RedisStreams(rdb, nil), nil))
	})
}

// sentinels are a master, its replica and a sentinel that moves the one to the other.
type sentinels struct {
	master, replica, sentinel int
	masterProcess             *testenv.Process
}

func newSentinels(t testing.TB) (redis.UniversalClient, sentinels) {
	t.Helper()
	testenv.Need(t, "redis-server")
	s := sentinels{master: testenv.FreePort(t), replica: testenv.FreePort(t), sentinel: testenv.FreePort(t)}
	server := func(port int, args ...string) *testenv.Process {
		p := testenv.Start(t, nil, "redis-server", append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "",
			"--appendonly", "no", "--dir", t.TempDir()}, args...)...)
		awaitRedis(t, "127.0.0.1:"+strconv.Itoa(port))
		return p
	}
	s.masterProcess = server(s.master)
	server(s.replica, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.master), "--repl-diskless-sync-delay", "0")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := "port " + strconv.Itoa(s.sentinel) + "\nbind 127.0.0.1\n" +
		"sentinel monitor main 127.0.0.1 " + strconv.Itoa(s.master) + " 1\n" +
		"sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(s.sentinel)
	testenv.Start(t, nil, "redis-server", conf, "--sentinel")
	awaitRedis(t, addr)
	c := redis.NewSentinelClient(&redis.Options{Addr: addr})
	defer c.Close()
	testenv.Until(t, 30*time.Second, "sentinel sees the replica", func() bool {
		list, err := c.Replicas(context.Background(), "main").Result()
		return err == nil && len(list) == 1 && list[0]["master-link-status"] == "ok"
	})
	return newClient(t, &redis.UniversalOptions{Addrs: []string{addr}, MasterName: "main"}), s
}

func TestAdaptersSurviveASentinelFailover(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]struct {
		adapter func(rdb redis.UniversalClient) (a goAdapter)
		node    string
	}{
		"classic": {func(rdb redis.UniversalClient) goAdapter { return adapter.Redis(rdb, nil) }, "classic"},
		"sharded": {func(rdb redis.UniversalClient) goAdapter {
			return adapter.ShardedRedis(rdb, &adapter.ShardedOptions{SubscriptionMode: adapter.Static})
		}, ""}, // ioredis cannot follow it, node-redis 4 knows no Sentinel
		"streams": {func(rdb redis.UniversalClient) goAdapter {
			return adapter.RedisStreams(rdb, &adapter.StreamsOptions{BlockTime: time.Second})
		}, "streams"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, s := newSentinels(t)
			replicas := []replica{newGoReplica(t, kind.adapter(rdb), nil), newGoReplica(t, kind.adapter(rdb), nil)}
			if kind.node != "" {
				replicas = append(replicas, newNodeReplica(t, nodeConfig{Kind: kind.node, Library: "ioredis",
					Where: map[string]any{"sentinel": []int{s.sentinel}, "name": "main"}}))
			}
			reachAll(t, 10*time.Second, replicas)
			s.masterProcess.Kill()
			// Sentinel takes a second to believe it, and some more to act.
			reachAll(t, 30*time.Second, replicas)
			testenv.Until(t, 15*time.Second, "requests work again", func() bool {
				got, err := replicas[0].do(command{Cmd: "serverSideEmitWithAck", NSP: "/", Args: []any{"hi"}})
				return err == nil && strings.Count(got, "hello from") == len(replicas)-1
			})
		})
	}
}
