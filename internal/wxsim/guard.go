package wxsim

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard keeps strangers out: whoever reaches the simulator can log in as
// anybody. Only peers on loopback are answered, and of those
//   - not a page of another site that sends its visitor's browser here (Origin),
//   - not a site whose name was made to point at 127.0.0.1 (Host), and
//   - not the world through a proxy on this machine (forwarding headers).
func (s *Sim) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := s.refusal(r); reason != "" {
			writeJSON(w, http.StatusForbidden, errorBody{reason})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Sim) refusal(r *http.Request) string {
	if !s.opts.AllowRemote {
		switch {
		case !isLoopback(peerIP(r)):
			return "the simulator answers loopback peers only"
		case !isLoopback(hostname(r.Host)):
			return "the simulator answers to loopback names only"
		case isForwarded(r):
			return "the simulator does not answer through a proxy"
		}
	}
	if r.URL.Path == s.opts.Prefix+"/cgi-bin/showqrcode" {
		return "" // a picture: pages anywhere show it, as they show the real one
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return "cross-site requests are refused"
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return "cross-site requests are refused"
	}
	return ""
}

func isForwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		for _, value := range r.Header.Values(name) {
			for ip := range strings.SplitSeq(value, ",") {
				if !isLoopback(strings.TrimSpace(ip)) {
					return true
				}
			}
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
