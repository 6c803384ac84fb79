package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"posthouse/internal/testenv"
)

// failover is docs/reliability.md §3 row F4: a master, its replica and a Sentinel that promotes the one when the other
// hangs.
func failover(s *stage) {
	old, oldServer := testenv.Redis(s)
	promoted, _ := testenv.Redis(s, "--replicaof", "127.0.0.1 "+port(old), "--repl-diskless-sync-delay", "0")
	file := filepath.Join(s.TempDir(), "sentinel.conf")
	sentinel := strconv.Itoa(testenv.FreePort(s))
	conf := "port " + sentinel + "\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 " + port(old) + " 1\n" +
		"sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n"
	s.need(os.WriteFile(file, []byte(conf), 0o600))
	testenv.Start(s, nil, "redis-server", file, "--sentinel")
	linked := func() bool {
		return containsAll(askRedis(s, promoted, "INFO", "replication"), "master_link_status:up")
	}
	_, ok := s.until(20*time.Second, linked)
	s.must(ok, "the replica does not follow the master")
	s.pause(2 * time.Second) // Sentinel learns of the replica
	rig := rig{noRedis: true, env: []string{"POSTHOUSE_REDIS_URL=redis://127.0.0.1:" + sentinel + "?master_name=main"}}
	inner := newStage(s.TB, row{id: s.row.id, rig: rig}, s.logins, s.seed)
	s.cluster, s.ledger, s.idle, s.gateways = inner.cluster, inner.ledger, inner.idle, inner.gateways
	s.pools = []string{promoted, "127.0.0.1:" + sentinel}
	tabs := s.open(s.logins)
	s.need(oldServer.Process.Signal(syscall.SIGSTOP))
	s.Cleanup(func() { _ = oldServer.Process.Signal(syscall.SIGCONT) })
	began := time.Now()
	s.pause(time.Second)
	s.scan(tabs[:len(tabs)/2]) // while nothing answers
	_, ok = s.until(20*time.Second, func() bool { return containsAll(askRedis(s, promoted, "INFO", "replication"), "role:master") })
	s.must(ok, "nothing was promoted")
	moved, ok := s.until(30*time.Second, func() bool {
		return containsAll(askRedis(s, promoted, "PUBSUB", "NUMPAT"), "3") || askRedis(s, promoted, "PUBSUB", "CHANNELS") != ""
	})
	s.figure("promoted, and a subscription there %v after the old master hung", round(time.Since(began)))
	s.must(ok && time.Since(began) <= s.slack(25*time.Second), "no subscription at the new master after %v", round(moved))
	s.scan(tabs[len(tabs)/2:])
	s.settle(30 * time.Second)
	s.need(oldServer.Process.Signal(syscall.SIGCONT))
}

// clusterFailover is docs/reliability.md §3 row F4 at a Redis Cluster: a master of three ends, its replica takes its
// slots over.
func clusterFailover(s *stage) {
	s.judge() // of the Sentinel's part
	s.ledger, s.tabs = newLedger(), nil
	timeout := []string{"--cluster-node-timeout", "2000"}
	addrs := testenv.RedisCluster(s, timeout...)
	heir, _ := testenv.Redis(s, append([]string{"--cluster-enabled", "yes"}, timeout...)...)
	cli := func(args ...string) (string, error) {
		out, err := exec.CommandContext(s.Context(), "redis-cli", args...).CombinedOutput()
		return string(out), err
	}
	id := askRedis(s, addrs[0], "CLUSTER", "MYID")
	if out, err := cli("--cluster", "add-node", heir, addrs[0], "--cluster-slave", "--cluster-master-id", id); err != nil {
		s.Fatalf("the cluster takes no replica: %v %s", err, out)
	}
	_, ok := s.until(20*time.Second, func() bool {
		return containsAll(askRedis(s, heir, "INFO", "replication"), "master_link_status:up", "role:slave")
	})
	s.must(ok, "the replica does not follow the master")
	rig := rig{noRedis: true, env: []string{"POSTHOUSE_REDIS_URL=redis://" + strings.Join(addrs, ",redis://")}}
	inner := newStage(s.TB, row{id: s.row.id, rig: rig}, s.logins, s.seed)
	s.cluster, s.idle, s.gateways = inner.cluster, inner.idle, inner.gateways
	s.pools = append(addrs[1:], heir) // the first master ends below
	tabs := s.open(min(s.logins, 120))
	_, _ = cli("-p", port(addrs[0]), "shutdown", "nosave", "now", "force") // it answers nothing
	began := time.Now()
	s.scan(tabs[:len(tabs)/2]) // while a third of the slots has no owner
	_, ok = s.until(s.slack(20*time.Second), func() bool { return containsAll(askRedis(s, heir, "INFO", "replication"), "role:master") })
	s.must(ok, "the cluster promoted nothing")
	s.figure("Redis Cluster: the replica was promoted %v after its master ended", round(time.Since(began)))
	s.scan(tabs[len(tabs)/2:])
	s.settle(30 * time.Second)
}

// port is the port of host:port.
func port(addr string) string {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			return addr[i+1:]
		}
	}
	return addr
}
