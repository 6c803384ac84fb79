package main

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"posthouse/internal/testenv"
)

// balancerFaults are what happens at the balancer (docs/reliability.md §3).
var balancerFaults = []row{{
	id: "F16", name: "nginx is reloaded 20 times in 20 s",
	does:   "SIGHUP to the shipped nginx while codes are scanned, others once its old workers have cut their connections; a prober asks /healthz all the time",
	bar:    "0 lost; ≤ 1 reconnect a page and reload; 0 requests refused",
	guards: "pages come back with their secret (the mutation is F13's)",
	logins: 300, rig: rig{balancer: "nginx.conf"},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		early, late := tabs[:len(tabs)/2], tabs[len(tabs)/2:]
		var asked, refused atomic.Int64
		stop, probing := make(chan struct{}), make(chan struct{})
		go func() { // ends with stop; waited for below
			defer close(probing)
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, _, _ := s.get(s.gateways[0] + "/healthz")
				if asked.Add(1); status != 200 {
					refused.Add(1)
				}
				s.pause(20 * time.Millisecond)
			}
		}()
		const reloads = 20
		for i := range reloads {
			s.need(s.balancer.Process.Signal(syscall.SIGHUP))
			s.scan(early[i*len(early)/reloads : (i+1)*len(early)/reloads])
			s.pause(time.Second)
		}
		// The workers of before cut what they still carry (worker_shutdown_timeout).
		waited, cut := s.until(s.slack(45*time.Second), func() bool { return s.ledger.tally().dropped >= len(late) })
		s.must(cut, "%d of %d pages lost the connection of an old worker", s.ledger.tally().dropped, len(late))
		s.scan(late)
		close(stop)
		<-probing
		t := s.settle(lateAfter)
		s.figure("%d reloads, %d lost connections of %d pages, %v after the last reload; %d of %d probes refused", reloads, t.dropped, len(tabs), round(waited), refused.Load(), asked.Load())
		s.must(t.dropped <= reloads*len(tabs), "%d connections were lost", t.dropped)
		s.must(refused.Load() == 0, "%d of %d probes were refused", refused.Load(), asked.Load())
	},
}, {
	id: "F17", name: "polling without sticky sessions, and a dead upstream",
	does:   "npm's clients 2.5, 3.1 and 4.8 poll through round robin (nginx as shipped); then a replica is killed and pages go on; the same behind HAProxy",
	bar:    "0 bad HTTP answers; 0 lost",
	guards: "a request of another replica's session is relayed to its owner",
	logins: 90, rig: rig{balancer: "nginx.conf"},
	run: func(s *stage) {
		const sessions = 60
		script := filepath.Join(testenv.Root(), "internal", "interop", "cluster", "testdata", "polling.cjs")
		out := strings.TrimSpace(testenv.Node(s, 2*time.Minute, script, s.gateways[0], strconv.Itoa(sessions)))
		s.figure("%s", out)
		s.must(containsAll(out, strconv.Itoa(sessions)+" sessions, 0 bad answers"), "%s", out)
		tabs := s.open(s.logins)
		s.cluster.Replicas[2].Kill()
		s.scan(tabs)
		s.settle(lateAfter)
		s.cluster.StartReplica(s, 2)

		base, haproxy := s.cluster.Balancer(s, "haproxy.cfg")
		s.gateways = []string{base}
		out = strings.TrimSpace(testenv.Node(s, 2*time.Minute, script, base, strconv.Itoa(sessions)))
		s.figure("HAProxy: %s", out)
		s.must(containsAll(out, strconv.Itoa(sessions)+" sessions, 0 bad answers"), "HAProxy: %s", out)
		tabs = s.open(s.logins)
		s.cluster.Replicas[1].Kill()
		s.scan(tabs)
		s.settle(lateAfter)
		s.cluster.StartReplica(s, 1)
		s.each(s.tabs, 64, (*tab).close)
		_ = haproxy.Stop(5 * time.Second) // it keeps idle connections
	},
}}
