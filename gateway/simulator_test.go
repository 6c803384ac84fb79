package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whoever reaches the simulator can sign in as anybody.
func TestSimulator_ThroughAProxy_IsNotThere(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	for _, c := range []struct {
		name, peer, host, header string
		there                    bool
	}{
		{"this machine", "127.0.0.1:5000", "localhost:3000", "", true},
		{"this machine by address", "[::1]:5000", "[::1]:3000", "", true},
		{"another machine", "203.0.113.9:5000", "localhost:3000", "", false},
		{"a public name", "127.0.0.1:5000", "login.example", "", false},
		{"nginx with X-Forwarded-For", "127.0.0.1:5000", "127.0.0.1:3000", "X-Forwarded-For", false},
		{"nginx with X-Real-IP", "127.0.0.1:5000", "127.0.0.1:3000", "X-Real-Ip", false},
		{"nginx without settings", "127.0.0.1:5000", "127.0.0.1:3000", "HTTP/1.0", false},
	} {
		for _, path := range []string{"/sim", "/sim/", "/sim/log", "/sim/cgi-bin/token", "/"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr, r.Host = c.peer, c.host
			switch {
			case strings.HasPrefix(c.header, "HTTP"):
				r.Proto, r.ProtoMajor, r.ProtoMinor = c.header, 1, 0
			case c.header != "":
				r.Header.Set(c.header, "127.0.0.1")
			}
			w := httptest.NewRecorder()
			f.app.httpHandler.ServeHTTP(w, r)
			there := w.Code != http.StatusNotFound
			if path == "/" {
				there = strings.Contains(w.Body.String(), `href="/sim"`)
			}
			if there != c.there {
				t.Errorf("%s: %s answers %d, want it there: %v", c.name, path, w.Code, c.there)
			}
		}
	}
}
