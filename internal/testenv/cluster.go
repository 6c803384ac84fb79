package testenv

import (
	"cmp"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Cluster is gateways on one Redis with a WeChat of their own: the topology of
// docker-compose.yml without containers.
type Cluster struct {
	Redis     *Process // nil where ClusterOptions.RedisURL names another
	RedisAddr string
	Replicas  []*Process
	Started   []*Process // the replicas, and those that were replaced
	Ports     []int
	Bases     []string // the replicas' URLs
	Metrics   []string // the URLs of their metrics
	WeChat    string   // the simulator's URL
	Simulator *Process
	Wrap      string // a shell's command that prepares the process of a replica that is started

	env       func(replica int) []string
	simulator []string // its further arguments
}

// ClusterOptions of StartCluster. Zero values are the defaults named.
type ClusterOptions struct {
	Replicas  int      // 3
	Callbacks []int    // the replicas that get pushes; nil: all, in turn
	RedisArgs []string // of redis-server
	// RedisURL is what a replica is told, given the server's address; nil: that address.
	// With NoRedis no server is started.
	RedisURL func(replica int, addr string) string
	NoRedis  bool
	// WeChatURL is what the replicas are told, given the simulator's URL; nil: that URL.
	WeChatURL func(simulator string) string
	WeChat    []string // further arguments of `posthouse wxsim`
	Env       []string // of the replicas
}

// Unlimited switches the limits off that a test from one address would meet.
var Unlimited = []string{
	"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off",
	"POSTHOUSE_LIMIT_QRCODES_PER_IP=off", "POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=off",
}

// StartCluster starts the processes of a cluster and waits until every replica is ready.
func StartCluster(t testing.TB, o ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{simulator: o.WeChat}
	if !o.NoRedis {
		c.RedisAddr, c.Redis = Redis(t, o.RedisArgs...)
	}
	c.WeChat = "http://127.0.0.1:" + strconv.Itoa(FreePort(t))
	told := c.WeChat
	if o.WeChatURL != nil {
		told = o.WeChatURL(c.WeChat)
	}
	var callbacks []string
	for i := range cmp.Or(o.Replicas, 3) {
		c.Ports = append(c.Ports, FreePort(t))
		c.Bases = append(c.Bases, "http://127.0.0.1:"+strconv.Itoa(c.Ports[i]))
		c.Metrics = append(c.Metrics, "http://127.0.0.1:"+strconv.Itoa(FreePort(t)))
		if o.Callbacks == nil || slices.Contains(o.Callbacks, i) {
			callbacks = append(callbacks, c.Bases[i]+"/callback/wechat")
		}
	}
	c.PushTo(t, callbacks...)
	spool := filepath.Join(t.TempDir(), "spool")
	c.env = func(i int) []string {
		n := strconv.Itoa(i + 1)
		env := []string{"POSTHOUSE_REPLICA=gw" + n, "POSTHOUSE_WECHAT_SIMULATOR=" + told, "POSTHOUSE_TICKET_TTL=60s",
			"POSTHOUSE_METRICS_ADDR=" + strings.TrimPrefix(c.Metrics[i], "http://"),
			"POSTHOUSE_SPOOL=" + spool + n} // one process owns one spool
		switch {
		case o.RedisURL != nil:
			env = append(env, "POSTHOUSE_REDIS_URL="+o.RedisURL(i, c.RedisAddr))
		case !o.NoRedis:
			env = append(env, "POSTHOUSE_REDIS_URL=redis://"+c.RedisAddr)
		}
		return slices.Concat(env, Unlimited, o.Env)
	}
	for i := range c.Bases {
		c.Replicas = append(c.Replicas, nil)
		c.StartReplica(t, i)
	}
	return c
}

// StartReplica starts a replica, or starts it again at its address.
func (c *Cluster) StartReplica(t testing.TB, i int) {
	t.Helper()
	if c.Wrap == "" {
		_, c.Replicas[i] = GatewayAt(t, c.Ports[i], c.env(i)...)
	} else {
		env := append(c.env(i), "POSTHOUSE_ADDR=127.0.0.1:"+strconv.Itoa(c.Ports[i]))
		c.Replicas[i] = Start(t, env, "sh", "-c", c.Wrap+"; exec "+Binary(t, "."))
		c.Replicas[i].Ready(t, c.Bases[i]+"/readyz")
	}
	c.Started = append(c.Started, c.Replicas[i])
}

// PushTo starts the WeChat of the cluster, anew if it runs, with these callbacks.
func (c *Cluster) PushTo(t testing.TB, callbacks ...string) {
	t.Helper()
	if c.Simulator != nil {
		c.Simulator.Kill()
	}
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(c.WeChat, "http://"))
	c.Simulator = Start(t, nil, Binary(t, "."), append([]string{"wxsim", "--port", port, "--callback", strings.Join(callbacks, ",")}, c.simulator...)...)
	c.Simulator.Ready(t, c.WeChat+"/sim/log")
}

// StartRedis starts the Redis that was killed again, with what its files hold.
func (c *Cluster) StartRedis(t testing.TB) {
	t.Helper()
	again := c.Redis.Args
	c.Redis = Start(t, nil, again[0], again[1:]...)
}

// Balancer runs a shipped configuration in front of the replicas.
func (c *Cluster) Balancer(t testing.TB, conf string) (base string, p *Process) {
	t.Helper()
	replicas := make([]string, len(c.Ports))
	for i, port := range c.Ports {
		replicas[i] = "127.0.0.1:" + strconv.Itoa(port)
	}
	return Balancer(t, conf, replicas)
}
