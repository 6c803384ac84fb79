package cluster_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// Both HAProxy configurations, as shipped: no sticky sessions, no bad answer. With
// the sid map nothing is relayed: the replicas cannot reach each other there.
func TestPollingBehindHAProxy(t *testing.T) {
	testenv.NodeDir(t)
	testenv.Need(t, "haproxy")
	for _, c := range []struct {
		conf string
		env  []string
	}{
		{"haproxy.cfg", nil},
		{"haproxy-sidmap.cfg", []string{"POSTHOUSE_ADVERTISE=127.0.0.1:1"}},
	} {
		t.Run(c.conf, func(t *testing.T) {
			base, _ := testenv.Balancer(t, c.conf, replicas(t, c.env...))
			script := filepath.Join("testdata", "polling.cjs")
			out := testenv.Node(t, 2*time.Minute, script, base, "100")
			t.Log(out)
			if !strings.Contains(out, "100 sessions, 0 bad answers") {
				t.Fail()
			}
			// The simulator of development is not for the world.
			for _, path := range []string{"/sim", "/sim/log"} {
				resp, err := http.Get(base + path)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Errorf("%s: %d", path, resp.StatusCode)
				}
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// replicas starts three gateways on one Redis and returns their addresses.
func replicas(t *testing.T, env ...string) []string {
	t.Helper()
	redis, _ := testenv.Redis(t)
	var addrs []string
	for i := range 3 {
		n := strconv.Itoa(i + 1)
		base, _ := testenv.Gateway(t, append([]string{
			"POSTHOUSE_REPLICA=gw" + n, "POSTHOUSE_REDIS_URL=redis://" + redis, "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32",
			"POSTHOUSE_SPOOL=" + filepath.Join(t.TempDir(), "spool"),
			"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off",
		}, env...)...)
		addrs = append(addrs, strings.TrimPrefix(base, "http://"))
	}
	return addrs
}
