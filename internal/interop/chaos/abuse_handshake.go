package main

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// strict are the limits that rows of abuse meet, as people have them.
var strict = []string{"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=10/s", "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=64", "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=500/s",
	"POSTHOUSE_LIMIT_QRCODES_PER_IP=30/m", "POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=600/m", "POSTHOUSE_LIMIT_WEBHOOK=200", "POSTHOUSE_TRUSTED_PROXIES=192.0.2.1/32"}

// handshakeAbuses are floods of connections and of what comes before a session (docs/reliability.md §4 rows 1 to 3, 9).
var handshakeAbuses = []row{{
	id: "1", alone: true, name: "handshake flood from one address",
	does:   "1000 polling handshakes as fast as they go, from one address",
	bar:    "429 + Retry-After above 30 at once and 10/s; bystanders' p99 < 50 ms",
	guards: "handshakes are counted by address",
	short:  1, rig: rig{replicas: 1, env: strict},
	run: func(s *stage) {
		statuses, retry := map[int]int{}, 0
		p99 := s.bystanders(5, func() {
			for range 1000 {
				a, err := s.send(s.cluster.Bases[0], attack{path: polling})
				s.need(err)
				statuses[a.status]++
				if a.header.Get("Retry-After") != "" {
					retry++
				}
			}
		})
		s.figure("statuses %v, %d with Retry-After", statuses, retry)
		s.must(statuses[429] > 800 && retry == statuses[429], "statuses %v, %d with Retry-After", statuses, retry)
		s.must(p99 < s.slack(50*time.Millisecond), "bystanders' p99 %v", round(p99))
	},
}, {
	id: "2", alone: true, name: "handshake flood from many addresses",
	does:   "3000 handshakes from 240 addresses at once",
	bar:    "503 + Retry-After above 500/s of the node; health is answered",
	guards: "handshakes are counted for the node",
	rig:    rig{replicas: 1, env: append(append([]string(nil), strict...), "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=100/s")},
	run: func(s *stage) {
		var mu sync.Mutex // guards statuses
		statuses := map[int]int{}
		var all sync.WaitGroup
		for i := range 240 {
			c := from(net.IPv4(127, 0, 8, byte(1+i)))
			all.Go(func() {
				for range 12 {
					r, err := c.Get(s.cluster.Bases[0] + polling)
					if err != nil {
						continue
					}
					r.Body.Close()
					mu.Lock()
					statuses[r.StatusCode]++
					if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "" {
						statuses[-503]++
					}
					mu.Unlock()
				}
			})
		}
		status, _, took := s.get(s.cluster.Bases[0] + "/healthz")
		all.Wait()
		s.figure("statuses %v; /healthz %d after %v", statuses, status, round(took))
		s.must(statuses[503] > 0 && statuses[-503] == 0, "statuses %v", statuses)
		s.must(status == 200, "/healthz: %d", status)
	},
}, {
	id: "3", alone: true, name: "slowloris: headers and bodies that trickle",
	does:   "200 connections send half of a header, or announce a body and send 10 bytes",
	bar:    "each is closed ≤ 15 s; bystanders' p99 < 50 ms",
	guards: "a body's bytes have deadlines",
	rig:    rig{replicas: 1}, tests: []goTests{{"./socketio/engineio", "TestBodyDeadline_|TestServer_Slow"}},
	run: func(s *stage) {
		var conns []net.Conn
		for i := range 200 {
			text := "GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: "
			if i%2 == 1 {
				text = "POST /callback/wechat?signature=x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n0123456789"
			}
			c, err := s.raw(s.cluster.Bases[0], text)
			s.need(err)
			s.Cleanup(func() { c.Close() })
			conns = append(conns, c)
		}
		began, slowest := time.Now(), time.Duration(0)
		p99 := s.bystanders(5, func() {
			for _, c := range conns {
				for line := bufio.NewReader(c); ; {
					if _, err := line.ReadString('\n'); err != nil {
						if errors.Is(err, os.ErrDeadlineExceeded) {
							s.must(false, "a slow connection was not closed")
							return
						}
						break
					}
				}
				slowest = max(slowest, time.Since(began))
			}
		})
		s.figure("the last of %d slow connections was closed after %v", len(conns), round(slowest))
		s.must(slowest < s.slack(15*time.Second), "closed after %v", round(slowest))
		s.must(p99 < s.slack(50*time.Millisecond), "bystanders' p99 %v", round(p99))
	},
}, {
	id: "9", name: "connections that never join a namespace",
	does:   "300 handshakes without CONNECT",
	bar:    "closed ≤ 11 s; nothing is left",
	guards: "a connection has 10 s to join",
	short:  1, rig: rig{replicas: 1},
	run: func(s *stage) {
		for range 300 {
			a, err := s.send(s.cluster.Bases[0], attack{path: polling})
			s.need(err)
			s.must(a.status == 200, "handshake: %d", a.status)
		}
		held := s.sizes(0).connections
		took, ok := s.until(s.slack(14*time.Second), func() bool { return s.sizes(0).connections == 0 })
		s.figure("%.0f sessions, the last gone after %v", held, round(took))
		s.must(ok && held >= 250, "%.0f of %.0f sessions are left after %v", s.sizes(0).connections, held, round(took))
	},
}}

// httpAbuses are hostile bodies and session ids (docs/reliability.md §4 rows 4 to 6, 23, 24).
var httpAbuses = []row{{
	id: "4", name: "bodies that are too large, or lie about their length",
	does: "POSTs above the limits, announced and chunked, at sessions, the webhook and the exchange",
	bar:  "413; nothing is buffered; the session ends", guards: "a body is limited before it is read",
	rig: rig{replicas: 1}, tests: []goTests{{"./socketio/engineio", "TestPolling_PayloadLimits|TestPolling_LyingContentLengthAllocatesNothing|TooLarge"}},
	run: func(s *stage) {
		s.attacks([]attack{
			{name: "webhook of 1 MB", method: "POST", path: "/callback/wechat?signature=x", body: strings.Repeat("x", 1<<20), want: []int{413}},
			{name: "exchange of 1 MB", method: "POST", path: "/login/exchange", header: []string{"Content-Type: application/json"}, body: `{"code":"` + strings.Repeat("x", 1<<20) + `"}`, want: []int{400, 413}},
			{name: "payload of 2 MB", method: "POST", path: polling + "&sid=" + s.session(), body: "4" + strings.Repeat("x", 2<<20), want: []int{413}},
		})
		var got string
		c, err := s.raw(s.cluster.Bases[0], "POST "+polling+"&sid="+s.session()+" HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n4x")
		s.need(err)
		defer c.Close()
		got, _ = bufio.NewReader(c).ReadString('\n')
		s.must(strings.Contains(got, "413"), "an announced terabyte was answered %q", got)
	},
}, {
	id: "5", name: "many packets in one payload", does: "payloads of as many packets as fit, of one character, of control packets",
	bar: "handled in order, in linear time, in turns with others", guards: "a long payload gives its turn to others",
	tests: []goTests{{"./socketio/engineio", "TestPolling_LongPayloadLeavesTurnsToOthers|TestLongPayloadsDecodeInLinearTime"}, {"./socketio", "TestServer_PollingPayloadOfManyEventsIsAcknowledged"}},
}, {
	id: "6", name: "overlapping POSTs and polls of one session", does: "two polls at once; two POSTs with slow bodies",
	bar: "the second is refused and the session ends", guards: "a session has one poll and one POST",
	rig: rig{replicas: 1},
	run: func(s *stage) {
		path := polling + "&sid=" + s.session()
		first := make(chan answer, 1)
		go func() { // ends with the session
			a, _ := s.send(s.cluster.Bases[0], attack{path: path})
			first <- a
		}()
		s.pause(300 * time.Millisecond)
		began := time.Now()
		second, err := s.send(s.cluster.Bases[0], attack{path: path})
		s.must(err == nil && second.status == 400 && time.Since(began) < s.slack(2*time.Second), "the second poll: %d %v after %v", second.status, err, round(time.Since(began)))
		select {
		case a := <-first:
			s.figure("first poll %d %q, second %d", a.status, tail(a.body, 40), second.status)
		case <-time.After(5 * time.Second):
			s.must(false, "the first poll still waits: the session did not end")
		}
		path = polling + "&sid=" + s.session()
		slow, err := s.raw(s.cluster.Bases[0], "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4x")
		s.need(err)
		defer slow.Close()
		s.pause(300 * time.Millisecond)
		post, err := s.send(s.cluster.Bases[0], attack{method: http.MethodPost, path: path, body: "40"})
		s.must(err == nil && post.status == 400, "the second POST: %d %v", post.status, err)
		after, err := s.send(s.cluster.Bases[0], attack{path: path})
		s.must(err == nil && strings.Contains(after.body, "Session ID unknown"), "the session lives on: %d %s", after.status, after.body)
	},
}, {
	id: "23", name: "session ids that are forged, guessed or of another form",
	does: "ids of every form at GET, POST and upgrade", bar: `400 {"code":1} each, the same, without a look into Redis`,
	guards: "an id without its form is unknown", short: 1, rig: rig{replicas: 1},
	run: func(s *stage) {
		unknown := `{"code":1,"message":"Session ID unknown"}`
		before := s.redisCommands()
		var table []attack
		for _, sid := range []string{"AAAAAAAAAAAAAAAAAAAA", "x", "*", "%7Bx%7D", "a%0d%0ab", "__proto__", "constructor", "..%2F..", strings.Repeat("a", 6000), "gw1", "AAAAAAAAAAAAAAAAAAAA.gw9"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				table = append(table, attack{name: method + " " + tail(sid, 20), method: method, path: polling + "&sid=" + sid, want: []int{400}, says: unknown})
			}
		}
		s.attacks(table)
		s.figure("%d commands of Redis meanwhile (heartbeats of one replica included)", s.redisCommands()-before)
	},
}, {
	id: "24", name: "a stolen session id", does: "the id never stands in a log; its Origin is checked on every request",
	bar: "no whole id in the log at level debug; 403 for another origin", guards: "an Origin is checked on every request",
	rig: rig{replicas: 1, env: []string{"POSTHOUSE_LOG_LEVEL=debug"}},
	run: func(s *stage) {
		sid := s.session()
		s.attacks([]attack{{name: "another origin with the id", path: polling + "&sid=" + sid, header: []string{"Origin: https://evil.example"}, want: []int{403}, never: []string{"Access-Control-Allow-Origin"}}})
		_, _ = s.send(s.cluster.Bases[0], attack{method: "POST", path: polling + "&sid=" + sid, body: "40/login,"})
		s.must(!strings.Contains(s.cluster.Replicas[0].Output(), sid), "the log holds the session's id")
	},
}}

// session makes a polling session and returns its id.
func (s *stage) session() string {
	s.Helper()
	a, err := s.send(s.cluster.Bases[0], attack{path: polling})
	s.need(err)
	_, rest, _ := strings.Cut(a.body, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if sid == "" {
		s.Fatalf("no session: %d %s", a.status, a.body)
	}
	return sid
}
