package origin

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestOrigin_Parse_AgreesWithTheURLStandard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/origins.json") // testdata/origins.mjs tells how it was made
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct{ Input, Origin string }
	if err := json.Unmarshal(data, &golden); err != nil || len(golden) < 60 {
		t.Fatalf("%d recorded origins, error %v", len(golden), err)
	}
	// The URL standard accepts hosts that no name server knows.
	strict := []string{"http://a.com..", "http://.a.com", "http://a..com", "https://*.a.com"}
	for _, g := range golden {
		o, err := Parse(g.Input)
		switch {
		case err == nil && !strings.EqualFold(o.String(), g.Origin):
			t.Errorf("%q is %q, the standard says %q", g.Input, o, g.Origin)
		case err != nil && g.Input == g.Origin && g.Input != "" && !slices.Contains(strict, g.Input):
			t.Errorf("%q is refused, though browsers send it", g.Input)
		}
	}
}

func TestOrigin_Parse_RefusesWhatIsMoreThanAnOrigin(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "null", "*", "a.com", "//a.com", "https://", "https:///a.com", "https:a.com", "https:/a.com", "https://a.com/x", "https://a.com//", "https://a.com?x", "https://a.com#x",
		"https://u@a.com", "https://u:p@a.com", "https://a.com\\x", "https://a.com\t", " https://a.com", "https://a.com, https://b.com", "https://*.a.com", "https://münchen.de", "https://a%2ecom",
		"http://127.1", "http://0x7f.1", "http://2130706433", "http://[1.2.3.4]", "http://[::1", "http://[::1]x", "http://[fe80::1%25eth0]", "https://a:65536", "https://a:-1", "https://a:1:2",
		"capacitor://", "file://", "ftp://a", "1app://x", "app://a/b", "app://u@b",
	} {
		if o, err := Parse(s); err == nil {
			t.Errorf("%q became %q", s, o)
		}
	}
}

func TestOrigin_Same_DefaultPortsAndSchemes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		origin, host, scheme string
		same                 bool
	}{
		{"https://example.com", "example.com", "", true},
		{"https://example.com", "example.com:443", "", true},
		{"wss://example.com", "example.com:443", "", true},
		{"wss://example.com", "example.com", "https", true},
		{"https://example.com:443", "example.com", "", true},
		{"wss://example.com:443", "example.com", "", true},
		{"http://example.com", "example.com:80", "", true},
		{"ws://example.com:80", "example.com", "", true},
		{"ws://example.com", "example.com", "ws", true},
		{"https://EXAMPLE.com", "Example.COM:443", "HTTPS", true},
		{"https://example.com", "example.com", "wss", true},
		{"http://[::1]", "[0:0::1]:80", "", true},
		{"http://[::1]:3000", "[::1]:3000", "", true},
		{"http://1.2.3.4", "1.2.3.4:80", "", true},
		{"http://example.com.", "example.com.", "", true},
		{"https://example.com", "example.com:80", "", false},
		{"http://example.com", "example.com:443", "", false},
		{"https://example.com:8443", "example.com", "", false},
		{"https://example.com", "example.com:8443", "", false},
		{"http://example.com", "example.com", "https", false},
		{"https://example.com", "example.com", "http", false},
		{"wss://example.com", "example.com", "ws", false},
		{"https://example.com", "example.com.", "", false},
		{"https://example.com", "evil.example", "", false},
		{"https://example.com", "", "", false},
		{"https://example.com", "u@example.com", "", false},
		{"https://example.com", "example.com/x", "", false},
		{"capacitor://example.com", "example.com", "", false},
		{"https://example.com", "example.com", "capacitor", false},
	} {
		o, err := Parse(c.origin)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Same(c.host, c.scheme); got != c.same {
			t.Errorf("%s at Host %s, scheme %q: %v", c.origin, c.host, c.scheme, got)
		}
	}
}

func TestOrigin_Header_IsOneValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values    []string
		given, ok bool
	}{{nil, false, true}, {[]string{"https://a.com"}, true, true}, {[]string{""}, true, false}, {[]string{"https://a.com", "https://a.com"}, true, false}} {
		if _, given, err := Header(http.Header{"Origin": c.values}); given != c.given || (err == nil) != c.ok {
			t.Errorf("%q: given %v, error %v", c.values, given, err)
		}
	}
}

// FuzzOrigin: an accepted origin has the host that net/url reads, is its own canonical
// form, and equals a Host field only when its host is in it.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.com", "wss://a.com:443", "http://[::1]:80", "capacitor://localhost", "https://a.com@b.com", "http://a.com\\b"} {
		f.Add(s, "a.com:443")
	}
	f.Fuzz(func(t *testing.T, s, host string) {
		o, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(o.String()); err != nil || again != o {
			t.Fatalf("%q is %q, and that is %q, %v", s, o, again, err)
		}
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q was accepted: %v, %v", s, u, err)
		}
		if name := strings.ToLower(u.Hostname()); !strings.HasPrefix(o.host, "[") && strings.TrimSuffix(name, ".") != strings.TrimSuffix(o.host, ".") {
			t.Fatalf("%q has the host %q, net/url says %q", s, o.host, name)
		}
		if o.Same(host, "") && (!o.Web() || !strings.HasPrefix(o.host, "[") && !strings.HasPrefix(strings.ToLower(host), o.host)) {
			t.Fatalf("%q is the same as %q", s, host)
		}
	})
}
