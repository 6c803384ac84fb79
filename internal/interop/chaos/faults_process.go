package main

import (
	"sync/atomic"
	"time"

	"posthouse/socketio/client"
)

// processFaults are what happens to replicas (docs/reliability.md §3).
var processFaults = []row{{
	id: "F13", alone: true, name: "a replica is killed mid-login",
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
}, {
	id: "F14", name: "a replica is killed between the token and its acknowledgement",
	does:   "pages do not acknowledge their tokens; the replicas that hold them are killed as soon as tokens came",
	bar:    "the page that comes back gets the same token id again, never another",
	guards: "a ticket has one token id, whatever happens",
	logins: 120, short: 15, rig: rig{balancer: "nginx.conf", redis: "durable", env: []string{"POSTHOUSE_TOKEN_ACK_TIMEOUT=60s"}},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		for _, t := range tabs {
			t.deaf.Store(true)
		}
		s.scan(tabs)
		s.settle(lateAfter)
		for i := range s.cluster.Replicas {
			s.cluster.Replicas[i].Kill()
			s.cluster.StartReplica(s, i)
		}
		again := 0
		for _, t := range tabs {
			t.deaf.Store(false)
			s.must(t.received.Load() > 0, "%s got no token", t.login.person)
		}
		s.until(20*time.Second, func() bool {
			again = 0
			for _, t := range tabs {
				if t.received.Load() > 1 {
					again++
				}
			}
			return again == len(tabs)
		})
		s.figure("%d of %d pages got their token again after the kill", again, len(tabs))
		s.must(again == len(tabs), "%d pages got nothing again", len(tabs)-again)
	},
}, {
	id: "F15", name: "rolling restart of three replicas under logins",
	does:   "SIGTERM and start again, one after the other, behind nginx, with codes being scanned; the pushes go through nginx too",
	bar:    "0 lost; every push is answered; every replica ends with status 0 within its drain",
	guards: "a replica that drains finishes its logins and answers pushes to the end",
	logins: 600, short: 45, rig: rig{balancer: "nginx.conf", env: []string{"POSTHOUSE_DRAIN=10s"}},
	run: func(s *stage) {
		s.cluster.PushTo(s, s.gateways[0]+"/callback/wechat")
		tabs := s.open(s.logins)
		var bad atomic.Int64
		scanning := make(chan struct{})
		go func() { // ends with the scans; waited for below
			defer close(scanning)
			s.each(tabs, 8, func(t *tab) {
				s.pause(8 * 6 * time.Second / time.Duration(len(tabs))) // over the time of the restarts
				for _, d := range s.scanOne(t) {
					if d.Status < 200 || d.Status > 299 {
						bad.Add(1) // WeChat asks again; each such answer counts against an account
					}
				}
			})
		}()
		began := time.Now()
		for i, p := range s.cluster.Replicas {
			if err := p.Stop(20 * time.Second); err != nil {
				s.Errorf("not met: replica %d ended with %v", i+1, err)
			}
			s.cluster.StartReplica(s, i)
		}
		s.figure("three restarts in %v; %d pushes were answered with an error", round(time.Since(began)), bad.Load())
		s.must(time.Since(began) <= s.slack(60*time.Second), "the restart took %v", round(time.Since(began)))
		<-scanning
		t := s.settle(lateAfter)
		s.must(t.unanswered == 0, "%d pushes were not answered", t.unanswered)
		s.must(bad.Load() == 0, "%d pushes were answered with an error", bad.Load())
	},
}}

// websocketOnly is a client that neither polls nor upgrades.
func (s *stage) websocketOnly() client.Options {
	return client.Options{Transports: []string{"websocket"}}
}
