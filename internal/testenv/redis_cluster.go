package testenv

import (
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisCluster starts three masters that share the slots, and returns their addresses when
// all of them know it. args are further arguments of redis-server.
func RedisCluster(t testing.TB, args ...string) (addrs []string) {
	t.Helper()
	return RedisClusterOf(t, nil, func() (string, []string) { return "", args })
}

// RedisClusterOf is RedisCluster whose servers differ: node is called for each, and returns
// further arguments and the address at which it is reached, "" for the usual one. cli are
// further arguments of redis-cli.
func RedisClusterOf(t testing.TB, cli []string, node func() (addr string, args []string)) (addrs []string) {
	t.Helper()
	Need(t, "redis-cli")
	for range 3 {
		at, args := node()
		addr, _ := Redis(t, append([]string{"--cluster-enabled", "yes"}, args...)...)
		if at != "" {
			addr = at
		}
		addrs = append(addrs, addr)
	}
	ask := func(args ...string) ([]byte, error) {
		return exec.Command("redis-cli", slices.Concat(cli, args)...).CombinedOutput()
	}
	if out, err := ask(append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	Until(t, 20*time.Second, "the Redis Cluster", func() bool {
		for _, addr := range addrs {
			_, port, _ := net.SplitHostPort(addr)
			info, err := ask("-p", port, "cluster", "info")
			if err != nil || !strings.Contains(string(info), "cluster_state:ok") || !strings.Contains(string(info), "cluster_known_nodes:"+strconv.Itoa(len(addrs))) {
				return false
			}
		}
		return true
	})
	return addrs
}
