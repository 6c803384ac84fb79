package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"posthouse/internal/loglimit"

	"posthouse/internal/origin"
)

// errOrigin is the answer to every request from a page that is not ours.
var errOrigin = errors.New("gateway: origin not allowed")

// originPolicy decides which pages may talk to the gateway: the same origin and an
// exact list, on every transport and every request (docs/login.md §5). Browsers do
// not apply CORS to WebSockets, so the server itself must refuse.
type originPolicy struct {
	allowedOrigins []string // in the form that cleanOrigin returns
	allowOpaque    bool     // "null" and file:// are allowed: every site can send "null"
	requireOrigin  bool     // a missing Origin is refused on upgrades and POSTs

	reloaded atomic.Pointer[originPolicy] // has newer values of the three fields above; nil: none

	trustedProxies []netip.Prefix
	publicPaths    map[string]bool // paths of scripts: served to every page
	onRefused      func(r *http.Request)
}

// cleanOrigin brings an origin into the form in which browsers send it.
func cleanOrigin(s string) (string, error) {
	o, err := origin.Parse(strings.TrimSpace(s))
	if err != nil {
		return "", err
	}
	return o.String(), nil
}

// checkRequest returns errOrigin unless r may be served; cross is the foreign but
// allowed origin that CORS headers must name, else "".
func (o *originPolicy) checkRequest(r *http.Request) (cross string, err error) {
	rules := o
	if newer := o.reloaded.Load(); newer != nil {
		rules = newer
	}
	text, given, err := origin.Header(r.Header)
	switch {
	case err != nil:
		return "", errOrigin
	case !given:
		if rules.requireOrigin && (r.Method == http.MethodPost || r.Method == http.MethodConnect || r.Header.Get("Upgrade") != "") {
			return "", errOrigin
		}
		return "", nil
	case origin.Opaque(text):
		if !rules.allowOpaque {
			return "", errOrigin
		}
		return text, nil
	}
	page, err := origin.Parse(text)
	if err != nil {
		return "", errOrigin
	}
	if page.Same(o.requestedHost(r)) {
		return "", nil
	}
	if slices.Contains(rules.allowedOrigins, page.String()) {
		return text, nil
	}
	return "", errOrigin
}

// requestedHost returns the host that r was sent to, and its scheme, which is known on a
// direct TLS connection or when a trusted proxy tells it, and "" otherwise.
func (o *originPolicy) requestedHost(r *http.Request) (host, scheme string) {
	host = r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if trustsProxy(o.trustedProxies, r.RemoteAddr) {
		if h := lastValue(r.Header, "X-Forwarded-Host"); h != "" {
			host = h
		}
		if p := lastValue(r.Header, "X-Forwarded-Proto"); p != "" {
			scheme = p
		}
	}
	return host, scheme
}

// middleware refuses foreign pages with 403 before any work and gives the
// allowed ones their CORS headers.
func (o *originPolicy) middleware(next http.Handler) http.Handler {
	return o.wrapHandler(next, func(r *http.Request) bool { return o.publicPaths[r.URL.Path] })
}

// publicFiles is middleware for files that every page may load: only the allowed
// origins can read them, by their CORS headers, but no page of our own stands without
// its script because a proxy has changed the Host.
func (o *originPolicy) publicFiles(next http.Handler) http.Handler {
	return o.wrapHandler(next, func(*http.Request) bool { return true })
}

func (o *originPolicy) wrapHandler(next http.Handler, public func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cross, err := o.checkRequest(r)
		switch {
		case err == nil:
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) && public(r):
			w.Header().Add("Vary", "Origin")
		default:
			if o.onRefused != nil {
				o.onRefused(r)
			}
			w.Header().Set("Vary", "Origin")
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		if cross != "" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", cross)
			if !origin.Opaque(cross) { // every site can be "null": such a page gets no cookies
				h.Set("Access-Control-Allow-Credentials", "true")
			}
			h.Add("Vary", "Origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET,POST")
				if ask := r.Header.Get("Access-Control-Request-Headers"); ask != "" {
					h.Set("Access-Control-Allow-Headers", ask)
					h.Add("Vary", "Access-Control-Request-Headers")
				}
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refusedOrigins tells the operator of refused pages: one line a minute for each
// Origin and Host, and at most maxRefusedOrigins lines a minute.
type refusedOrigins struct {
	log   *slog.Logger
	lines loglimit.Keyed // by Origin and Host
}

func newRefusedOrigins(log *slog.Logger) *refusedOrigins {
	return &refusedOrigins{log: log, lines: loglimit.Keyed{Every: time.Minute, MaxKeys: maxRefusedOrigins}}
}

const maxRefusedOrigins = 8

func (o *refusedOrigins) logRefusal(r *http.Request) {
	page, host := shortenText(strings.Join(r.Header.Values("Origin"), ", ")), shortenText(r.Host)
	more, ok := o.lines.Allow(page + " " + host)
	if !ok {
		return
	}
	forwarded := lastValue(r.Header, "X-Forwarded-Host")
	o.log.Warn("gateway: request of another origin refused", "reason", "origin", "origin", page, "host", host, "forwardedHost", shortenText(forwarded),
		"peer", peerAddr(r.RemoteAddr), "unreported", more,
		"fix", "forward Host (nginx: proxy_set_header Host $http_host) or set POSTHOUSE_ORIGINS or POSTHOUSE_TRUSTED_PROXIES")
}

// shortenText keeps a refused request from filling a table or a log line.
func shortenText(s string) string {
	const limit = 80 // of three values: the line stays below 512 bytes
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
