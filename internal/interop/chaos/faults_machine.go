package main

import (
	"syscall"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio/client"
)

// machineFaults are what happens to the machine (docs/reliability.md §3).
var machineFaults = []row{{
	id: "F22", name: "the wall clock is wrong by an hour, by a day",
	does: "services with clocks of their own; Redis' time moved", bar: "tickets live by Redis' time; nbf and exp have a leeway of 30 s; timers are monotonic",
	guards: "no time of a ticket is the application's",
	tests:  []goTests{{"./internal/login", "TestService_OwnClockDoesNotJudgeTickets|TestIssuer_Verify_LeewayOf30Seconds"}},
}, {
	id: "F23", alone: true, name: "little memory: a cgroup of 100 MB",
	does:   "a replica in a memory cgroup with pages; handshakes that nobody goes on with fill it until it refuses; the pages' codes are scanned meanwhile",
	bar:    "503 + Retry-After before the kernel kills: 0 OOM kills; logins and health go on; it takes new connections again by itself; the collector's limit is 80 % of the cgroup's",
	guards: "new connections stop at 85 % of the memory; GOMEMLIMIT follows the cgroup",
	logins: 60, rig: rig{none: true, env: []string{"POSTHOUSE_LIMIT_CONNECTIONS=off"}},
	run: littleMemory,
}, {
	id: "F24", alone: true, name: "few descriptors: 200",
	does:   "a replica with `ulimit -n 200` meets 400 pages; the codes that are shown are scanned",
	bar:    "new sockets are refused at 80 %; health and pushes are answered; it recovers",
	guards: "admission keeps a fifth of the descriptors for Redis, WeChat and pushes",
	short:  1, rig: rig{none: true},
	run: func(s *stage) {
		s.logins = 400
		base, p, metrics := s.wrapped("ulimit -n 200")
		s.gateways = []string{base}
		tabs := s.start(s.logins, client.Options{Transports: []string{"websocket"}, NoReconnect: true})
		refused := func() float64 { return metrics()[`posthouse_refused_total{limit="descriptors"}`] }
		_, ok := s.until(s.slack(20*time.Second), func() bool { return refused() >= float64(s.logins)/2 })
		s.must(ok, "%.0f sockets were refused", refused())
		var shown []*tab
		s.until(10*time.Second, func() bool {
			shown = nil
			for _, t := range tabs {
				if s.has(t) {
					shown = append(shown, t)
				}
			}
			return len(shown) > 40
		})
		open := metrics()["process_open_fds"]
		s.must(open <= 190, "%.0f of 200 descriptors are open: sockets have used those of Redis, WeChat and pushes", open)
		status, _, took := s.get(base + "/healthz")
		s.must(status == 200 && took < s.slack(time.Second), "/healthz: %d after %v", status, round(took))
		s.scan(shown)
		s.settle(lateAfter)
		s.figure("%d pages have a code, %.0f were refused, %.0f descriptors were open; /healthz after %v", len(shown), refused(), open, round(took))
		s.must(len(shown) > 20, "only %d pages have a code", len(shown))
		s.each(s.tabs, 64, (*tab).close)
		s.until(10*time.Second, func() bool { return metrics()["posthouse_connections"] == 0 })
		s.tabs = nil
		s.openAt(base, 20) // it takes new ones again
		s.must(!containsAll(p.Output(), "panic"), "it panicked")
	},
}, {
	id: "F25", alone: true, name: "the processor is taken away: half of the time, then 10 s at once",
	does:   "SIGSTOP and SIGCONT of all replicas, 100 ms each, while codes are scanned; then a stall of 10 s",
	bar:    "no page is dropped; 0 lost",
	guards: "a ping may wait for 20 s",
	logins: 200, rig: rig{},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		signal := func(sig syscall.Signal) {
			for _, p := range s.cluster.Replicas {
				s.need(p.Process.Signal(sig))
			}
		}
		scanning := make(chan struct{})
		go func() { // ends with the scans; waited for below
			defer close(scanning)
			s.each(tabs[:len(tabs)/2], 8, func(t *tab) { s.scanOne(t) })
		}()
		for range 40 {
			signal(syscall.SIGSTOP)
			s.pause(100 * time.Millisecond)
			signal(syscall.SIGCONT)
			s.pause(100 * time.Millisecond)
		}
		<-scanning
		signal(syscall.SIGSTOP)
		s.pause(10 * time.Second)
		signal(syscall.SIGCONT)
		s.scan(tabs[len(tabs)/2:])
		t := s.settle(lateAfter)
		s.must(t.dropped == 0, "%d pages were dropped", t.dropped)
	},
}, {
	id: "F26", name: "the disk is full",
	does:   "a replica whose output is /dev/full serves logins; the spool's file cannot be written",
	bar:    "the service goes on; a claim that cannot be kept is not answered `success`",
	guards: "`success` needs durability",
	logins: 40, rig: rig{none: true},
	tests: []goTests{{"./internal/login", "TestSpoolRefusesWhenTheDiskFails|TestSpool_WriteThatFails|TestService_Claim_WithoutSpoolThereIsNoSuccess"}},
	run: func(s *stage) {
		base, _, _ := s.wrapped("exec >/dev/full 2>&1")
		s.scan(s.openAt(base, s.logins))
		status, _, _ := s.get(base + "/healthz")
		s.must(status == 200, "/healthz: %d", status)
	},
}}

// wrapped starts one replica from a shell that prepares its process, with a WeChat beside
// it; it returns its URL, the process and its metrics.
func (s *stage) wrapped(prepare string) (base string, p *testenv.Process, metrics func() map[string]float64) {
	s.Helper()
	inner := newStage(s.TB, row{id: s.row.id, rig: rig{replicas: 1, noRedis: true, env: s.row.rig.env}}, s.logins, s.seed)
	s.cluster, s.gateways = inner.cluster, inner.gateways
	s.cluster.Replicas[0].Kill()
	s.cluster.Wrap = prepare
	s.cluster.StartReplica(s, 0)
	s.idle = []sizes{s.sizes(0)}
	return s.cluster.Bases[0], s.cluster.Replicas[0], func() map[string]float64 { return s.metrics(0) }
}

// openAt opens pages at one address.
func (s *stage) openAt(base string, n int) []*tab {
	s.Helper()
	s.gateways = []string{base}
	return s.open(n)
}
