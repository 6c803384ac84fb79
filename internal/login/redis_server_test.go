package login_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/testenv"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
)

// eachRedis runs f against a real server and a real cluster.
func eachRedis(t *testing.T, f func(t *testing.T, s *fixture)) {
	t.Run("redis", func(t *testing.T) { f(t, redisFixture(t, redisClient(t, []string{single(t)}, false))) })
	t.Run("cluster", func(t *testing.T) { f(t, redisFixture(t, redisClient(t, cluster(t), true))) })
}

var prefixes int

func redisFixture(t *testing.T, rdb redis.UniversalClient) *fixture {
	t.Helper()
	fresh := func() *login.Redis {
		prefixes++ // every test has keys of its own
		store, err := login.NewRedis(rdb, &login.RedisOptions{Prefix: fmt.Sprintf("test%d:", prefixes)})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	store := fresh()
	s := &fixture{Store: store, advance: store.Shift, rdb: rdb, prefix: fmt.Sprintf("test%d:", prefixes)}
	s.lose = func() { s.Store = fresh() }
	return s
}

func redisClient(t *testing.T, addrs []string, isCluster bool) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: addrs, IsClusterMode: isCluster, ContextTimeoutEnabled: true, DisableIdentity: true, MaxRetries: -1,
		DialTimeout: time.Second, DialerRetries: 1,
	})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// servers are shared by all tests of the package; TestMain stops them.
var servers struct {
	sync.Mutex
	single  string
	cluster []string
	stops   []func()
}

func stopServers() {
	servers.Lock()
	defer servers.Unlock()
	for _, stop := range servers.stops {
		stop()
	}
}

func single(t *testing.T) string {
	t.Helper()
	servers.Lock()
	defer servers.Unlock()
	if servers.single == "" {
		addr, stop := startRedis(t)
		servers.single, servers.stops = addr, append(servers.stops, stop)
	}
	return servers.single
}

func cluster(t *testing.T) []string {
	t.Helper()
	testenv.Need(t, "redis-cli")
	servers.Lock()
	defer servers.Unlock()
	if servers.cluster != nil {
		return servers.cluster
	}
	var addrs []string
	for range 3 {
		addr, stop := startRedis(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(testenv.FreePort(t)))
		addrs, servers.stops = append(addrs, addr), append(servers.stops, stop)
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	if out, err := exec.Command("redis-cli", append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		t.Fatalf("cluster: %v\n%s", err, out)
	}
	// Each node says when it has heard that the cluster is whole.
	for _, addr := range addrs {
		one := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
		testenv.Until(t, 10*time.Second, addr+" comes up", func() bool {
			info, err := one.ClusterInfo(context.Background()).Result()
			return err == nil && strings.HasPrefix(info, "cluster_state:ok")
		})
		one.Close()
	}
	servers.cluster = addrs
	return addrs
}

// startRedis starts a server that ends with this process, however that ends: the
// shell kills it when its input closes.
func startRedis(t *testing.T, args ...string) (addr string, stop func()) {
	t.Helper()
	testenv.Need(t, "redis-server")
	port, dir := strconv.Itoa(testenv.FreePort(t)), ""
	dir, err := os.MkdirTemp("", "posthouse-redis-")
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-c", `redis-server "$@" >/dev/null & pid=$!; cat >/dev/null; kill -CONT $pid; kill $pid; wait $pid`, "sh",
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir}, args...)
	cmd := exec.Command("sh", args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		stdin.Close()
		cmd.Wait()
		os.RemoveAll(dir)
	})
	addr = net.JoinHostPort("127.0.0.1", port)
	one := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, DialTimeout: time.Second})
	defer one.Close()
	testenv.Until(t, 10*time.Second, addr+" comes up", func() bool { return one.Ping(context.Background()).Err() == nil })
	return addr, stop
}

// keys are all that this fixture's store has in Redis.
func (s *fixture) keys(t *testing.T) (keys []string) {
	t.Helper()
	each := func(ctx context.Context, c *redis.Client) error {
		some, err := c.Keys(ctx, s.prefix+"*").Result()
		keys = append(keys, some...)
		return err
	}
	var err error
	if c, ok := s.rdb.(*redis.ClusterClient); ok {
		var mu sync.Mutex // masters are asked side by side
		err = c.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return each(ctx, c)
		})
	} else {
		err = each(t.Context(), s.rdb.(*redis.Client))
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func zOf(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }
