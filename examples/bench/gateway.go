package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"posthouse/internal/load"
)

// gateway is the product itself. Compare two builds of it with
// -servers "gateway,before=/path/to/posthouse".
func gateway() group {
	return group{
		name: "gateway", title: "The gateway itself: namespaces, limits, origin checks, Redis",
		servers: "gateway", rounds: 2, extra: true, scenarios: load.Gateway(), summary: pollingGoal,
	}
}

// maxPolling is how many commands of Redis an open ticket may cost in a second
// (docs/reliability.md §3 row F6).
const maxPolling = 0.2

// pollingGoal says whether the poller of tickets keeps its bound.
func pollingGoal(t *table, w io.Writer) error {
	for _, r := range t.rows {
		if r.Metric != "gateway-open commands a second" {
			continue
		}
		verdict := "missed"
		if median(present(r.Samples[t.servers[0]])) <= maxPolling {
			verdict = "met"
		}
		_, err := fmt.Fprintf(w, "%s: goal at most %.2f, %s\n", r.Metric, maxPolling, verdict)
		return err
	}
	return nil
}

// gatewayFile are the namespaces of the gateway under load.
const gatewayFile = `namespaces:
  /app:
    rooms: ["user:{sub}", "everyone"]
    join: ["topic:*"]
    relay: ["typing"]
    presence: ["topic:*"]
    history: {rooms: ["topic:*"], events: 100, age: 24h}
    limits: {events: 50/s, rooms: 256}
`

// gatewayEnv has every limit on, and so high that one address does not meet it. The garbage
// collector has the pace of other Go programs: the gateway's own lets 28 MB wait, however
// many connections there are, which would be a part of each in the table.
var gatewayEnv = []string{
	"GOGC=100",
	"POSTHOUSE_REQUIRE_ORIGIN=true",
	"POSTHOUSE_LOG_LEVEL=warn",
	"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=50000",
	"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=50000/s",
	"POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=50000/s",
	"POSTHOUSE_LIMIT_QRCODES_PER_IP=50000/s",
	"POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=50000/s",
	"POSTHOUSE_QRCODES_PER_DAY=10000000",
	"POSTHOUSE_LIMIT_WEBHOOK=50000",
}

// measureGateway runs one scenario against a fresh gateway, whose local WeChat runs beside
// the load, so that its work does not show.
func measureGateway(ctx context.Context, l load.Load, s load.Scenario, k kind) (m []load.Metric, err error) {
	dir, err := os.MkdirTemp("", "bench-gateway")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "posthouse.yaml")
	if err := os.WriteFile(file, []byte(gatewayFile), 0o600); err != nil {
		return nil, err
	}
	var addrs [3]string // of the gateway, of its profiles and of WeChat
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return nil, err
		}
	}
	redis, err := launchRedis(ctx) // an empty one: what it keeps of WeChat's belongs to this WeChat
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	key, err := signingKey()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addrs[2])
	if err != nil {
		return nil, err
	}
	wechat, err := launch(ctx, 0, addrs[2], dir, nil, k.argv[0], "wxsim", "--port", port, "--callback", "http://"+addrs[0]+"/callback/wechat", "--mark-fail=-1")
	if err != nil {
		return nil, fmt.Errorf("the local WeChat: %w", err)
	}
	defer wechat.stop()
	env := append([]string{
		"POSTHOUSE_ADDR=" + addrs[0], "POSTHOUSE_METRICS_ADDR=" + addrs[1], "POSTHOUSE_CONFIG=" + file,
		"POSTHOUSE_REDIS_URL=redis://" + redis.addr, "POSTHOUSE_WECHAT_SIMULATOR=http://" + addrs[2],
		"POSTHOUSE_SPOOL=" + filepath.Join(dir, "spool"), "POSTHOUSE_JWT_KEY=" + key,
	}, gatewayEnv...)
	p, err := launch(ctx, k.cores[0], addrs[0], dir, env, k.argv...)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	l.WeChat, l.Redis = wechat.addr, redis.addr
	return s.Run(ctx, l, []*load.Target{{Addr: p.addr, PID: p.cmd.Process.Pid, Debug: addrs[1]}})
}

// signingKey makes a key as production has one, so that none is looked for in Redis.
func signingKey() (string, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}
