package main

import (
	"fmt"
	"net/http"
)

// originAbuses are requests from where they must not come (docs/reliability.md §4 rows 25 to 28).
var originAbuses = []row{{
	id: "25", name: "cross-site requests on every transport",
	does: "polling GET and POST, WebSocket upgrades and JSONP with hostile origins", bar: "403 on each; no Access-Control-Allow-Origin",
	guards: "an Origin is the same or listed", short: 1, rig: rig{replicas: 1, env: []string{"POSTHOUSE_ORIGINS=https://www.example.com"}},
	tests: []goTests{{"./gateway", "TestOrigin"}, {"./socketio/engineio", "TestOrigin|TestOptions_JSONPIsOff"}},
	run: func(s *stage) {
		sid := s.session()
		allow := []string{"Access-Control-Allow-Origin"}
		var table []attack
		for _, origin := range []string{"https://evil.example", "https://www.example.com.evil.example", "https://evilwww.example.com", "http://www.example.com", "https://www.example.com:8443", "null", "file://", ""} {
			upgrade := []string{"Origin: " + origin, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
			table = append(table,
				attack{name: "handshake of " + origin, path: polling, header: upgrade[:1], want: []int{403}, never: allow},
				attack{name: "POST of " + origin, method: "POST", path: polling + "&sid=" + sid, header: append([]string{"Content-Type: text/plain"}, upgrade[0]), body: "40/login,", want: []int{403}, never: allow},
				attack{name: "WebSocket of " + origin, path: "/socket.io/?EIO=4&transport=websocket", header: upgrade, want: []int{403}, never: allow},
				attack{name: "exchange of " + origin, method: "POST", path: "/login/exchange", header: upgrade[:1], body: "{}", want: []int{403}, never: allow})
		}
		table = append(table, attack{name: "JSONP", path: "/socket.io/?EIO=3&transport=polling&j=0", want: []int{400}})
		s.attacks(table)
	},
}, {
	id: "26", name: "preflights of strangers", does: "OPTIONS of listed and other origins, private networks", bar: "204 for listed origins only",
	guards: "a preflight is answered for listed origins", rig: rig{replicas: 1, env: []string{"POSTHOUSE_ORIGINS=https://www.example.com"}},
	run: func(s *stage) {
		ask := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Private-Network: true"}
		s.attacks([]attack{
			{name: "listed", method: http.MethodOptions, path: polling, header: append([]string{"Origin: https://www.example.com"}, ask...), want: []int{204}, never: []string{"Access-Control-Allow-Private-Network"}},
			{name: "another", method: http.MethodOptions, path: polling, header: append([]string{"Origin: https://evil.example"}, ask...), want: []int{403}, never: []string{"Access-Control-Allow-Origin"}},
		})
	},
}, {
	id: "27", name: "the limit of an address evaded by forged headers",
	does: "400 handshakes, each with another X-Forwarded-For, from an address that is no trusted proxy", bar: "429 as for one address",
	guards: "forwarding headers count from trusted proxies only", short: 1, rig: rig{replicas: 1, env: strict},
	tests: []goTests{{"./gateway", "TestClientIPTrustsOnlyTheConfiguredProxies|TestLimitsCountAnIPv6Host"}},
	run: func(s *stage) {
		statuses := map[int]int{}
		for i := range 400 {
			forged := fmt.Sprintf("198.51.%d.%d", i/250, 1+i%250)
			a, err := s.send(s.cluster.Bases[0], attack{path: polling, header: []string{"X-Forwarded-For: " + forged, "X-Real-IP: " + forged, "Forwarded: for=" + forged, "CF-Connecting-IP: " + forged}})
			s.need(err)
			statuses[a.status]++
		}
		s.figure("statuses %v", statuses)
		s.must(statuses[429] > 250, "statuses %v", statuses)
	},
}, {
	id: "28", name: "an office behind one address meets the limit", does: "connections that are cut together come back; others meet the limit",
	bar: "come-backs are exempt; 429 with a reason for others", guards: "a connection that was open may come back",
	tests: []goTests{{"./gateway", "TestAdmission_"}},
}}
