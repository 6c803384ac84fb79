package main

import (
	"sync"
)

// pushFaults are what WeChat's pushes do (docs/reliability.md §3 F30 to F33).
var pushFaults = []row{{
	id: "F30", name: "each push comes three times, at once, to three replicas",
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
}}
