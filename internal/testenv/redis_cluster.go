package testenv

import (
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RedisCluster starts three masters that share the slots, and returns their addresses when
// all of them know it. args are further arguments of redis-server.
func RedisCluster(t testing.TB, args ...string) (addrs []string) {
	t.Helper()
	Need(t, "redis-cli")
	for range 3 {
		addr, _ := Redis(t, append([]string{"--cluster-enabled", "yes"}, args...)...)
		addrs = append(addrs, addr)
	}
	if out, err := exec.Command("redis-cli", append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	Until(t, 20*time.Second, "the Redis Cluster", func() bool {
		for _, addr := range addrs {
			_, port, _ := net.SplitHostPort(addr)
			info, err := exec.Command("redis-cli", "-p", port, "cluster", "info").Output()
			if err != nil || !strings.Contains(string(info), "cluster_state:ok") || !strings.Contains(string(info), "cluster_known_nodes:"+strconv.Itoa(len(addrs))) {
				return false
			}
		}
		return true
	})
	return addrs
}
