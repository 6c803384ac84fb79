package wxsim

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"posthouse/internal/origin"
)

// guard keeps strangers out: a program that reaches the simulator can log in as
// anybody. Only peers on loopback are answered, and of those
//   - not a page of another site that sends its visitor's browser here (Origin),
//   - not a site whose name was made to point at 127.0.0.1 (Host), and
//   - not the world through a proxy on this machine (forwarding headers, HTTP/1.0).
func (s *Sim) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := s.refusal(r); reason != "" {
			writeJSON(w, http.StatusForbidden, errorBody{reason})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Answers reports whether r comes from this machine, so that there is a simulator for
// it. A server that has the simulator among its own routes answers other requests as
// if it had none.
func (s *Sim) Answers(r *http.Request) bool { return s.stranger(r) == "" }

// stranger says why there is no simulator for r, "" when there is.
func (s *Sim) stranger(r *http.Request) string {
	switch {
	case s.opts.AllowRemote:
		return ""
	case !isLoopback(peerIP(r)):
		return "the simulator answers loopback peers only"
	case !isLoopback(hostname(r.Host)):
		return "the simulator answers to loopback names only"
	case isForwarded(r):
		return "the simulator does not answer through a proxy"
	}
	return ""
}

func (s *Sim) refusal(r *http.Request) string {
	if reason := s.stranger(r); reason != "" {
		return reason
	}
	if r.URL.Path == s.opts.Prefix+"/cgi-bin/showqrcode" {
		return "" // a picture: pages anywhere show it, as they show the real one
	}
	if page, given, err := origin.Header(r.Header); given {
		o, failed := origin.Parse(page)
		if err != nil || failed != nil || !o.Same(r.Host, "") {
			return "cross-site requests are refused"
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return "cross-site requests are refused"
	}
	return ""
}

// forwardingHeaders are those that proxies, tunnels and CDNs add, beside the ones
// whose names begin with X-Forwarded- and X-Original-.
var forwardingHeaders = []string{
	"Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Cdn-Loop", "X-Envoy-External-Address",
}

// isForwarded reports whether a proxy has passed r on, whatever address it names: its
// peers need not be those that it tells of. A proxy_pass of nginx without further
// settings adds nothing and sends its own Host, but speaks HTTP/1.0, which no browser
// and no client of the simulator does.
func isForwarded(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for _, name := range forwardingHeaders {
		if _, ok := r.Header[name]; ok {
			return true
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Original-") {
			return true
		}
	}
	return false
}

// hostname is the Host header without its port.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// isLoopback knows addresses and the one name that browsers resolve by
// themselves.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
