package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// clientIP is the address a request comes from: the peer's, or, when the peer is
// a trusted proxy, the rightmost address of X-Forwarded-For that is not a trusted
// proxy itself. Anything an untrusted peer claims is ignored; an entry that is
// not an address ends the walk at the proxy that passed it on.
func clientIP(r *http.Request, proxies []netip.Prefix) netip.Addr {
	addr := peerAddr(r.RemoteAddr)
	if !containsAddr(proxies, addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			return addr
		}
		addr = hop
		if !containsAddr(proxies, addr) {
			return addr
		}
	}
	return addr
}

// limitKey is what limits per address count by: IPv6 hosts own a /64.
func limitKey(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func peerAddr(remoteAddr string) netip.Addr {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func trustsProxy(proxies []netip.Prefix, remoteAddr string) bool {
	return containsAddr(proxies, peerAddr(remoteAddr))
}

func containsAddr(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads one entry of X-Forwarded-For: an address, perhaps with a port
// or in brackets. IPv4 in IPv6 is unmapped, so that both spellings are one.
func parseHop(s string) (netip.Addr, bool) {
	s = strings.TrimSpace(s)
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// lastValue is the entry that the nearest proxy wrote.
func lastValue(h http.Header, name string) string {
	values := strings.Split(strings.Join(h.Values(name), ","), ",")
	return strings.TrimSpace(values[len(values)-1])
}
