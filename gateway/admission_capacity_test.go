package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/loglimit"
)

// door is an admission whose connections are opened by address.
type door struct {
	*admission
	t *testing.T
}

// newDoor has the limits of the defaults, changed by change.
func newDoor(t *testing.T, change func(*Config)) door {
	t.Helper()
	cfg := loginConfig()
	cfg.LimitConnections, cfg.LimitHandshakes = Count{N: 64}, Rate{N: 10, Per: time.Second}
	cfg.LimitHandshakesNode = Rate{N: 500, Per: time.Second}
	if change != nil {
		change(cfg)
	}
	return door{newAdmission(cfg, newMetrics(func() float64 { return 0 })), t}
}

// open opens a connection from an address, or returns the limit it met.
func (d door) open(address string) (*connSlot, string) {
	r := httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 4000).String()
	s, limit, status, wait := d.admitConn(r)
	if (s == nil) != (limit != "") || s == nil && (status < 400 || wait < 1) {
		d.t.Fatalf("seat %v, limit %q, status %d, Retry-After %d", s, limit, status, wait)
	}
	return s, limit
}

// openAll opens n connections and returns those that were not refused.
func (d door) openAll(address string, n int) (seats []*connSlot) {
	for range n {
		if s, _ := d.open(address); s != nil {
			seats = append(seats, s)
		}
	}
	return seats
}

func leaveAll(seats []*connSlot) {
	for _, s := range seats {
		s.giveBack()
	}
}

// Many tabs behind one address lose their connections in the same moment.
func TestAdmission_ConnectionsCutTogether_ReturnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		var tabs []*connSlot
		for len(tabs) < 64 {
			tabs = append(tabs, d.openAll("192.0.2.1", 64-len(tabs))...)
			time.Sleep(time.Second)
		}
		time.Sleep(comebackAge)
		for round := range 3 {
			leaveAll(tabs)
			time.Sleep(500 * time.Millisecond)
			if tabs = d.openAll("192.0.2.1", 64); len(tabs) != 64 {
				t.Fatalf("round %d: %d of 64 came back at once", round, len(tabs))
			}
			time.Sleep(comebackAge)
		}
		if _, limit := d.open("192.0.2.1"); limit != "connections_per_ip" {
			t.Errorf("one more than the address may have met %q", limit)
		}
	})
}

func TestAdmission_FlappingClient_MeetsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		opened := 0
		const seconds = 60
		for range seconds * 100 {
			for _, s := range d.openAll("192.0.2.1", 1) {
				opened++
				s.giveBack()
			}
			time.Sleep(10 * time.Millisecond)
		}
		if most := 10*seconds + 30; opened > most {
			t.Errorf("%d connections in %d s, want at most %d", opened, seconds, most)
		}
		if n := len(d.comebacks.creditsByKey); n != 0 {
			t.Errorf("connections that lived for a moment left %d credits", n)
		}
	})
}

// A connection that ended and came back leaves no right to open another one.
func TestAdmission_ComebacksAreNeverMoreThanWereOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		for range 20 {
			seats := d.openAll("192.0.2.1", 1)
			time.Sleep(comebackAge)
			leaveAll(seats)
		}
		burst := d.openAll("192.0.2.1", 64)
		if len(burst) != 31 {
			t.Errorf("%d connections at once, want a burst of 30 and one comeback", len(burst))
		}
	})
}

func TestAdmission_ComebackExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		seats := d.openAll("192.0.2.1", 30)
		time.Sleep(comebackAge)
		leaveAll(seats)
		time.Sleep(comebackLife + time.Second)
		if n := len(d.openAll("192.0.2.1", 64)); n != 30 {
			t.Errorf("%d at once, want the burst of 30: the comebacks are over", n)
		}
	})
}

func TestAdmission_ComebackThatTheNodeRefused_IsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *Config) { c.LimitHandshakesNode = Rate{N: 50, Per: time.Second} })
		seats := d.openAll("192.0.2.1", 30)
		time.Sleep(3 * time.Second)
		seats = append(seats, d.openAll("192.0.2.1", 30)...)
		time.Sleep(comebackAge)
		leaveAll(seats)
		first := len(d.openAll("192.0.2.1", 60))
		time.Sleep(time.Second)
		if rest := len(d.openAll("192.0.2.1", 60-first)); first != 50 || rest != 10 {
			t.Errorf("%d, then %d came back, want the node's 50, then 10", first, rest)
		}
	})
}

func TestAdmission_HandshakesOfTheNode_503AboveTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		opened, refused := 0, map[string]int{}
		for i := range 20_000 {
			s, limit := d.open(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String())
			if s != nil {
				opened++
			}
			refused[limit]++
		}
		if opened != 500 || refused["handshakes_per_node"] != 19_500 {
			t.Errorf("opened %d, refused %v, want 500 of 20 000", opened, refused)
		}
		time.Sleep(time.Second)
		if n := len(d.openAll("192.0.2.1", 1)); n != 1 {
			t.Error("refused a second later")
		}
	})
}

func TestAdmission_OneAddressDoesNotUseUpTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		d.openAll("192.0.2.1", 10_000)
		if n := len(d.openAll("192.0.2.2", 30)); n != 30 {
			t.Errorf("%d of another address's 30 were let in", n)
		}
	})
}

// refusal makes one request that opens a connection and returns the answer.
func (d door) refusal(change func(*http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil)
	if change != nil {
		change(r)
	}
	d.middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { takeConnSlot(r) }),
		func(r *http.Request) bool { return r.URL.Query().Get("sid") == "" }).ServeHTTP(w, r)
	return w
}

func TestAdmission_FewDescriptors_OnlyNewSocketsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		next := 0
		d.descriptors = &descriptors{processLimit: 256, lowestFree: func() (int, bool) { return next, next < 256 }}
		for _, c := range []struct {
			next               int
			socket, connection int // status, 200 and 0: let in
		}{
			{100, 200, 0}, {203, 200, 0}, {204, 503, 0}, {242, 503, 0}, {243, 503, 503}, {256, 503, 503}, {100, 200, 0},
		} {
			next = c.next
			w := d.refusal(nil)
			if w.Code != c.socket || w.Code == 503 && (w.Header().Get("Retry-After") != "5" || w.Header().Get("Connection") != "close") {
				t.Errorf("%d of 256: handshake %d %v, want %d", c.next, w.Code, w.Header(), c.socket)
			}
			if status, _ := d.AdmitConn(netip.MustParseAddrPort("192.0.2.9:1")); status != c.connection {
				t.Errorf("%d of 256: connection %d, want %d", c.next, status, c.connection)
			}
			existing := d.refusal(func(r *http.Request) { r.URL.RawQuery += "&sid=x" })
			if existing.Code != 200 {
				t.Errorf("%d of 256: request of a session %d", c.next, existing.Code)
			}
			page := httptest.NewRecorder()
			d.endWhenCrowded(http.NotFoundHandler()).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			if ends := page.Header().Get("Connection") == "close"; ends != (c.socket == 503) {
				t.Errorf("%d of 256: the connection of a page ends: %v", c.next, ends)
			}
		}
	})
}

func TestDescriptors_NextIsTheLowestFreeNumber(t *testing.T) {
	d := newDescriptors()
	if d.processLimit == 0 {
		t.Skip("the system has no limit")
	}
	if n, ok := d.lowestFree(); !ok || n < 3 || n >= d.processLimit {
		t.Errorf("next %d %v of %d", n, ok, d.processLimit)
	}
	if (&descriptors{}).limitReached(1) || (*descriptors)(nil).limitReached(1) {
		t.Error("no limit was reached")
	}
}

func TestAdmission_TCPConnectionsPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *Config) {
			c.LimitConnections = Count{N: 4}
			c.TrustedProxies = Networks{netip.MustParsePrefix("10.0.0.0/8")}
		})
		for _, c := range []struct {
			name string
			from func(i int) netip.Addr
			want int
		}{
			{"IPv4", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") }, 16},
			{"another IPv4", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.2") }, 16},
			{"one /64", func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1)) }, 16},
			{"many /64", func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db9:0:%x::1", i+1)) }, 100},
			{"trusted proxy", func(int) netip.Addr { return netip.MustParseAddr("10.1.2.3") }, 100},
		} {
			kept := 0
			for i := range 100 {
				status, wait := d.AdmitConn(netip.AddrPortFrom(c.from(i), 1))
				switch {
				case status == 0:
					kept++
				case status != 429 || wait != 5:
					t.Errorf("%s: status %d, Retry-After %d", c.name, status, wait)
				}
			}
			if kept != c.want {
				t.Errorf("%s: %d connections kept, want %d", c.name, kept, c.want)
			}
			for i := range kept {
				d.ReleaseConn(netip.AddrPortFrom(c.from(i), 1))
			}
		}
		if n := len(d.tcpConns.openPerKey); n != 0 {
			t.Errorf("%d addresses are left", n)
		}
	})
}

// captureLog makes the default logger write into a buffer until the test ends.
func captureLog(t *testing.T) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return &b
}

func TestRefusals_OneLinePerReasonAndInterval(t *testing.T) {
	text := captureLog(t)
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		for range 100 {
			d.refusal(nil)
		}
		line := text.String()
		if strings.Count(line, "\n") != 1 || !strings.Contains(line, `"reason":"handshakes_per_ip"`) ||
			!strings.Contains(line, `"address":"192.0.2.1"`) || !strings.Contains(line, "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP") {
			t.Errorf("the log: %s", line)
		}
		text.Reset()
		time.Sleep(loglimit.Interval)
		for range 200 {
			d.refusal(nil)
		}
		if line := text.String(); strings.Count(line, `"reason":"handshakes_per_ip"`) != 1 || !strings.Contains(line, `"not_logged":69`) {
			t.Errorf("ten seconds later: %s", line)
		}
	})
}

// All requests that a replica relays come from its address.
func TestAdmission_TCPConnectionsOfReplicas_AreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{"192.0.2.1", "2001:db8::1"} {
			d := newDoor(t, func(c *Config) { c.LimitConnections = Count{N: 4} })
			remote := netip.AddrPortFrom(netip.MustParseAddr(text), 1)
			keptOf := func(n int) (kept int) {
				for range n {
					if status, _ := d.AdmitConn(remote); status == 0 {
						kept++
					}
				}
				return kept
			}
			if n := keptOf(100); n != 16 {
				t.Errorf("%s: %d connections of an unknown address kept", text, n)
			}
			r := httptest.NewRequest(http.MethodGet, "/socket.io/?sid=x", nil)
			r.RemoteAddr = netip.AddrPortFrom(remote.Addr(), 4000).String()
			d.notePeer(r)
			if n := keptOf(100); n != 100 {
				t.Errorf("%s: %d of 100 connections of a replica kept", text, n)
			}
			// It is one no more when it has relayed nothing for long.
			time.Sleep(peerMemory)
			if n := keptOf(1); n != 0 {
				t.Errorf("%s: still known", text)
			}
			for range 116 {
				d.ReleaseConn(remote)
			}
			if n := len(d.tcpConns.openPerKey); n != 0 {
				t.Errorf("%s: %d addresses are left", text, n)
			}
			if n := keptOf(17); n != 16 {
				t.Errorf("%s: %d connections kept in the end", text, n)
			}
		}
	})
}

func TestPeerAddrs_AreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, nil)
		addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
		for i := range 2 * maxPeers {
			d.peers.note(addr(i))
		}
		if n := len(d.peers.knownUntil); n != maxPeers || !d.peers.contains(addr(0)) || d.peers.contains(addr(maxPeers)) {
			t.Errorf("%d addresses", n)
		}
		time.Sleep(peerMemory)
		d.peers.note(addr(maxPeers))
		if n := len(d.peers.knownUntil); n != 1 {
			t.Errorf("%d addresses after their time", n)
		}
	})
}
