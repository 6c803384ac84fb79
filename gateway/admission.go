package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"posthouse/socketio/engineio"
)

// admission decides which connections are opened, before any work is done for them:
// limits per address and for this replica (docs/reliability.md §4 rows 1 and 2).
type admission struct {
	proxies     []netip.Prefix
	origins     *origins
	handshakes  *keyedRate[netip.Addr]
	comebacks   *comebacks[netip.Addr]
	node        *rate.Limiter // handshakes of this replica, nil: no limit
	perIP       *keyedCount[netip.Addr]
	tcp         *keyedCount[netip.Addr] // TCP connections that are no WebSocket
	max         int64                   // connections of this replica, 0: no limit
	open        atomic.Int64
	descriptors *descriptors
	crowded     atomic.Bool // descriptors were scarce when last looked at
	draining    atomic.Bool
	cookies     bool // browsers are told apart; see knowBrowser
	metrics     *metrics
}

var _ engineio.ConnLimiter = (*admission)(nil)

// tcpPerConnection is how many TCP connections an address may have for each session
// that it may have: a GET and a POST of polling, the WebSocket that takes over, and
// one for pages and other requests.
const tcpPerConnection = 4

func newAdmission(cfg *Config, m *metrics) *admission {
	a := &admission{
		proxies: cfg.TrustedProxies,
		origins: &origins{allowed: cfg.Origins, opaque: cfg.AllowNull, require: cfg.RequireOrigin, proxies: cfg.TrustedProxies},
		// Three seconds' worth at once: a page with a few tabs reconnects at once.
		handshakes:  newKeyedRate[netip.Addr](cfg.LimitHandshakes, 3*cfg.LimitHandshakes.N),
		comebacks:   newComebacks[netip.Addr](),
		perIP:       newKeyedCount[netip.Addr](cfg.LimitConnections),
		tcp:         newKeyedCount[netip.Addr](Count{N: tcpPerConnection * cfg.LimitConnections.N, Off: cfg.LimitConnections.Off}),
		descriptors: newDescriptors(),
		metrics:     m,
		cookies:     !cfg.LimitQRCodesBrowser.Off || cfg.Confirm == "risk",
	}
	if r := cfg.LimitHandshakesNode; !r.Off && r.N > 0 {
		a.node = rate.NewLimiter(rate.Limit(float64(r.N)/r.Per.Seconds()), r.N)
	}
	refused := &refusedOrigins{log: slog.Default()}
	a.origins.refused = func(r *http.Request) {
		m.refused.note("origin") // refusedOrigins has the line
		refused.report(r)
	}
	if !cfg.LimitConnectionsNode.Off {
		a.max = int64(cfg.LimitConnectionsNode.N)
	}
	return a
}

// drain refuses new connections from now on; open ones are not touched.
func (a *admission) drain() { a.draining.Store(true) }

// clientIP is the address that limits count by and that logs may show.
func (a *admission) clientIP(r *http.Request) netip.Addr { return clientIP(r, a.proxies) }

// seat is one counted connection. Whoever takes it over calls leave once, later.
type seat struct {
	a       *admission
	key     netip.Addr
	browser string // see knowBrowser
	since   time.Time
	taken   bool
}

type seatKey struct{}

// takeSeat makes the connection that r opens the owner of its seat: it is given
// back by leave. nil when r was not counted.
func takeSeat(r *http.Request) *seat {
	s, _ := r.Context().Value(seatKey{}).(*seat)
	if s != nil {
		s.taken = true
	}
	return s
}

// browserIn is what stands for the browser of a connection whose context ctx is.
func browserIn(ctx context.Context) string {
	if s, _ := ctx.Value(seatKey{}).(*seat); s != nil {
		return s.browser
	}
	return ""
}

func (s *seat) leave() {
	if s == nil {
		return
	}
	s.a.open.Add(-1)
	s.a.perIP.release(s.key)
	s.a.comebacks.earn(s.key, s.since)
}

// middleware applies the origin policy to every request and the limits to those
// that open a connection: the ones that opens says so of.
func (a *admission) middleware(next http.Handler, opens func(*http.Request) bool) http.Handler {
	return a.origins.middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !opens(r) {
			next.ServeHTTP(w, r)
			return
		}
		s, limit, status, retryAfter := a.enter(r)
		if s == nil {
			a.metrics.refused.note(limit, "address", a.clientIP(r), "peer", r.RemoteAddr)
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			if status == http.StatusServiceUnavailable {
				w.Header().Set("Connection", "close")
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		s.browser = a.knowBrowser(w, r)
		defer func() {
			if !s.taken { // the handshake failed
				s.leave()
			}
		}()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), seatKey{}, s)))
	}))
}

// enter counts a new connection, or names the limit it met. Limits of one address
// come before those of the replica, so that one address cannot use them up.
func (a *admission) enter(r *http.Request) (s *seat, limit string, status, retryAfter int) {
	if a.draining.Load() {
		return nil, "draining", http.StatusServiceUnavailable, 1
	}
	key := limitKey(a.clientIP(r))
	returns := a.comebacks.spend(key)
	if !returns {
		if ok, wait := a.handshakes.allow(key); !ok {
			return nil, "handshakes_per_ip", http.StatusTooManyRequests, wait
		}
	}
	limit, status, retryAfter = a.occupy(key)
	if limit == "" {
		return &seat{a: a, key: key, since: time.Now()}, "", 0, 0
	}
	if returns {
		a.comebacks.refund(key)
	}
	return nil, limit, status, retryAfter
}

// occupy takes a place of the replica and one of the address.
func (a *admission) occupy(key netip.Addr) (limit string, status, retryAfter int) {
	if a.node != nil && !a.node.Allow() {
		return "handshakes_per_node", http.StatusServiceUnavailable, 1
	}
	if a.scarce(socketsBelow) {
		return "descriptors", http.StatusServiceUnavailable, 5
	}
	if n := a.open.Add(1); a.max > 0 && n > a.max {
		a.open.Add(-1)
		return "connections", http.StatusServiceUnavailable, 5
	}
	if !a.perIP.acquire(key) {
		a.open.Add(-1)
		return "connections_per_ip", http.StatusTooManyRequests, 5
	}
	return "", 0, 0
}

// scarce reports whether percent of the descriptors are in use, and remembers whether
// connections should end with their answers.
func (a *admission) scarce(percent int) bool {
	a.crowded.Store(a.descriptors.reached(socketsBelow))
	return a.crowded.Load() && (percent == socketsBelow || a.descriptors.reached(percent))
}

// AdmitConn implements engineio.ConnLimiter. Connections of trusted proxies are not
// limited by address: all clients come through them.
func (a *admission) AdmitConn(remote netip.AddrPort) (status, retryAfter int) {
	var limit string
	switch key := limitKey(remote.Addr()); {
	case a.scarce(connectionsBelow):
		limit, status = "descriptors", http.StatusServiceUnavailable
	case !contains(a.proxies, remote.Addr()) && !a.tcp.acquire(key):
		limit, status = "tcp_connections_per_ip", http.StatusTooManyRequests
	default:
		return 0, 0
	}
	a.metrics.refused.note(limit, "peer", remote)
	return status, 5
}

// ReleaseConn implements engineio.ConnLimiter.
func (a *admission) ReleaseConn(remote netip.AddrPort) {
	if !contains(a.proxies, remote.Addr()) {
		a.tcp.release(limitKey(remote.Addr()))
	}
}

// endWhenCrowded closes connections behind their answers while descriptors are
// scarce: idle ones would keep them from the requests that matter.
func (a *admission) endWhenCrowded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.crowded.Load() && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
