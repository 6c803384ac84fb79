package cluster_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/sleep"
	"posthouse/internal/testenv"
	"posthouse/internal/wxsim/scenario"
	"posthouse/socketio"
	"posthouse/socketio/client"
)

// rollingClients is how many clients stay connected through a rolling restart; 1000 in
// the long run that POSTHOUSE_TEST_ROLLING=1000 asks for, with 20 logins a second.
func rollingClients() (clients int, loginsPerSecond float64) {
	if n, err := strconv.Atoi(os.Getenv("POSTHOUSE_TEST_ROLLING")); err == nil && n > 0 {
		return n, 20
	}
	return 60, 8
}

// audience is clients that stay connected, and when each came back.
type audience struct {
	sockets []*client.Socket

	mu        sync.Mutex // guards what follows
	lostAt    map[int]time.Time
	comeBacks []time.Time
	longest   time.Duration
}

func newAudience(t *testing.T, url string, n int) *audience {
	t.Helper()
	a := &audience{lostAt: map[int]time.Time{}}
	for i := range n {
		s, err := client.New(url, &client.Options{Transports: []string{"websocket"}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Manager().Close() })
		s.OnDisconnect(func(socketio.Reason, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.lostAt[i] = time.Now()
		})
		s.OnConnect(func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			if at, lost := a.lostAt[i]; lost {
				delete(a.lostAt, i)
				a.comeBacks = append(a.comeBacks, time.Now())
				a.longest = max(a.longest, time.Since(at))
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		a.sockets = append(a.sockets, s)
	}
	return a
}

func (a *audience) connected() (n int) {
	for _, s := range a.sockets {
		if s.Connected() {
			n++
		}
	}
	return n
}

// takePeak forgets the come-backs so far, and returns how many came in the fullest second
// and in the mean one.
func (a *audience) takePeak() (peak int, mean float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.comeBacks
	a.comeBacks = nil
	if len(all) == 0 {
		return 0, 0
	}
	perSecond := map[int]int{}
	last := 0
	for _, at := range all {
		second := int(at.Sub(all[0]) / time.Second)
		perSecond[second]++
		peak, last = max(peak, perSecond[second]), max(last, second)
	}
	return peak, float64(len(all)) / float64(last+1)
}

// reloadEvery makes nginx read its configuration again, until the test ends. Workers of before
// keep their WebSockets for worker_shutdown_timeout.
func reloadEvery(t *testing.T, nginx *testenv.Process, pause time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		n := 0
		for sleep.For(ctx, pause) == nil {
			if err := nginx.Process.Signal(syscall.SIGHUP); err != nil {
				t.Error(err)
			}
			n++
		}
		ended <- n
	}()
	t.Cleanup(func() {
		stop()
		t.Logf("nginx was reloaded %d times", <-ended)
	})
}

// Three replicas are restarted one after the other (docs/operations.md, Rolling restart).
func TestRollingRestart_BehindABalancer_NoLoginIsLost(t *testing.T) {
	for _, c := range []struct {
		conf    string
		reloads time.Duration // pause between reloads of the balancer; 0: none
	}{{conf: "nginx.conf"}, {conf: "haproxy.cfg"}, {conf: "nginx.conf", reloads: 3 * time.Second}} {
		name, conf, reloads := c.conf, c.conf, c.reloads
		if reloads > 0 {
			name += " that is reloaded"
		}
		clients, rate := rollingClients()
		if conf == "nginx.conf" && reloads == 0 && clients < 300 {
			continue // the short run has it with reloads
		}
		t.Run(name, func(t *testing.T) {
			c := start(t, nil, nil, []string{"POSTHOUSE_TRUSTED_PROXIES=127.0.0.1/32", "POSTHOUSE_DRAIN=10s", "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=off"})
			balancer, process := c.Balancer(t, conf)
			if reloads > 0 {
				reloadEvery(t, process, reloads)
			}
			c.PushTo(t, balancer+"/callback/wechat")
			a := newAudience(t, balancer, clients)
			began := time.Now()
			// Outages: tabs on a replica that drains lose their connection; no push may.
			report := c.load(t, []string{balancer}, scenario.LoadOptions{Logins: int(rate * 30), Rate: rate, Outages: true}, func(ctx context.Context) {
				for i := range c.Replicas {
					if sleep.For(ctx, time.Second) != nil {
						t.Error("the logins ended before the restart")
						return
					}
					if err := c.Replicas[i].Stop(20 * time.Second); err != nil {
						t.Errorf("replica %d: %v\n%s", i, err, c.Replicas[i].Output())
					}
					c.StartReplica(t, i)
					testenv.Until(t, time.Minute, "every client is back", func() bool { return a.connected() == clients })
					peak, mean := a.takePeak()
					t.Logf("replica %d: reconnects: peak %d/s, mean %.1f/s", i, peak, mean)
					// A reload ends all sockets of a worker at once.
					if clients >= 300 && reloads == 0 && float64(peak) > 2*mean {
						t.Errorf("replica %d: the peak of reconnects is %d/s, the mean %.1f/s", i, peak, mean)
					}
				}
			})
			if cb := report.Callback; cb.Unconnected+cb.Broke > 0 {
				t.Errorf("%d pushes met no connection, %d lost it", cb.Unconnected, cb.Broke)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			t.Logf("%d clients, %.0f logins/s, %v in all; the longest absence of a client: %v", clients, rate, time.Since(began).Round(time.Second), a.longest)
			if a.longest > time.Minute {
				t.Error("a client was away for more than a minute")
			}
		})
	}
}
