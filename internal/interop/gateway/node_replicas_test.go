package gateway_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// Replicas of npm socket.io and the npm emitter are in one cluster with a gateway whose
// namespace is configured: events, rooms, fetchSockets and disconnectSockets, both ways.
func TestNamespaces_NodeReplicasInOneCluster(t *testing.T) {
	t.Parallel()
	testenv.NodeDir(t)
	for kind, adapter := range map[string]string{"classic": "redis", "sharded": "sharded", "streams": "streams"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			addr, _ := testenv.Redis(t)
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				t.Fatal(err)
			}
			const key = "the-key-of-the-back-end"
			base, p := testenv.Gateway(t, "POSTHOUSE_CONFIG="+namespaceFile(t, ""), "POSTHOUSE_REDIS_URL=redis://"+addr, "POSTHOUSE_ADAPTER="+adapter, "POSTHOUSE_API_KEY="+key)
			seen := monitor(t, addr)
			jwt, sub := signIn(t, base, "ada")
			if out := testenv.Node(t, time.Minute, filepath.Join("testdata", "node_replica.cjs"), kind, port, base, jwt, sub, key); !strings.HasSuffix(out, "ok\n") {
				t.Error(out)
			}
			for place, text := range map[string]string{"Redis": seen(), "the log": p.Output()} {
				if strings.Contains(text, jwt) {
					t.Errorf("%s holds the token", place)
				}
			}
		})
	}
}
