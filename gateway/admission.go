package gateway

import (
	"context"
	"log/slog"
	"math"
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
	trustedProxies    []netip.Prefix
	origins           *originPolicy
	handshakes        *keyedRate[netip.Addr]
	comebacks         *comebacks[netip.Addr]
	nodeHandshakes    atomic.Pointer[rate.Limiter] // handshakes of this replica
	perIP             *keyedCount[netip.Addr]
	tcpConns          *keyedCount[netip.Addr] // TCP connections that are no WebSocket
	peers             *peerAddrs              // from which other replicas relay
	maxConns          atomic.Int64            // connections of this replica, 0: no limit
	openConns         atomic.Int64
	descriptors       *descriptors
	descriptorsScarce atomic.Bool // descriptors were scarce when last looked at
	memory            *memoryUse
	draining          atomic.Bool
	browserCookies    bool // browsers are told apart; see knowBrowser
	metrics           *metrics
	forwardingLines   *forwardingLines
}

var _ engineio.ConnLimiter = (*admission)(nil)

// tcpPerConnection is how many TCP connections an address may have for each session
// that it may have: a GET and a POST of polling, the WebSocket that takes over, and
// one for pages and other requests.
const tcpPerConnection = 4

func newAdmission(cfg *Config, m *metrics) *admission {
	a := &admission{
		trustedProxies: cfg.TrustedProxies,
		origins:        &originPolicy{allowedOrigins: cfg.Origins, allowOpaque: cfg.AllowNull, requireOrigin: cfg.RequireOrigin, trustedProxies: cfg.TrustedProxies},
		// Three seconds' worth at once: a page with a few tabs reconnects at once.
		handshakes:  newKeyedRate[netip.Addr](cfg.LimitHandshakes, 3*cfg.LimitHandshakes.N),
		comebacks:   newComebacks[netip.Addr](),
		perIP:       newKeyedCount[netip.Addr](cfg.LimitConnections),
		tcpConns:    newKeyedCount[netip.Addr](tcpCount(cfg)),
		peers:       &peerAddrs{knownUntil: map[netip.Addr]time.Time{}},
		descriptors: newDescriptors(),
		memory:      newMemoryUse(),
		metrics:     m,

		forwardingLines: newForwardingLines(slog.Default()),
		browserCookies:  !cfg.LimitQRCodesBrowser.Off || cfg.Confirm == "risk",
	}
	a.setNodeLimits(cfg)
	refused := newRefusedOrigins(slog.Default())
	a.origins.onRefused = func(r *http.Request) {
		m.refusals.countRefusal("origin") // refusedOrigins has the line
		refused.logRefusal(r)
	}
	return a
}

// setNodeLimits sets what this replica takes from all addresses together.
func (a *admission) setNodeLimits(cfg *Config) {
	limit, burst := rate.Inf, 0
	if r := cfg.LimitHandshakesNode; !r.Off && r.N > 0 {
		limit, burst = rate.Limit(float64(r.N)/r.Per.Seconds()), r.N
	}
	if l := a.nodeHandshakes.Load(); l == nil || l.Limit() != limit || l.Burst() != burst {
		a.nodeHandshakes.Store(rate.NewLimiter(limit, burst))
	}
	conns := int64(cfg.LimitConnectionsNode.N)
	if cfg.LimitConnectionsNode.Off {
		conns = 0
	}
	a.maxConns.Store(conns)
	a.memory.percent.Store(int64(cfg.LimitMemory.N)) // 0 when it is off
}

// tcpCount is the limit of TCP connections of an address.
func tcpCount(cfg *Config) Count {
	return Count{N: tcpPerConnection * cfg.LimitConnections.N, Off: cfg.LimitConnections.Off}
}

// startDrain refuses new connections from now on; open ones are not touched.
func (a *admission) startDrain() { a.draining.Store(true) }

// clientIP is the address that limits count by and that logs may show.
func (a *admission) clientIP(r *http.Request) netip.Addr { return clientIP(r, a.trustedProxies) }

// connSlot is one counted connection. The function that takes it over calls giveBack once, later.
type connSlot struct {
	admission   *admission
	clientIP    netip.Addr
	browserHash string // see knowBrowser
	since       time.Time
	isTaken     bool
}

type connSlotKey struct{}

// takeConnSlot makes the connection that r opens the owner of its slot: it is given
// back by giveBack. nil when r was not counted.
func takeConnSlot(r *http.Request) *connSlot {
	s, _ := r.Context().Value(connSlotKey{}).(*connSlot)
	if s != nil {
		s.isTaken = true
	}
	return s
}

// browserIn is what stands for the browser of a connection whose context ctx is.
func browserIn(ctx context.Context) string {
	if s, _ := ctx.Value(connSlotKey{}).(*connSlot); s != nil {
		return s.browserHash
	}
	return ""
}

func (s *connSlot) giveBack() {
	if s == nil {
		return
	}
	s.admission.openConns.Add(-1)
	s.admission.perIP.release(s.clientIP)
	s.admission.comebacks.earnCredit(s.clientIP, s.since)
}

// middleware applies the origin policy to every request and the limits to those
// that open a connection: the ones that opens says so of.
func (a *admission) middleware(next http.Handler, opens func(*http.Request) bool) http.Handler {
	return a.origins.middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !opens(r) {
			next.ServeHTTP(w, r)
			return
		}
		a.forwardingLines.noteForwarding(r, trustsProxy(a.trustedProxies, r.RemoteAddr))
		s, limit, status, retryAfter := a.admitConn(r)
		if s == nil {
			a.metrics.refusals.countRefusal(limit, "address", a.clientIP(r), "peer", r.RemoteAddr)
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
			if status == http.StatusServiceUnavailable {
				w.Header().Set("Connection", "close")
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		s.browserHash = a.knowBrowser(w, r)
		defer func() {
			if !s.isTaken { // the handshake failed
				s.giveBack()
			}
		}()
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), connSlotKey{}, s)))
	}))
}

// admitConn counts a new connection, or names the limit it met. Limits of one address
// come before those of the replica, so that one address cannot use them up.
func (a *admission) admitConn(r *http.Request) (s *connSlot, limit string, status, retryAfter int) {
	if a.draining.Load() {
		return nil, "draining", http.StatusServiceUnavailable, 1
	}
	key := limitKey(a.clientIP(r))
	returns := a.comebacks.spendCredit(key)
	if !returns {
		if ok, wait := a.handshakes.allow(key); !ok {
			return nil, "handshakes_per_ip", http.StatusTooManyRequests, wait
		}
	}
	limit, status, retryAfter = a.takeSlots(key)
	if limit == "" {
		return &connSlot{admission: a, clientIP: key, since: time.Now()}, "", 0, 0
	}
	if returns {
		a.comebacks.refundCredit(key)
	}
	return nil, limit, status, retryAfter
}

// takeSlots takes a place of the replica and one of the address.
func (a *admission) takeSlots(key netip.Addr) (limit string, status, retryAfter int) {
	if !a.nodeHandshakes.Load().Allow() {
		return "handshakes_per_node", http.StatusServiceUnavailable, 1
	}
	if a.noteScarcity(socketsBelow) {
		return "descriptors", http.StatusServiceUnavailable, 5
	}
	if a.memory.isScarce() {
		return "memory", http.StatusServiceUnavailable, 5
	}
	if n, limit := a.openConns.Add(1), a.maxConns.Load(); limit > 0 && n > limit {
		a.openConns.Add(-1)
		return "connections", http.StatusServiceUnavailable, 5
	}
	if !a.perIP.acquire(key) {
		a.openConns.Add(-1)
		return "connections_per_ip", http.StatusTooManyRequests, 5
	}
	return "", 0, 0
}

// noteScarcity reports whether percent of the descriptors are in use, and remembers whether
// connections should end with their answers.
func (a *admission) noteScarcity(percent int) bool {
	a.descriptorsScarce.Store(a.descriptors.limitReached(socketsBelow))
	return a.descriptorsScarce.Load() && (percent == socketsBelow || a.descriptors.limitReached(percent))
}

// AdmitConn implements engineio.ConnLimiter. Connections of trusted proxies are not
// limited by address, because all clients come through them; those of replicas that
// relay are counted, but as many as there are descriptors for.
func (a *admission) AdmitConn(remote netip.AddrPort) (status, retryAfter int) {
	var limit string
	switch key := limitKey(remote.Addr()); {
	case a.noteScarcity(connectionsBelow):
		limit, status = "descriptors", http.StatusServiceUnavailable
	case !containsAddr(a.trustedProxies, remote.Addr()) && !a.tcpConns.acquire(key) && !a.acquireAsPeer(remote.Addr(), key):
		limit, status = "tcp_connections_per_ip", http.StatusTooManyRequests
	default:
		return 0, 0
	}
	a.metrics.refusals.countRefusal(limit, "peer", remote)
	return status, 5
}

// acquireAsPeer counts a connection above the limit of its address.
func (a *admission) acquireAsPeer(addr, key netip.Addr) bool {
	return a.peers.contains(addr.WithZone("")) && a.tcpConns.acquireUpTo(key, math.MaxInt)
}

// ReleaseConn implements engineio.ConnLimiter.
func (a *admission) ReleaseConn(remote netip.AddrPort) {
	if !containsAddr(a.trustedProxies, remote.Addr()) {
		a.tcpConns.release(limitKey(remote.Addr()))
	}
}

// endWhenCrowded closes connections behind their answers while descriptors are
// scarce: idle ones would keep them from the requests that matter.
func (a *admission) endWhenCrowded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.descriptorsScarce.Load() && r.Header.Get("Upgrade") == "" {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
