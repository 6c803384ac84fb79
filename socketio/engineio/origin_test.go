package engineio

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Package origin's tests have more; these show that the server asks it.
func TestOrigin_DefaultPortsAndApplications(t *testing.T) {
	t.Parallel()
	list := &CORS{Origins: []string{"capacitor://localhost", "https://app.example.com:443"}}
	for _, c := range []struct {
		name   string
		cors   *CORS
		host   string
		tls    bool
		origin []string
		ok     bool
	}{
		{name: "a program", host: "example.com", ok: true},
		{name: "the same", host: "example.com", origin: []string{"https://example.com"}, ok: true},
		{name: "a default port in Host", host: "example.com:443", origin: []string{"https://example.com"}, ok: true},
		{name: "a WebSocket's scheme", host: "example.com:443", origin: []string{"wss://example.com"}, ok: true},
		{name: "a default port in Origin", host: "example.com", origin: []string{"wss://example.com:443"}, ok: true},
		{name: "with TLS", host: "example.com:443", tls: true, origin: []string{"https://example.com"}, ok: true},
		{name: "the other scheme with TLS", host: "example.com", tls: true, origin: []string{"http://example.com"}},
		{name: "another port", host: "example.com:3000", origin: []string{"https://example.com"}},
		{name: "an application of the same name", host: "example.com", origin: []string{"capacitor://example.com"}},
		{name: "a path", host: "example.com", origin: []string{"https://example.com/x"}},
		{name: "a user", host: "example.com", origin: []string{"https://u@example.com"}},
		{name: "two", host: "example.com", origin: []string{"https://example.com", "https://evil.example"}},
		{name: "an empty one", host: "example.com", origin: []string{""}},
		{name: "null", host: "example.com", origin: []string{"null"}},
		{name: "a listed application", cors: list, host: "example.com", origin: []string{"Capacitor://localhost"}, ok: true},
		{name: "a listed page", cors: list, host: "example.com", origin: []string{"https://app.example.com"}, ok: true},
		{name: "a listed page by WebSocket", cors: list, host: "example.com", origin: []string{"wss://app.example.com"}, ok: true},
		{name: "not listed", cors: list, host: "example.com", origin: []string{"ionic://localhost"}},
		{name: "null, not listed", cors: list, host: "example.com", origin: []string{"null"}},
		{name: "the one of CORS", cors: &CORS{Origin: "https://app.example.com"}, host: "example.com", origin: []string{"https://app.example.com:443"}, ok: true},
	} {
		srv := NewServer(&Options{CORS: c.cors})
		r := httptest.NewRequest(http.MethodGet, "/engine.io/?EIO=4&transport=polling", nil)
		r.Host, r.Header["Origin"] = c.host, c.origin
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if got := w.Code == http.StatusOK; got != c.ok || !got && w.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
