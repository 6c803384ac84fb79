package main

import (
	"strings"
	"syscall"
	"time"

	"posthouse/internal/testenv/faultproxy"
)

// redisFaults are what happens to Redis and to the way there (docs/reliability.md §3).
var redisFaults = []row{{
	id: "F1", alone: true, name: "Redis is killed and comes back after 5 s, AOF everysec",
	does:   "half of the codes are scanned 1 s before the kill, the rest while Redis is away",
	bar:    "0 lost; tokens ≤ 2 s after Redis is back; no socket is dropped",
	guards: "claims that Redis cannot take go to the spool before WeChat gets `success`",
	logins: 1000, short: 60, rig: rig{redis: "everysec", pushTo: []int{1, 2}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		half := tabs[:len(tabs)/2]
		s.scan(half)
		s.pause(time.Second)
		s.cluster.Redis.Kill()
		away := time.Now()
		s.scan(tabs[len(tabs)/2:])
		s.pause(time.Until(away.Add(5 * time.Second)))
		s.cluster.StartRedis(s)
		s.awaitRedis()
		back := time.Now()
		s.figure("%d scans while Redis was away", len(tabs)-len(half))
		t := s.settle(lateAfter)
		late := s.ledger.since(back)
		s.figure("%d tokens after Redis was back: p50 %v max %v", len(late), round(at(late, .5)), round(at(late, 1)))
		s.must(at(late, 1) <= s.slack(2*time.Second), "a token came %v after Redis was back", round(at(late, 1)))
		s.must(t.dropped == 0, "%d sockets were dropped", t.dropped)
		s.must(t.unanswered == 0, "%d pushes were not answered", t.unanswered)
	},
}, {
	id: "F2", name: "Redis restarts without persistence",
	does:   "codes are shown, Redis is killed and starts empty; the pages know nothing of it",
	bar:    "every page is told `expired` ≤ 5 s after Redis is back, and gets a new code that works",
	guards: "a replica that finds its ticket gone tells the page",
	logins: 500, short: 40, rig: rig{},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		for _, t := range tabs {
			t.again = true
		}
		old := s.tickets()
		s.cluster.Redis.Kill()
		s.cluster.StartRedis(s)
		s.awaitRedis()
		back := time.Now()
		told := func() (n int) {
			s.ledger.note(func() {
				for _, t := range tabs {
					for _, state := range t.login.states {
						if state == "expired" {
							n++
							break
						}
					}
				}
			})
			return n
		}
		s.until(12*time.Second, func() bool { return told() == len(tabs) })
		took := time.Since(back)
		s.figure("%d of %d pages were told `expired`, the last after %v", told(), len(tabs), round(took))
		s.must(told() == len(tabs) && took <= s.slack(6*time.Second), "%d of %d pages were told within %v", told(), len(tabs), round(took))
		_, ok := s.until(20*time.Second, func() bool { return s.renewed(old) == len(tabs) })
		s.must(ok, "%d of %d pages got a new code", s.renewed(old), len(tabs))
		s.scan(tabs)
	},
}, {
	id: "F3", alone: true, name: "Redis hangs (SIGSTOP) for 3 s and for 10 s",
	does:   "codes are scanned while it hangs, new pages ask for codes",
	bar:    "no answer of /readyz or of a new code takes > 2 s; tokens ≤ 2 s after it goes on; 0 lost",
	guards: "every command has a deadline",
	logins: 600, short: 30, rig: rig{redis: "durable"},
	run: func(s *stage) {
		third := s.logins / 3
		for i, hang := range []time.Duration{3 * time.Second, 10 * time.Second} {
			tabs := s.open(third)
			s.need(s.cluster.Redis.Process.Signal(syscall.SIGSTOP))
			began := time.Now()
			newcomer := s.start(1, s.websocketOnly())[0]
			before := s.refusals()
			_, _, ready := s.get(s.cluster.Bases[0] + "/readyz")
			s.scan(tabs)
			pushed := time.Since(began)
			asked, refused := s.until(8*time.Second-time.Since(began)+hang, func() bool { return s.refusals() > before || time.Since(began) > hang })
			s.pause(time.Until(began.Add(hang)))
			s.need(s.cluster.Redis.Process.Signal(syscall.SIGCONT))
			back := time.Now()
			s.settle(lateAfter)
			late := s.ledger.since(back)
			s.figure("hang %v: /readyz %v, %d pushes in %v, new code refused %v after %v; tokens max %v after it went on",
				hang, round(ready), len(tabs), round(pushed), refused, round(asked), round(at(late, 1)))
			s.must(ready <= s.slack(2*time.Second), "/readyz took %v", round(ready))
			s.must(at(late, 1) <= s.slack(2*time.Second), "a token came %v after Redis went on", round(at(late, 1)))
			if i == 1 {
				s.must(s.refusals() > before, "a new code was not answered while Redis hung for %v", hang)
			}
			_, ok := s.until(10*time.Second, func() bool { return s.has(newcomer) })
			s.must(ok, "the new page has no code after Redis went on")
		}
	},
}, {
	id: "F5", alone: true, name: "one replica is cut off from Redis, TCP stays open",
	does:   "a blackhole between replica 1 and Redis; its pages' codes are scanned at the others",
	bar:    "other replicas' pages notice nothing; the replica says degraded ≤ 10 s; its pages get their tokens ≤ 5 s after the edge heals",
	guards: "a replica reads the state of its tickets when it hears Redis again",
	logins: 300, short: 45, rig: rig{edges: redisEdge, pushTo: []int{1, 2}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		s.redis[0].Set("", faultproxy.Fault{Blackhole: true})
		cut := time.Now()
		s.scan(tabs)
		degraded, ok := s.until(20*time.Second, func() bool { return s.degraded(0) })
		s.must(ok && degraded <= s.slack(10*time.Second), "the replica is not degraded after %v", round(time.Since(cut)))
		others := s.ledger.tally()
		s.figure("%d of %d tokens came while replica 1 was cut off; it said degraded after %v", others.signedIn, len(tabs), round(time.Since(cut)))
		s.must(others.signedIn >= len(tabs)*2/3, "other replicas' pages waited")
		s.redis[0].Cut("") // what was on its way is lost
		s.redis[0].Heal()
		healed := time.Now()
		s.settle(lateAfter)
		late := s.ledger.since(healed)
		s.figure("%d tokens after the edge healed: max %v", len(late), round(at(late, 1)))
		s.must(at(late, 1) <= s.slack(5*time.Second), "a token came %v after the edge healed", round(at(late, 1)))
	},
}, {
	id: "F4", name: "Redis fails over: a Sentinel promotes the replica, the old master hangs; a Redis Cluster loses a master",
	does:   "the master is stopped (SIGSTOP: TCP stays open, clients are stuck on it) while codes are shown; codes are scanned after the promotion; then the same with three replicas at a Redis Cluster, of which one master ends",
	bar:    "the subscription moves ≤ 2 probes (20 s); what replication lost ends as `expired`; 0 lost",
	guards: "the subscription proves itself and is made again where Redis is now",
	logins: 300, rig: rig{none: true},
	tests: []goTests{{"./adapter", "TestAdapters_SilentSubscriptionIsMadeAgain"}},
	run:   func(s *stage) { failover(s); clusterFailover(s) },
}, {
	id: "F6", alone: true, name: "the subscription is cut off, commands work",
	does:   "a blackhole on the connections that sent SUBSCRIBE; pushes come to other replicas than the pages'",
	bar:    "tokens ≤ 1.5 s after the push (p99), by reading the tickets",
	guards: "a page's ticket is read every second while the subscription is suspect",
	logins: 300, short: 40, rig: rig{edges: redisEdge, pushTo: []int{1, 2}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		s.redis[0].Set("subscribe", faultproxy.Fault{Blackhole: true})
		s.pause(time.Second)
		s.scan(tabs)
		t := s.settle(lateAfter)
		s.must(at(t.late, .99) <= s.slack(1500*time.Millisecond), "p99 %v", round(at(t.late, .99)))
		s.redis[0].Heal()
	},
}, {
	id: "F7", name: "subscriptions are killed every 200 ms for 20 s",
	does:   "CLIENT KILL TYPE PUBSUB while codes are scanned; then 4 s in which no subscription can be made",
	bar:    "0 lost; ≤ 10 new connections a second and replica",
	guards: "a lost subscription comes back after a pause that grows",
	logins: 300, rig: rig{edges: redisEdge},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		accepted := func() (n int64) {
			for _, p := range s.redis {
				n += p.Accepted()
			}
			return n
		}
		before, killing := accepted(), make(chan struct{})
		go func() { // ends after its hundred kills; waited for below
			defer close(killing)
			for range 100 {
				s.pause(200 * time.Millisecond)
				s.redisCommand("CLIENT", "KILL", "TYPE", "PUBSUB")
			}
		}()
		began := time.Now()
		for i := range 10 {
			s.scan(tabs[i*len(tabs)/10 : (i+1)*len(tabs)/10])
			s.pause(1500 * time.Millisecond)
		}
		<-killing
		for _, p := range s.redis { // and none can be made for a while
			p.Set("subscribe", faultproxy.Fault{Refuse: true})
		}
		s.pause(4 * time.Second)
		for _, p := range s.redis {
			p.Heal()
		}
		rate := float64(accepted()-before) / time.Since(began).Seconds() / float64(len(s.redis))
		s.figure("%.1f new connections to Redis a second and replica", rate)
		s.must(rate <= 10, "%.1f connections a second", rate)
	},
}, {
	id: "F8", name: "Redis cuts subscribers whose output buffer is full",
	does:   "client-output-buffer-limit pubsub 1mb; replica 1 does not read while 40 MB are published on its channels, then reads again",
	bar:    "0 lost logins",
	guards: "after a cut the tickets are read again",
	logins: 200, rig: rig{edges: redisEdge, pushTo: []int{1, 2}, args: []string{"--client-output-buffer-limit", "pubsub 1mb 1mb 1"}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		s.redis[0].Set("subscribe", faultproxy.Fault{Blackhole: true})
		channels := strings.Fields(s.redisCommand("PUBSUB", "CHANNELS"))
		burst := strings.Repeat("x", 1<<18)
		for range 20 {
			s.redisCommand("PUBLISH", "socket.io-request#/login#", burst)
			s.redisCommand("PUBLISH", "socket.io#/login#any#", burst)
		}
		s.scan(tabs[:len(tabs)/2])
		s.redis[0].Heal()
		s.scan(tabs[len(tabs)/2:])
		s.figure("channels: %d", len(channels))
	},
}, {
	id: "F11", alone: true, name: "Redis is full: maxmemory, noeviction",
	does:   "codes are shown, maxmemory is set below what is used, codes are scanned and new pages ask; then there is room again",
	bar:    "new pages are answered `store_unavailable` ≤ 2 s and get a code afterwards; scans end as logins; no retry storm",
	guards: "an error of a write is an answer, and a claim goes to the spool",
	logins: 300, rig: rig{redis: "durable"},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		s.redisCommand("CONFIG", "SET", "maxmemory-policy", "noeviction")
		s.redisCommand("CONFIG", "SET", "maxmemory", "1")
		before := s.refusals()
		newcomer := s.start(1, s.websocketOnly())[0]
		took, ok := s.until(5*time.Second, func() bool { return s.refusals() > before })
		s.must(ok && took <= s.slack(2*time.Second), "a new code was not refused after %v", round(took))
		s.scan(tabs)
		s.redisCommand("CONFIG", "SET", "maxmemory", "0")
		room := time.Now()
		_, ok = s.until(15*time.Second, func() bool { return s.has(newcomer) })
		s.must(ok, "the new page has no code")
		s.settle(lateAfter)
		s.figure("a new code was refused after %v; tokens max %v after there was room", round(took), round(at(s.ledger.since(room), 1)))
	},
}, {
	id: "F12", name: "Redis evicts (allkeys-lru)",
	does:   "the replicas start at a Redis whose policy is not noeviction",
	bar:    "each says so in its log, loudly",
	guards: "the policy is asked for at the start",
	short:  1, rig: rig{args: []string{"--maxmemory-policy", "allkeys-lru"}},
	run: func(s *stage) {
		for i, p := range s.cluster.Replicas {
			_, ok := s.until(10*time.Second, func() bool { return containsAll(p.Output(), "allkeys-lru", "noeviction") })
			s.must(ok, "replica %d says nothing", i+1)
		}
	},
}}
