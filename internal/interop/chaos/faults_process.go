package main

import (
	"time"

	"posthouse/socketio/client"
)

// processFaults are what happens to replicas (docs/reliability.md §3 F13 to F15).
var processFaults = []row{{
	id: "F13", name: "a replica is killed mid-login",
	does:   "replicas behind nginx are killed in turn at random moments while codes are scanned",
	bar:    "0 lost; pages are back ≤ 2 s (p95) and have their tokens ≤ 3 s after that",
	guards: "`resume` sends an undelivered result again",
	logins: 1000, short: 60, rig: rig{balancer: "nginx.conf", redis: "durable"},
	run: func(s *stage) {
		kills := min(20, max(3, s.logins/50))
		tabs := s.open(s.logins)
		share := len(tabs) / kills
		for i := range kills {
			scanning := make(chan struct{})
			go func() { // ends with the scans; waited for below
				defer close(scanning)
				last := (i + 1) * share
				if i == kills-1 {
					last = len(tabs)
				}
				s.scan(tabs[i*share : last])
			}()
			s.pause(time.Duration(s.random.IntN(400)) * time.Millisecond)
			s.cluster.Replicas[i%3].Kill()
			s.pause(time.Duration(s.random.IntN(300)) * time.Millisecond)
			s.cluster.StartReplica(s, i%3)
			<-scanning
		}
		over := time.Now()
		s.settle(lateAfter)
		backs, late := s.ledger.backs(), s.ledger.since(over)
		s.figure("%d kills; %d connections came back: p50 %v p95 %v max %v; last token %v after the last kill", kills, len(backs),
			round(at(backs, .5)), round(at(backs, .95)), round(at(backs, 1)), round(at(late, 1)))
		s.must(len(backs) > 0, "no connection was lost")
		s.must(at(backs, .95) <= s.slack(2*time.Second), "pages were back after %v (p95)", round(at(backs, .95)))
		s.must(at(late, 1) <= s.slack(5*time.Second), "a token came %v after the last kill", round(at(late, 1)))
	},
}}

// websocketOnly is a client that neither polls nor upgrades.
func (s *stage) websocketOnly() client.Options {
	return client.Options{Transports: []string{"websocket"}}
}
