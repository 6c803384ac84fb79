package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// errOrigin is the answer to every request from a page that is not ours.
var errOrigin = errors.New("gateway: origin not allowed")

// origins decides which pages may talk to the gateway: the same origin and an
// exact list, on every transport and every request (LOGIN.md §5). Browsers do
// not apply CORS to WebSockets, so the server itself must refuse.
type origins struct {
	allowed []string // "https://host[:port]", lower case, default port left out
	require bool     // a missing Origin is refused on upgrades and POSTs
	proxies []netip.Prefix
}

// cleanOrigin brings an origin into the form browsers send it in.
func cleanOrigin(s string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Contains(u.Host, "*") ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("gateway: %q is not an origin", s)
	}
	return u.Scheme + "://" + cleanHost(u.Scheme, u.Host), nil
}

// cleanHost lower-cases host and leaves the scheme's default port out.
func cleanHost(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}

// check returns errOrigin unless r may be served; cross is the foreign but
// allowed origin that CORS headers must name, else "".
func (o *origins) check(r *http.Request) (cross string, err error) {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		if o.require && (r.Method == http.MethodPost || r.Header.Get("Upgrade") != "") {
			return "", errOrigin
		}
		return "", nil
	}
	if len(values) > 1 {
		return "", errOrigin
	}
	origin, err := cleanOrigin(values[0])
	if err != nil {
		return "", errOrigin
	}
	if o.same(origin, r) {
		return "", nil
	}
	if slices.Contains(o.allowed, origin) {
		return values[0], nil
	}
	return "", errOrigin
}

// same compares host and port with the request's; the scheme only when it is
// known: on a direct TLS connection or told by a trusted proxy.
func (o *origins) same(origin string, r *http.Request) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	requestHost, requestScheme := r.Host, ""
	if r.TLS != nil {
		requestScheme = "https"
	}
	if trusts(o.proxies, r.RemoteAddr) {
		if h := lastValue(r.Header, "X-Forwarded-Host"); h != "" {
			requestHost = h
		}
		if p := lastValue(r.Header, "X-Forwarded-Proto"); p != "" {
			requestScheme = strings.ToLower(p)
		}
	}
	switch requestScheme {
	case "wss":
		requestScheme = "https"
	case "ws":
		requestScheme = "http"
	}
	if requestScheme != "" && requestScheme != scheme {
		return false
	}
	return cleanHost(scheme, requestHost) == host
}

// middleware refuses foreign pages with 403 before any work and gives the
// allowed ones their CORS headers.
func (o *origins) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cross, err := o.check(r)
		if err != nil {
			w.Header().Set("Vary", "Origin")
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		if cross != "" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", cross)
			h.Set("Access-Control-Allow-Credentials", "true")
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
