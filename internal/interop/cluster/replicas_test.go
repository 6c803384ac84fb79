package cluster_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/sleep"

	"posthouse/internal/testenv"
	"posthouse/internal/wxsim/scenario"
)

// logins is how many logins a run makes: fewer by default than the full thousand,
// which POSTHOUSE_TEST_FULL asks for. POSTHOUSE_TEST_LOGINS names another number.
func logins() int {
	if n, err := strconv.Atoi(os.Getenv("POSTHOUSE_TEST_LOGINS")); err == nil && n > 0 {
		return n
	}
	if os.Getenv("POSTHOUSE_TEST_FULL") != "" {
		return 1000
	}
	return 200
}

// cluster is three replicas with Redis and a WeChat of their own.
type cluster struct{ *testenv.Cluster }

// start runs three replicas; pushes go to the replicas that callbacks names (all when
// empty).
func start(t *testing.T, callbacks []int, redisArgs, env []string) *cluster {
	t.Helper()
	return &cluster{testenv.StartCluster(t, testenv.ClusterOptions{Callbacks: callbacks, RedisArgs: redisArgs, Env: env})}
}

// balancer runs a shipped configuration in front of the replicas.
func (c *cluster) balancer(t *testing.T, conf string) string {
	t.Helper()
	base, _ := c.Balancer(t, conf)
	return base
}

// load runs logins against gateways and fails unless none is lost, doubled or
// misdelivered, and the callback was quick enough. during runs beside it; its
// context ends with the load.
func (c *cluster) load(t *testing.T, gateways []string, o scenario.LoadOptions, during func(ctx context.Context)) scenario.Report {
	t.Helper()
	var progress bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() { // ends with ctx; waited for below
		defer close(done)
		if during != nil {
			during(ctx)
		}
	}()
	o.Target = scenario.Target{Gateways: gateways, Simulator: c.WeChat + "/sim", Spread: o.Spread}
	o.Logins, o.Concurrency, o.Rate, o.Output = cmp.Or(o.Logins, logins()), 64, cmp.Or(o.Rate, 50), &progress
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	report, err := scenario.Load(t.Context(), o)
	stop()
	<-done
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	var text bytes.Buffer
	report.Print(&text)
	t.Log("\n" + text.String())
	if !report.OK() || report.SignedIn == 0 {
		t.Fail()
	}
	return report
}

// The webhook always reaches another replica than the one that holds the socket.
func TestLoginsWhoseWebhookIsElsewhere(t *testing.T) {
	for _, adapter := range []string{"redis", "sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			c := start(t, []int{1, 2}, nil, []string{"POSTHOUSE_ADAPTER=" + adapter})
			c.load(t, c.Bases[:1], scenario.LoadOptions{Mix: &scenario.Mix{PKCE: 20}}, nil)
		})
	}
}

// People who reload, scan twice, lose their connection, on all replicas at once.
func TestLoginsWithFaultsOnThreeReplicas(t *testing.T) {
	c := start(t, nil, nil, nil)
	c.load(t, c.Bases, scenario.LoadOptions{}, nil)
}

// The same where every login waits for the number on the page.
func TestConfirmedLoginsOnThreeReplicas(t *testing.T) {
	c := start(t, nil, nil, []string{"POSTHOUSE_CONFIRM=always"})
	c.load(t, c.Bases, scenario.LoadOptions{Confirm: true}, nil)
}

// A replica dies at a random moment: the browsers resume elsewhere.
func TestLoginsWhileAReplicaIsKilled(t *testing.T) {
	c := start(t, []int{1, 2}, nil, nil)
	balancer := c.balancer(t, "nginx.conf")
	gone := time.Duration(500+rand.IntN(logins()/50*1000)) * time.Millisecond
	c.load(t, []string{balancer}, scenario.LoadOptions{Mix: &scenario.Mix{PKCE: 20}, Outages: true}, func(ctx context.Context) {
		if sleep.For(ctx, gone) != nil {
			return
		}
		c.Replicas[0].Kill()
		_ = sleep.For(ctx, time.Second)
		c.StartReplica(t, 0)
	})
}

// durable lets Redis keep every write through a kill.
func durable(t *testing.T) []string {
	return []string{"--appendonly", "yes", "--appendfsync", "always", "--dir", t.TempDir()}
}

// Redis goes away for five seconds: nothing that WeChat was told is lost.
func TestLoginsWhileRedisIsAway(t *testing.T) {
	c := start(t, nil, durable(t), nil)
	c.load(t, c.Bases, scenario.LoadOptions{Mix: &scenario.Mix{PKCE: 20}, Outages: true}, func(ctx context.Context) {
		if sleep.For(ctx, 1500*time.Millisecond) == nil {
			c.redisAway(ctx, t, 5*time.Second)
		}
	})
}

// redisAway kills Redis and starts it again after a while.
func (c *cluster) redisAway(ctx context.Context, t *testing.T, d time.Duration) {
	c.Redis.Kill()
	_ = sleep.For(ctx, d)
	c.StartRedis(t)
}

// Everything at once, for as long as it lasts: replicas that hold sockets and get
// pushes are killed in turn, Redis in between, while people do all they do and
// WeChat repeats, delays and reorders.
func TestLoginsWhileEverythingDies(t *testing.T) {
	c := start(t, nil, durable(t), []string{"POSTHOUSE_TICKET_TTL=20s"})
	c.load(t, c.Bases, scenario.LoadOptions{Outages: true}, func(ctx context.Context) {
		for i := 0; sleep.For(ctx, time.Duration(1000+rand.IntN(3000))*time.Millisecond) == nil; i++ {
			if i%4 == 3 {
				c.redisAway(ctx, t, 2*time.Second)
				continue
			}
			c.Replicas[i%3].Kill()
			_ = sleep.For(ctx, time.Second)
			c.StartReplica(t, i%3)
		}
	})
}

// No sticky sessions: round robin over three replicas, by the relay and by the map.
func TestPollingBehindRoundRobin(t *testing.T) {
	testenv.NodeDir(t)
	c := start(t, nil, nil, []string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32"})
	sessions := 1000
	if os.Getenv("POSTHOUSE_TEST_FULL") == "" {
		sessions = 150
	}
	for _, conf := range []string{"nginx.conf", "nginx-sidmap.conf"} {
		t.Run(conf, func(t *testing.T) {
			base := c.balancer(t, conf)
			out := testenv.Node(t, 4*time.Minute, filepath.Join("testdata", "polling.cjs"), base, strconv.Itoa(sessions))
			t.Log(out)
			if !strings.Contains(out, fmt.Sprintf("%d sessions, 0 bad answers", sessions)) {
				t.Fail()
			}
		})
	}
}

// A session whose replica is gone is told so at once, so that its client starts over.
func TestADeadOwnerAnswersAtOnce(t *testing.T) {
	c := start(t, nil, nil, nil)
	resp, err := http.Get(c.Bases[0] + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	var open bytes.Buffer
	_, _ = open.ReadFrom(resp.Body)
	resp.Body.Close()
	_, rest, _ := strings.Cut(open.String(), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	poll := func() (int, string, time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.Bases[1]+"/socket.io/?EIO=4&transport=polling&sid="+sid, nil)
		began := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		return resp.StatusCode, body.String(), time.Since(began)
	}
	c.Replicas[0].Kill()
	status, body, took := poll()
	t.Logf("answered after %v", took)
	if status != http.StatusBadRequest || body != `{"code":1,"message":"Session ID unknown"}` {
		t.Errorf("%d %s", status, body)
	}
}
