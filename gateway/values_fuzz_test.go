package gateway

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzValues reads settings: what is accepted is in its range, and a duration is read as it is
// printed.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"90s", "5m", "300", "1e3", "-1", "NaN", "Inf", "1e400", "10/s", "6/m", "off", "85%", "101%", "0/s", "10.0.0.0/8, 127.0.0.1", "::1", "fe80::1%eth0", "9223372036854775807", " 7 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Duration
		if d.UnmarshalText([]byte(s)) == nil {
			var again Duration
			if err := again.UnmarshalText([]byte(d.String())); d < 0 || err != nil || again != d {
				t.Fatalf("duration %q: %v, read again %v, %v", s, d, again, err)
			}
		}
		var r Rate
		if r.UnmarshalText([]byte(s)) == nil && !r.Off && (r.N < 1 || r.Per < time.Second) {
			t.Fatalf("rate %q: %+v", s, r)
		}
		var c Count
		if c.UnmarshalText([]byte(s)) == nil && !c.Off && c.N < 1 {
			t.Fatalf("count %q: %+v", s, c)
		}
		var p Percent
		if p.UnmarshalText([]byte(s)) == nil && !p.Off && (p.N < 1 || p.N > 100) {
			t.Fatalf("percent %q: %+v", s, p)
		}
		var n Networks
		if n.UnmarshalText([]byte(s)) == nil {
			for _, p := range n {
				if !p.IsValid() {
					t.Fatalf("networks %q: %v", s, n)
				}
			}
		}
	})
}

// FuzzHop reads an entry of X-Forwarded-For: an address has one spelling, however it was written.
func FuzzHop(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3.4:80", "[::1]:80", "[::1]", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:1", "fe80::1%eth0", "unknown", "_hidden", " 1.2.3.4 ", "1.2.3.4:", "[[::1]]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parseHop(s)
		if !ok {
			if a.IsValid() {
				t.Fatalf("%q is refused as %v", s, a)
			}
			return
		}
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
			t.Fatalf("%q: %v", s, a)
		}
		if again, ok := parseHop(a.String()); !ok || again != a {
			t.Fatalf("%q: %v is read as %v", s, a, again)
		}
		if again, ok := parseHop(netip.AddrPortFrom(a, 80).String()); !ok || again != a {
			t.Fatalf("%q: %v with a port is read as %v", s, a, again)
		}
	})
}
