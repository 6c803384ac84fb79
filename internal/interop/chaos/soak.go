package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/sleep"
	"posthouse/internal/testenv/faultproxy"
	"posthouse/socketio/client"
)

// samples are sizes over time.
type samples []sample

type sample struct {
	at    time.Duration
	sizes sizes
}

func (s *samples) add(at time.Duration, z sizes) { *s = append(*s, sample{at, z}) }

// slope is the change a second of one size by linear regression, and its standard error.
func (s samples) slope(of func(sizes) float64) (slope, deviation float64) {
	var n, sumX, sumY, sumXX, sumXY float64
	for _, sample := range s {
		x, y := sample.at.Seconds(), of(sample.sizes)
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	d := n*sumXX - sumX*sumX
	if n < 3 || d == 0 {
		return 0, 0
	}
	slope = (n*sumXY - sumX*sumY) / d
	start := (sumY - slope*sumX) / n
	var residue float64
	for _, sample := range s {
		off := of(sample.sizes) - start - slope*sample.at.Seconds()
		residue += off * off
	}
	return slope, math.Sqrt(residue / (n - 2) * n / d)
}

// soakWindow is as long as the time in which a soak's sizes have one low: some faults, and the
// quiet between them.
const soakWindow = 5 * time.Minute

// lows are the samples with the smallest size of each window. A disturbance makes sizes grow for
// a while; only what stays raises the lows.
func (s samples) lows(of func(sizes) float64, window time.Duration) (low samples) {
	for _, sample := range s {
		n := len(low) - 1
		switch {
		case n < 0 || sample.at/window != low[n].at/window:
			low = append(low, sample)
		case of(sample.sizes) < of(low[n].sizes):
			low[n] = sample
		}
	}
	return low
}

// soakRig is everything that can break, each edge with its proxy.
var soakRig = rig{balancer: "nginx.conf", redis: "durable", edges: redisEdge | wechatEdge | clientEdge,
	env: []string{"POSTHOUSE_DRAIN=5s", "POSTHOUSE_LIMIT_QRCODES_PER_BROWSER=off", "POSTHOUSE_QRCODES_PER_DAY=off"}}

// soakFault is one disturbance of the soak; it heals what it breaks.
type soakFault struct {
	name string
	do   func(s *stage)
}

// soakFaults spare replicas 1 and 2, whose sizes are regressed over the whole time.
var soakFaults = []soakFault{
	{"replica 3 is killed", func(s *stage) { s.cluster.Replicas[2].Kill(); s.pause(time.Second); s.cluster.StartReplica(s, 2) }},
	{"replica 3 restarts", func(s *stage) { _ = s.cluster.Replicas[2].Stop(20 * time.Second); s.cluster.StartReplica(s, 2) }},
	{"Redis is killed for 3 s", func(s *stage) {
		s.cluster.Redis.Kill()
		s.pause(3 * time.Second)
		s.cluster.StartRedis(s)
		s.awaitRedis()
	}},
	{"Redis hangs for 3 s", func(s *stage) {
		s.need(s.cluster.Redis.Process.Signal(syscall.SIGSTOP))
		s.pause(3 * time.Second)
		s.need(s.cluster.Redis.Process.Signal(syscall.SIGCONT))
	}},
	{"a subscription is cut off for 5 s", func(s *stage) {
		edge := s.redis[s.random.IntN(3)]
		edge.Set("subscribe", faultproxy.Fault{Blackhole: true})
		s.pause(5 * time.Second)
		edge.Heal()
	}},
	{"a replica is cut off from Redis for 5 s", func(s *stage) {
		edge := s.redis[s.random.IntN(3)]
		edge.Set("", faultproxy.Fault{Blackhole: true})
		s.pause(5 * time.Second)
		edge.Heal()
	}},
	{"subscriptions are killed", func(s *stage) { s.redisCommand("CLIENT", "KILL", "TYPE", "PUBSUB") }},
	{"every page's connection is reset", func(s *stage) { s.client.Cut("") }},
	{"pages have 200 ms of delay for 5 s", func(s *stage) {
		s.client.Set("", faultproxy.Fault{Delay: 200 * time.Millisecond})
		s.pause(5 * time.Second)
		s.client.Heal()
	}},
	{"WeChat's API breaks for 5 s", func(s *stage) {
		s.wechat.Set("", faultproxy.Fault{Refuse: true})
		s.pause(5 * time.Second)
		s.wechat.Heal()
	}},
	{"nginx is reloaded", func(s *stage) { s.need(s.balancer.Process.Signal(syscall.SIGHUP)) }},
}

// runSoak is docs/reliability.md §3 row F37: logins and churn, a random fault every minute, and the slopes of what
// must not grow.
func runSoak(ctx context.Context, out io.Writer, length time.Duration, seed uint64) int {
	fmt.Fprintf(out, "F37  soak of %v, seed %d\n", length, seed)
	t := newCommandTB(ctx, "F37")
	t.run(func(t testing.TB) {
		s := newStage(t, row{id: "F37", rig: soakRig}, 0, seed)
		s.soak(out, length)
		s.judge()
		for _, f := range s.figures {
			fmt.Fprintf(out, "    saw  %s\n", f)
		}
	})
	fmt.Fprintln(out, "    bar  memory ≤ +1 MB/h after warm-up, goroutines and descriptors flat, no invariant broken")
	for _, line := range t.errors {
		fmt.Fprintf(out, "    why  %s\n", tail(line, 2000))
	}
	if t.Failed() {
		fmt.Fprintln(out, "    FAIL")
		return 1
	}
	fmt.Fprintln(out, "    PASS")
	return 0
}

// shortestVerdict is the shortest soak whose slopes are judged.
const shortestVerdict = 40 * time.Minute

const (
	// soakRate is how many logins begin a second.
	soakRate = 5
	// soakLooks is how long people look at their code at most before they scan it: a hundred
	// pages or so are open when something breaks.
	soakLooks = 40 * time.Second
)

func (s *stage) soak(out io.Writer, length time.Duration) {
	ctx, stop := context.WithTimeout(s.Context(), length)
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	began := time.Now()
	var begun, over atomic.Int64
	work.Go(func() {
		people := rand.New(rand.NewPCG(s.seed, 2)) // of this goroutine alone
		for n := 0; sleep.For(ctx, time.Second/soakRate) == nil; n++ {
			begun.Add(1)
			looks := time.Duration(people.Int64N(int64(soakLooks)))
			work.Go(func() { s.soakLogin(ctx, n, looks); over.Add(1) })
		}
	})
	warm := min(time.Hour, length/4)
	tracks := make([]samples, 2)
	work.Go(func() {
		for sleep.For(ctx, 5*time.Second) == nil {
			for i := range tracks {
				if z := s.sizes(i); z.goroutines > 0 && z.descriptors > 0 && time.Since(began) > warm {
					tracks[i].add(time.Since(began), z)
				}
			}
		}
	})
	for sleep.For(ctx, min(time.Minute, length/10)) == nil {
		fault := soakFaults[s.random.IntN(len(soakFaults))]
		fmt.Fprintf(out, "    %6s  %s (%d logins begun, %d over)\n", time.Since(began).Round(time.Second), fault.name, begun.Load(), over.Load())
		fault.do(s)
	}
	work.Wait()
	if length < shortestVerdict {
		s.figure("shorter than %v: caches and the collector still find their sizes, so the slopes are told and not judged", shortestVerdict)
	}
	for i, track := range tracks {
		s.holdFlat(i, track, length >= shortestVerdict)
	}
}

// text is the sizes in a row.
func (s samples) text(of func(sizes) float64, unit float64) string {
	var words []string
	for _, sample := range s {
		words = append(words, strconv.FormatFloat(of(sample.sizes)/unit, 'f', 1, 64))
	}
	return strings.Join(words, " ")
}

// holdFlat judges the slopes of a replica: of the lows of its sizes, which disturbances do not move. A slope counts as above its bar when it is so by
// more than two standard errors: what a short run cannot tell is not a verdict.
func (s *stage) holdFlat(replica int, track samples, judged bool) {
	for _, size := range []struct {
		name  string
		unit  float64
		bar   float64 // an hour
		value func(sizes) float64
	}{
		{"memory in MB", 1 << 20, 1, func(z sizes) float64 { return z.memory }},
		{"heap in MB", 1 << 20, 1, func(z sizes) float64 { return z.heap }},
		{"goroutines", 1, 2, func(z sizes) float64 { return z.goroutines }},
		{"descriptors beside those of clients", 1, 2, func(z sizes) float64 { return z.descriptors - z.accepted }},
	} {
		all, spread := track.slope(size.value)
		low := track.lows(size.value, soakWindow)
		slope, deviation := low.slope(size.value)
		slope, deviation = slope*3600/size.unit, deviation*3600/size.unit
		s.figure("replica %d, %s: lows %+.2f ± %.2f an hour (%s); all %d samples %+.2f ± %.2f", replica+1, size.name, slope, deviation,
			low.text(size.value, size.unit), len(track), all*3600/size.unit, spread*3600/size.unit)
		s.must(!judged || slope-2*deviation <= size.bar, "replica %d, %s grow by %.2f ± %.2f an hour", replica+1, size.name, slope, deviation)
	}
}

// soakLogin is one page from its opening to its end. Its person scans after a while.
func (s *stage) soakLogin(ctx context.Context, n int, looks time.Duration) {
	o := client.Options{}
	if n%2 == 0 {
		o.Transports = []string{"websocket"}
	}
	t, err := openTab(s.ledger, fmt.Sprintf("person-%d-%d", s.seed, n), s.gateways[0], o)
	if err != nil {
		s.Error(err)
		return
	}
	defer t.close()
	_ = t.socket.Open()
	if _, shown := s.until(time.Minute, func() bool { return s.has(t) }); !shown {
		s.Errorf("not met: %s got no code in a minute", t.login.person)
		return
	}
	_ = sleep.For(ctx, looks) // at the end of the soak people scan at once
	if n%10 == 9 {
		return // a person who leaves
	}
	s.scanOne(t)
	s.until(time.Minute, func() bool {
		var waits bool
		s.ledger.note(func() { waits = t.login.waits() })
		return !waits
	})
}
