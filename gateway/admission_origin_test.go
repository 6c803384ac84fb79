package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	o := &originPolicy{allowedOrigins: []string{"https://app.example.com", "capacitor://localhost", "chrome-extension://abcdef"}, trustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
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
		{name: "the default port of https is no port", origin: "https://a.com", host: "a.com:443", ok: true},
		{name: "a WebSocket's scheme", origin: "wss://a.com", host: "a.com:443", ok: true},
		{name: "a default port in the Origin", origin: "wss://a.com:443", host: "a.com", ok: true},
		{name: "the other scheme's default port", origin: "https://a.com", host: "a.com:80"},
		{name: "IPv6", origin: "http://[::1]", host: "[0::1]:80", ok: true},
		{name: "another port", origin: "http://a.com:3001", host: "a.com:3000"},
		{name: "the list", origin: "https://app.example.com", host: "a.com", ok: true},
		{name: "the list in capitals", origin: "HTTPS://APP.example.com", host: "a.com", ok: true},
		{name: "the list, another scheme", origin: "http://app.example.com", host: "a.com"},
		{name: "the list, another port", origin: "https://app.example.com:8443", host: "a.com"},
		{name: "the list, its default port", origin: "https://app.example.com:443", host: "a.com", ok: true},
		{name: "the list, a WebSocket's scheme", origin: "wss://app.example.com", host: "a.com", ok: true},
		{name: "an application", origin: "capacitor://localhost", host: "a.com", ok: true},
		{name: "an application in capitals", origin: "Capacitor://LocalHost", host: "a.com", ok: true},
		{name: "an extension", origin: "chrome-extension://abcdef", host: "a.com", ok: true},
		{name: "another extension", origin: "chrome-extension://abcdeg", host: "a.com"},
		{name: "an application with a port", origin: "capacitor://localhost:80", host: "a.com"},
		{name: "another application", origin: "ionic://localhost", host: "a.com"},
		{name: "an application is no server's own", origin: "ionic://a.com", host: "a.com"},
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
			if _, err := o.checkRequest(r); (err == nil) != c.ok {
				t.Errorf("error %v, want ok %v", err, c.ok)
			}
		})
	}
}

func TestOriginsRequired(t *testing.T) {
	t.Parallel()
	o := &originPolicy{requireOrigin: true}
	get := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, err := o.checkRequest(get); err != nil {
		t.Error("a plain GET needs no Origin: browsers omit it on same-origin ones")
	}
	post := httptest.NewRequest(http.MethodPost, "/", nil)
	if _, err := o.checkRequest(post); err == nil {
		t.Error("a POST without Origin was accepted")
	}
	get.Header.Set("Upgrade", "websocket")
	if _, err := o.checkRequest(get); err == nil {
		t.Error("an upgrade without Origin was accepted")
	}
}

func TestAllowedCrossOriginGetsItsHeaders(t *testing.T) {
	t.Parallel()
	o := &originPolicy{allowedOrigins: []string{"https://app.example.com"}}
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

func TestOrigin_Settings_TakeApplicationsAndKeepOpaqueOriginsApart(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"capacitor://localhost": "capacitor://localhost", "Ionic://localhost": "ionic://localhost", "tauri://localhost": "tauri://localhost",
		"app://-": "app://-", "chrome-extension://abcdef": "chrome-extension://abcdef", "wss://a.com:443/": "https://a.com", " https://A.com:8443 ": "https://a.com:8443",
	} {
		c := Config{Addr: ":0", SocketIOPath: "/socket.io", JWTTTL: 1, TicketTTL: Duration(time.Minute), Origins: []string{origin}}
		if err := c.Normalize(); err != nil || c.Origins[0] != want {
			t.Errorf("%s: %q, %v", origin, c.Origins, err)
		}
	}
	for origin, hint := range map[string]string{
		"null": "POSTHOUSE_ALLOW_NULL_ORIGIN", "file://": "POSTHOUSE_ALLOW_NULL_ORIGIN", "FILE:///x": "POSTHOUSE_ALLOW_NULL_ORIGIN",
		"https://a.com/x": "POSTHOUSE_ORIGINS", "localhost": "POSTHOUSE_ORIGINS",
	} {
		c := Config{Addr: ":0", SocketIOPath: "/socket.io", Origins: []string{origin}}
		if err := c.Normalize(); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

// Every site can make a sandboxed frame, whose origin is null: allowed or not, it never
// gets an answer to a request that carries cookies.
func TestOrigin_Null_IsAllowedBySettingAloneAndWithoutCredentials(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		o := &originPolicy{allowOpaque: allowed, allowedOrigins: []string{"https://app.example.com"}}
		h := o.middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
		for _, origin := range []string{"null", "file://", "FILE://"} {
			r := httptest.NewRequest(http.MethodGet, "http://a.com/socket.io/", nil)
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Header().Get("Access-Control-Allow-Origin")
			if (w.Code == http.StatusOK) != allowed || allowed && got != origin || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s, allowed %v: %d %v", origin, allowed, w.Code, w.Header())
			}
		}
	}
}

// A proxy that changes Host makes the gateway's own pages foreign. Their scripts still
// load, and can say so; nothing else is served, and no other page can read them.
func TestOrigin_Foreign_IsServedPublicFilesOnly(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	for target, want := range map[string]int{
		"/socket.io/socket.io.esm.min.js": 200, "/socket.io/socket.io.js.map": 200, "/socket.io/socket.io.js?EIO=4&transport=polling": 200,
		"/login": 200, "/login/element.js": 200, "/login/attempt.js": 200, "/login/element.json": 200,
		"/socket.io/?EIO=4&transport=polling": 403, "/socket.io/other.js": 403, "/ws/signup": 403, "/login/exchange": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Origin", "https://evil.example")
		w := httptest.NewRecorder()
		f.app.httpHandler.ServeHTTP(w, r)
		if w.Code != want || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
		if r.Method = http.MethodPost; true {
			w := httptest.NewRecorder()
			if f.app.httpHandler.ServeHTTP(w, r); w.Code < 400 {
				t.Errorf("POST %s: %d", target, w.Code)
			}
		}
	}
}

func TestOrigin_Refused_IsLoggedOnceAMinuteWithTheFix(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := newRefusedOrigins(slog.New(slog.NewTextHandler(&log, nil)))
		send := func(origin, host string) (line string) {
			r := httptest.NewRequest(http.MethodGet, "/socket.io/", nil)
			r.Host = host
			r.Header.Set("Origin", origin)
			log.Reset()
			o.logRefusal(r)
			return log.String()
		}
		line := send("https://shop.example", "127.0.0.1:3000")
		for _, want := range []string{"origin=https://shop.example", "host=127.0.0.1:3000", "$http_host", "POSTHOUSE_ORIGINS", "POSTHOUSE_TRUSTED_PROXIES"} {
			if !strings.Contains(line, want) {
				t.Errorf("%q is not in %s", want, line)
			}
		}
		if again := send("https://shop.example", "127.0.0.1:3000"); again != "" {
			t.Errorf("again at once: %s", again)
		}
		lines := 0
		for i := range 1000 { // a client fills the log
			if send(fmt.Sprintf("https://%d.example\n%s", i, strings.Repeat("x", 9000)), "a") != "" {
				lines++
			}
		}
		if lines > maxRefusedOrigins {
			t.Errorf("%d lines in a minute", lines)
		}
		time.Sleep(time.Minute)
		line = send("https://"+strings.Repeat("x", 9000), "127.0.0.1:3000")
		if !strings.Contains(line, "unreported=") || strings.Contains(line, "unreported=0") || len(line) > 512 {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	})
}
