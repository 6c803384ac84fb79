package gateway

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	o := &origins{allowed: []string{"https://app.example.com"}, proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, c := range []struct {
		name, origin, host, peer string
		tls                      bool
		header                   map[string]string
		ok                       bool
	}{
		{name: "none: a program", host: "a.com", ok: true},
		{name: "the same", origin: "http://a.com", host: "a.com", ok: true},
		{name: "the same with a port", origin: "http://a.com:3000", host: "a.com:3000", ok: true},
		{name: "the default port is no port", origin: "http://a.com", host: "a.com:80", ok: true},
		{name: "TLS before an unknown proxy", origin: "https://a.com", host: "a.com", ok: true},
		{name: "another port", origin: "http://a.com:3001", host: "a.com:3000"},
		{name: "the list", origin: "https://app.example.com", host: "a.com", ok: true},
		{name: "the list in capitals", origin: "HTTPS://APP.example.com", host: "a.com", ok: true},
		{name: "the list, another scheme", origin: "http://app.example.com", host: "a.com"},
		{name: "the list, another port", origin: "https://app.example.com:8443", host: "a.com"},
		{name: "a suffix of the list", origin: "https://app.example.com.evil.com", host: "a.com"},
		{name: "a prefix of the list", origin: "https://evilapp.example.com", host: "a.com"},
		{name: "a subdomain", origin: "https://x.app.example.com", host: "a.com"},
		{name: "null", origin: "null", host: "a.com"},
		{name: "file", origin: "file://", host: "a.com"},
		{name: "with a path", origin: "https://app.example.com/x", host: "a.com"},
		{name: "with a user", origin: "https://a@app.example.com", host: "a.com"},
		{name: "evil", origin: "https://evil.example", host: "a.com"},
		{name: "direct TLS knows the scheme", origin: "http://a.com", host: "a.com", tls: true},
		{name: "direct TLS, the same", origin: "https://a.com", host: "a.com", tls: true, ok: true},
		{name: "a stranger's forwarded host", origin: "https://evil.example", host: "a.com", peer: "203.0.113.9:1", header: map[string]string{"X-Forwarded-Host": "evil.example"}},
		{name: "a proxy's forwarded host", origin: "https://b.com", host: "a.com", peer: "10.0.0.1:1", header: map[string]string{"X-Forwarded-Host": "b.com", "X-Forwarded-Proto": "https"}, ok: true},
		{name: "a proxy's scheme counts", origin: "http://a.com", host: "a.com", peer: "10.0.0.1:1", header: map[string]string{"X-Forwarded-Proto": "https"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/socket.io/", nil)
			r.Host, r.RemoteAddr = c.host, "203.0.113.9:1"
			if c.peer != "" {
				r.RemoteAddr = c.peer
			}
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			if _, err := o.check(r); (err == nil) != c.ok {
				t.Errorf("error %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestOriginsRequired(t *testing.T) {
	t.Parallel()
	o := &origins{require: true}
	get := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, err := o.check(get); err != nil {
		t.Error("a plain GET needs no Origin: browsers omit it on same-origin ones")
	}
	post := httptest.NewRequest(http.MethodPost, "/", nil)
	if _, err := o.check(post); err == nil {
		t.Error("a POST without Origin was accepted")
	}
	get.Header.Set("Upgrade", "websocket")
	if _, err := o.check(get); err == nil {
		t.Error("an upgrade without Origin was accepted")
	}
}

func TestAllowedCrossOriginGetsItsHeaders(t *testing.T) {
	t.Parallel()
	o := &origins{allowed: []string{"https://app.example.com"}}
	served := false
	h := o.middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))

	r := httptest.NewRequest(http.MethodGet, "http://a.com/socket.io/", nil)
	r.Header.Set("Origin", "https://app.example.com")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if !served || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		w.Header().Get("Access-Control-Allow-Credentials") != "true" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("headers %v", w.Header())
	}

	served = false
	r.Header.Set("Origin", "https://evil.example")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if served || w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("evil: served %v, %d, %v", served, w.Code, w.Header())
	}
}

func TestCleanOriginRefusesWildcards(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"*", "https://*.example.com", "example.com", "ftp://a", "", "https://"} {
		if got, err := cleanOrigin(s); err == nil {
			t.Errorf("%q became %q", s, got)
		}
	}
}
