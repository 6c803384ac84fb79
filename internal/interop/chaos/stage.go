package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/sleep"
	"posthouse/internal/testenv"
	"posthouse/internal/testenv/faultproxy"
	"posthouse/socketio/client"
)

// stage is a row under way: what stands, what was seen, and what it came to. A row runs on
// one goroutine.
type stage struct {
	testing.TB
	row    row
	logins int
	seed   uint64
	random *rand.Rand

	cluster  *testenv.Cluster
	gateways []string // where browsers connect: the balancer, or the replicas in turn
	balancer *testenv.Process
	redis    []*faultproxy.Proxy // by replica
	wechat   *faultproxy.Proxy
	client   *faultproxy.Proxy // before the balancer, or before the first replica
	ledger   *ledger
	tabs     []*tab
	idle     []sizes  // of each replica before the row
	pools    []string // servers of a Redis of several: the gateway keeps a pool of connections for each
	figures  []string
	http     *http.Client
}

// newStage builds the rig of a row.
func newStage(t testing.TB, r row, logins int, seed uint64) *stage {
	s := &stage{TB: t, row: r, logins: logins, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), ledger: newLedger()}
	s.http = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(s.http.CloseIdleConnections)
	if r.rig.none {
		return s
	}
	// The collector's pace is fixed, so that sizes can be compared.
	o := testenv.ClusterOptions{Replicas: r.rig.replicas, Callbacks: r.rig.pushTo, NoRedis: r.rig.noRedis,
		Env: append([]string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32", "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=off", "POSTHOUSE_LIMIT_WEBHOOK=100000", "GOGC=100"}, r.rig.env...)}
	switch r.rig.redis {
	case "durable":
		o.RedisArgs = []string{"--appendonly", "yes", "--appendfsync", "always", "--dir", t.TempDir()}
	case "everysec":
		o.RedisArgs = []string{"--appendonly", "yes", "--appendfsync", "everysec", "--dir", t.TempDir()}
	}
	o.RedisArgs = append(o.RedisArgs, r.rig.args...)
	if r.rig.edges&redisEdge != 0 {
		o.RedisURL = func(i int, addr string) string {
			for len(s.redis) <= i {
				s.redis = append(s.redis, s.proxy(addr))
			}
			return "redis://" + s.redis[i].Addr()
		}
	}
	if r.rig.edges&wechatEdge != 0 {
		o.WeChatURL = func(url string) string {
			s.wechat = s.proxy(strings.TrimPrefix(url, "http://"))
			return "http://" + s.wechat.Addr()
		}
	}
	s.cluster = testenv.StartCluster(t, o)
	s.gateways = s.cluster.Bases
	if r.rig.balancer != "" {
		var base string
		base, s.balancer = s.cluster.Balancer(t, r.rig.balancer)
		s.gateways = []string{base}
	}
	if r.rig.edges&clientEdge != 0 {
		s.client = s.proxy(strings.TrimPrefix(s.gateways[0], "http://"))
		s.gateways = []string{"http://" + s.client.Addr()}
	}
	for i := range s.cluster.Bases {
		s.idle = append(s.idle, s.sizes(i))
	}
	return s
}

func (s *stage) proxy(target string) *faultproxy.Proxy {
	p, err := faultproxy.New(target)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(p.Close)
	return p
}

// figure is a number of the row's output.
func (s *stage) figure(format string, args ...any) {
	s.figures = append(s.figures, fmt.Sprintf(format, args...))
}

// barNotMet begins the line of a bar or an invariant that a row does not meet; lines of a
// preparation that failed begin otherwise.
const barNotMet = "not met: "

// endAtFirstRed ends the row when its first failure is enough.
func endAtFirstRed(t testing.TB) {
	if c, ok := t.(*commandTB); ok && c.firstRed {
		runtime.Goexit()
	}
}

// must holds the row against a bar.
func (s *stage) must(ok bool, format string, args ...any) {
	s.Helper()
	if !ok {
		s.Errorf(barNotMet+format, args...)
		endAtFirstRed(s.TB)
	}
}

// need ends the row when its preparation failed.
func (s *stage) need(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// pause lets time pass that belongs to the fault.
func (s *stage) pause(d time.Duration) { _ = sleep.For(s.Context(), d) }

// until waits for a condition and returns how long that took; false: it did not come.
func (s *stage) until(limit time.Duration, done func() bool) (took time.Duration, ok bool) {
	began := time.Now()
	for !done() {
		if time.Since(began) > limit || sleep.For(s.Context(), 10*time.Millisecond) != nil {
			return time.Since(began), false
		}
	}
	return time.Since(began), true
}

// open opens n login pages and waits until each shows its code.
func (s *stage) open(n int) []*tab {
	s.Helper()
	tabs := s.start(n, client.Options{})
	shown := func() (n int) {
		s.ledger.note(func() {
			for _, t := range tabs {
				if t.login.ticket != "" {
					n++
				}
			}
		})
		return n
	}
	if took, ok := s.until(60*time.Second, func() bool { return shown() == n }); !ok {
		s.ledger.note(func() { s.Logf("refused: %v", s.ledger.refused) })
		s.Fatalf("%d of %d pages show a code after %v", shown(), n, took)
	}
	return tabs
}

// start opens n login pages without waiting. Three of four begin with a WebSocket.
func (s *stage) start(n int, o client.Options) (tabs []*tab) {
	s.Helper()
	for range n {
		i := len(s.tabs)
		options := o
		if options.Transports == nil && i%4 != 3 {
			options.Transports = []string{"websocket"}
		}
		t, err := openTab(s.ledger, fmt.Sprintf("person-%d-%d", s.seed, i), s.gateways[i%len(s.gateways)], options)
		s.need(err)
		s.Cleanup(t.close)
		s.tabs = append(s.tabs, t)
		tabs = append(tabs, t)
		s.need(t.socket.Open())
	}
	return tabs
}

// delivery is one delivery of a push.
type delivery struct {
	Status  int
	MS      int64
	Verdict string
}

// scan lets the persons of pages scan their codes, and waits until WeChat has its answers.
func (s *stage) scan(tabs []*tab) {
	s.Helper()
	s.each(tabs, 32, func(t *tab) { s.scanOne(t) })
}

// each does f for all pages, some at a time.
func (s *stage) each(tabs []*tab, atOnce int, f func(*tab)) {
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, t := range tabs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f(t)
		})
	}
	all.Wait()
}

// scanOne is one scan. The ledger is told what WeChat was answered.
func (s *stage) scanOne(t *tab) []delivery {
	var ticket string
	s.ledger.note(func() {
		ticket = t.login.ticket
		t.login.scanned = time.Now()
	})
	var out struct {
		OpenID     string
		Deliveries []delivery
		Error      string
	}
	status, err := s.post(s.cluster.WeChat+"/sim/scan", map[string]any{"person": t.login.person, "ticket": ticket, "follow": true}, &out)
	if err != nil || status != http.StatusOK {
		s.Errorf("scan of %s: %d %s %v", t.login.person, status, out.Error, err)
		return nil
	}
	s.ledger.note(func() {
		t.login.openid = out.OpenID
		if n := len(out.Deliveries); n > 0 && out.Deliveries[n-1].Verdict == "success" {
			t.login.answered = time.Now()
		}
	})
	return out.Deliveries
}

// post sends JSON and reads JSON.
func (s *stage) post(url string, body, out any) (int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	q, err := http.NewRequestWithContext(context.WithoutCancel(s.Context()), http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := s.http.Do(q)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	return r.StatusCode, json.NewDecoder(r.Body).Decode(out)
}

// get returns the status, the body and how long the answer took.
func (s *stage) get(url string) (int, string, time.Duration) {
	began := time.Now()
	r, err := s.http.Get(url)
	if err != nil {
		return 0, err.Error(), time.Since(began)
	}
	defer r.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	return r.StatusCode, body.String(), time.Since(began)
}

// host is the host:port of a URL.
func host(url string) string { return strings.TrimPrefix(url, "http://") }

// raw opens a TCP connection to a URL's host and sends text.
func (s *stage) raw(url, text string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", host(url), 5*time.Second)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write([]byte(text)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// settle waits until no login waits any more.
func (s *stage) settle(limit time.Duration) tally {
	s.until(limit, func() bool { return s.ledger.tally().lost == 0 })
	return s.ledger.tally()
}
