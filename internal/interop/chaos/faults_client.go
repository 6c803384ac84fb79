package main

import (
	"time"

	"posthouse/internal/testenv/faultproxy"
)

// clientFaults are what happens to browsers and their network (docs/reliability.md §3).
var clientFaults = []row{{
	id: "F18", name: "one client takes 1 KB/s while the others get everything",
	does: "sessions whose peers read slowly or not at all, over polling and WebSocket", bar: "only that one is closed, at its buffer's limit; others are not held up",
	guards: "a peer that takes nothing while more than MaxBuffered waits is closed",
	tests:  []goTests{{"./socketio/engineio", "TestSession_SlowPeer|TestLoop_SlowClosedHoldsUpNoOtherSession|TestLoop_PeerThatTakesNothingIsClosed"}},
}, {
	id: "F19", name: "half-open connections: the network of all pages is gone",
	does:   "the proxy before replica 1 swallows everything, also the pages' FINs, while they close (a cable that is pulled; real veth pairs are not needed for that)",
	bar:    "freed ≤ pingInterval + pingTimeout + 1 s = 46 s; descriptors, goroutines and sockets as before",
	guards: "a session without an answer to its ping ends",
	logins: 200, short: 20, rig: rig{replicas: 1, edges: clientEdge},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		held := s.sizes(0).connections
		s.client.Set("", faultproxy.Fault{Blackhole: true})
		began := time.Now()
		s.each(tabs, 64, (*tab).close)
		took, ok := s.until(s.slack(50*time.Second), func() bool { return s.sizes(0).connections == 0 })
		s.figure("%.0f connections were held, freed after %v", held, round(took))
		s.must(held >= float64(len(tabs)), "only %.0f connections were held", held)
		s.must(ok && time.Since(began) <= s.slack(47*time.Second), "%.0f connections are left after %v", s.sizes(0).connections, round(took))
	},
}, {
	id: "F20", alone: true, name: "clients that come and go ten times a second",
	does:   "60 pages connect, get a code and leave, again and again, for 20 s",
	bar:    "memory grows < 1 MB a minute after warm-up; nothing is left",
	guards: "a socket that leaves takes its state along",
	rig:    rig{replicas: 1, env: []string{"POSTHOUSE_LIMIT_QRCODES_PER_BROWSER=off", "POSTHOUSE_QRCODES_PER_DAY=off"}},
	run: func(s *stage) {
		var track samples
		began, rounds := time.Now(), 0
		for time.Since(began) < 20*time.Second {
			tabs := s.open(60)
			s.each(tabs, 64, (*tab).close)
			s.tabs = nil
			if rounds++; time.Since(began) > 8*time.Second {
				track.add(time.Since(began), s.sizes(0))
			}
		}
		slope, _ := track.slope(func(z sizes) float64 { return z.memory })
		slope = slope / (1 << 20) * 60
		s.figure("%d rounds of 60 pages; memory %+.1f MB a minute by regression over %d samples", rounds, slope, len(track))
		s.figure("(the collector's steps are larger than the bar in so short a time: it is held over the minutes of `make soak`)")
		s.must(slope < 120, "memory grows by %.1f MB a minute", slope)
	},
}, {
	id: "F21", name: "an upgrade that breaks half-way; polls and POSTs that overlap",
	does: "probes that are lost at each step, transports that are cut, messages meanwhile", bar: "order is kept; 0 lost, 0 doubled",
	guards: "what waits for a poll moves to the WebSocket as a whole",
	tests:  []goTests{{"./socketio/engineio", "TestUpgrade_"}, {"./socketio/engineio/client", "Upgrade|Drop|Cut"}},
}, {
	id: "F36", alone: true, name: "reconnect storm: every connection is cut at once",
	does:   "the proxy resets the connections of all pages in the same moment",
	bar:    "all are back ≤ 30 s; 0 lost; no request times out",
	guards: "connections that were cut together may come back together (admission's come-backs)",
	logins: 1000, rig: rig{replicas: 1, edges: clientEdge},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		before := s.redisCommands()
		s.pause(2 * time.Second)
		steady := s.redisCommands() - before
		cut := s.client.Cut("")
		at0 := s.redisCommands()
		took, ok := s.until(40*time.Second, func() bool {
			for _, t := range tabs {
				if !t.socket.Connected() {
					return false
				}
			}
			return true
		})
		s.pause(time.Second)
		s.figure("%d connections cut, all back after %v; Redis: %d commands in 2 s before, %d until all were back", cut, round(took), steady, s.redisCommands()-at0)
		s.must(ok && took <= s.slack(30*time.Second), "pages are not back after %v", round(took))
		s.scan(tabs)
	},
}}
