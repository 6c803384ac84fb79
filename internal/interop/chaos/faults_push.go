package main

import (
	"sync"
	"time"
)

// pushFaults are what WeChat's pushes do (docs/reliability.md §3).
var pushFaults = []row{{
	id: "F30", alone: true, name: "each push comes three times, at once, to three replicas",
	does:   "the local WeChat duplicates every push twice, round robin over the replicas",
	bar:    "one token; every copy is answered `success` ≤ 1 s",
	guards: "the first claim wins, a copy changes nothing",
	logins: 600, short: 60, rig: rig{},
	run: func(s *stage) {
		s.faults(map[string]any{"kind": "duplicate", "count": 2, "ms": 0})
		tabs := s.open(s.logins)
		var mu sync.Mutex // guards copies, bad and slowest
		copies, bad, slowest := 0, 0, int64(0)
		s.each(tabs, 32, func(t *tab) {
			deliveries := s.scanOne(t)
			mu.Lock()
			defer mu.Unlock()
			for _, d := range deliveries {
				copies++
				slowest = max(slowest, d.MS)
				if d.Status != 200 || d.Verdict != "success" && d.Verdict != "reply" {
					bad++
				}
			}
		})
		s.figure("%d deliveries of %d scans, %d not answered well, the slowest after %d ms", copies, len(tabs), bad, slowest)
		s.must(bad == 0, "%d copies were not answered `success`", bad)
		s.must(slowest <= s.slack(1e9).Milliseconds(), "a copy was answered after %d ms", slowest)
	},
}, {
	id: "F31", name: "pushes out of order, late, and before the page is bound",
	does:   "pushes are delayed and reordered by the local WeChat; the order of a ticket's steps in every combination by tests",
	bar:    "a login, or `expired`; a late push is answered `success` without a token",
	guards: "each step is judged by when the person acted",
	logins: 200, rig: rig{},
	tests: []goTests{{"./internal/login", "TestService_EventsOutOfOrder|TestSpool_ClaimIsJudgedByItsArrival"}, {"./gateway", "TestLogin_ScanBeforeTheSocketIsBound|TestExpiryIsToldAtItsMomentAndGraceStillLogsIn"}},
	run: func(s *stage) {
		s.faults(map[string]any{"kind": "delay", "ms": 800, "probability": 0.3}, map[string]any{"kind": "duplicate", "count": 1, "ms": 1500, "probability": 0.3})
		s.scan(s.open(s.logins))
	},
}, {
	id: "F32", name: "pushes while Redis is away, and the replica that took them restarts",
	does:   "Redis is killed, codes are scanned, the replicas are restarted with their spools, Redis comes back",
	bar:    "every push is answered `success`; 0 lost",
	guards: "the spool is read again at the start",
	logins: 200, short: 30, rig: rig{redis: "durable"},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		s.cluster.Redis.Kill()
		s.scan(tabs)
		for i := range s.cluster.Replicas {
			s.cluster.Replicas[i].Kill()
		}
		s.cluster.StartRedis(s)
		s.awaitRedis()
		for i := range s.cluster.Replicas {
			s.cluster.StartReplica(s, i)
		}
		t := s.settle(lateAfter)
		s.must(t.unanswered == 0, "%d pushes were not answered", t.unanswered)
	},
}, {
	id: "F33", name: "a replica dies with a push in its hands",
	does:   "replicas that get the pushes directly are killed while codes are scanned; WeChat asks the next one",
	bar:    "what was answered `success` is a login; 0 lost",
	guards: "the claim is committed before the answer",
	logins: 300, rig: rig{redis: "durable"},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		kills := 6
		for i := range kills {
			scanning := make(chan struct{})
			go func() { // ends with the scans; waited for below
				defer close(scanning)
				s.scan(tabs[i*len(tabs)/kills : (i+1)*len(tabs)/kills])
			}()
			s.pause(time.Duration(s.random.IntN(200)) * time.Millisecond)
			s.cluster.Replicas[i%3].Kill()
			s.cluster.StartReplica(s, i%3)
			<-scanning
		}
		s.figure("%d kills", kills)
	},
}}
