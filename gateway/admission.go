package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
)

// admission decides who may open a connection, before any work is done for it:
// limits per address and for this replica (RELIABILITY.md §4, rows 1 and 2).
type admission struct {
	proxies    []netip.Prefix
	origins    *origins
	handshakes *keyedRate[netip.Addr]
	perIP      *keyedCount[netip.Addr]
	max        int64 // connections of this replica, 0 = no limit
	open       atomic.Int64
	draining   atomic.Bool
	cookies    bool // browsers are told apart; see knowBrowser
	metrics    *metrics
}

func newAdmission(cfg *Config, m *metrics) *admission {
	a := &admission{
		proxies: cfg.TrustedProxies,
		origins: &origins{allowed: cfg.Origins, opaque: cfg.AllowNull, require: cfg.RequireOrigin, proxies: cfg.TrustedProxies},
		// Three seconds' worth at once: a page with a few tabs reconnects at once.
		handshakes: newKeyedRate[netip.Addr](cfg.LimitHandshakes, 3*cfg.LimitHandshakes.N),
		perIP:      newKeyedCount[netip.Addr](cfg.LimitConnections),
		metrics:    m,
		cookies:    !cfg.LimitQRCodesBrowser.Off || cfg.Confirm == "risk",
	}
	refused := &refusedOrigins{log: slog.Default()}
	a.origins.refused = func(r *http.Request) {
		m.refused.WithLabelValues("origin").Inc()
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
			a.metrics.refused.WithLabelValues(limit).Inc()
			slog.Debug("gateway: connection refused", "limit", limit)
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

// enter counts a new connection, or names the limit it met.
func (a *admission) enter(r *http.Request) (s *seat, limit string, status, retryAfter int) {
	if a.draining.Load() {
		return nil, "draining", http.StatusServiceUnavailable, 1
	}
	key := limitKey(a.clientIP(r))
	if ok, wait := a.handshakes.allow(key); !ok {
		return nil, "handshakes_per_ip", http.StatusTooManyRequests, wait
	}
	if n := a.open.Add(1); a.max > 0 && n > a.max {
		a.open.Add(-1)
		return nil, "connections", http.StatusServiceUnavailable, 5
	}
	if !a.perIP.acquire(key) {
		a.open.Add(-1)
		return nil, "connections_per_ip", http.StatusTooManyRequests, 5
	}
	return &seat{a: a, key: key}, "", 0, 0
}
