package gateway

import (
	"net/http"
	"net/netip"
	"testing"
)

// The limits count by this address: a client that can forge it has no limits.
func TestClientIPTrustsOnlyTheConfiguredProxies(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy, no header", "203.0.113.9:1", nil, "203.0.113.9"},
		{"a stranger's header is ignored", "203.0.113.9:1", []string{"1.1.1.1"}, "203.0.113.9"},
		{"loopback is no proxy unless configured", "127.0.0.1:1", []string{"1.1.1.1"}, "127.0.0.1"},
		{"private addresses are no proxies unless configured", "192.168.1.1:1", []string{"1.1.1.1"}, "192.168.1.1"},
		{"one proxy", "10.0.0.1:1", []string{"1.1.1.1"}, "1.1.1.1"},
		{"the client's own entries are to the left", "10.0.0.1:1", []string{"6.6.6.6, 1.1.1.1"}, "1.1.1.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 10.0.0.2"}, "1.1.1.1"},
		{"a forged proxy address does not help", "10.0.0.1:1", []string{"10.9.9.9, 1.1.1.1"}, "1.1.1.1"},
		{"all trusted: the leftmost", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"several headers are one list", "10.0.0.1:1", []string{"6.6.6.6", "1.1.1.1"}, "1.1.1.1"},
		{"several headers, proxies between", "10.0.0.1:1", []string{"1.1.1.1", "10.0.0.2"}, "1.1.1.1"},
		{"spaces", "10.0.0.1:1", []string{"  1.1.1.1  "}, "1.1.1.1"},
		{"tabs", "10.0.0.1:1", []string{"\t1.1.1.1"}, "1.1.1.1"},
		{"a port", "10.0.0.1:1", []string{"1.1.1.1:4711"}, "1.1.1.1"},
		{"IPv6", "10.0.0.1:1", []string{"2001:db8::7"}, "2001:db8::7"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"IPv6 with a port", "10.0.0.1:1", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"IPv4 in IPv6 is IPv4", "10.0.0.1:1", []string{"::ffff:1.1.1.1"}, "1.1.1.1"},
		{"IPv4 in IPv6 is a proxy too", "10.0.0.1:1", []string{"1.1.1.1, ::ffff:10.0.0.2"}, "1.1.1.1"},
		{"the peer may be IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"1.1.1.1"}, "1.1.1.1"},
		{"an IPv6 proxy", "[fd00::1]:1", []string{"1.1.1.1"}, "1.1.1.1"},
		{"junk stops at the proxy", "10.0.0.1:1", []string{"unknown"}, "10.0.0.1"},
		{"junk in the middle stops there", "10.0.0.1:1", []string{"1.1.1.1, junk, 10.0.0.2"}, "10.0.0.2"},
		{"an empty header", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"an empty entry", "10.0.0.1:1", []string{"1.1.1.1,"}, "10.0.0.1"},
		{"a zone is no address", "10.0.0.1:1", []string{"fe80::1%eth0"}, "10.0.0.1"},
		{"a name is no address", "10.0.0.1:1", []string{"localhost"}, "10.0.0.1"},
		{"octal is no address", "10.0.0.1:1", []string{"010.0.0.1"}, "10.0.0.1"},
		{"a CIDR is no address", "10.0.0.1:1", []string{"1.1.1.0/24"}, "10.0.0.1"},
		{"script is no address", "10.0.0.1:1", []string{"<script>"}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
			for _, h := range c.forwarded {
				r.Header.Add("X-Forwarded-For", h)
			}
			if got := clientIP(r, proxies); got != netip.MustParseAddr(c.want) {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestLimitsCountAnIPv6HostByItsNetwork(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2:ffff::9")
	if limitKey(a) != limitKey(b) {
		t.Error("two addresses of one /64 count apart")
	}
	if limitKey(a) == limitKey(netip.MustParseAddr("2001:db8:1:3::1")) {
		t.Error("two networks count together")
	}
}
