package gateway

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Headers that do not fit POSTHOUSE_TRUSTED_PROXIES leave one line for each peer and ten
// minutes, and a flood of peers leaves few.
func TestForwardingLines_HeadersThatDoNotFitTheProxies_AreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f := newForwardingLines(slog.New(slog.NewTextHandler(&out, nil)))
		request := func(peer, forwarded string) *http.Request {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = peer + ":1"
			if forwarded != "" {
				r.Header.Set("X-Forwarded-For", forwarded)
			}
			return r
		}
		for range 3 {
			f.noteForwarding(request("192.0.2.1", ""), false)
			f.noteForwarding(request("192.0.2.1", "198.51.100.1"), true)
		}
		if out.Len() > 0 {
			t.Fatalf("headers that fit: %s", out.String())
		}
		for range 3 {
			f.noteForwarding(request("192.0.2.1", "198.51.100.1"), false)
			f.noteForwarding(request("192.0.2.2", ""), true)
		}
		lines := out.String()
		if strings.Count(lines, "\n") != 2 || strings.Count(lines, "reason=untrusted_proxy") != 1 || strings.Count(lines, "reason=no_forwarded_for") != 1 ||
			!strings.Contains(lines, "POSTHOUSE_TRUSTED_PROXIES") || strings.Contains(lines, "198.51.100.1") {
			t.Errorf("%s", lines)
		}
		out.Reset()
		for i := range 100 {
			f.noteForwarding(request(fmt.Sprintf("203.0.113.%d", i), "198.51.100.1"), false)
		}
		if n := strings.Count(out.String(), "\n"); n > 8 {
			t.Errorf("%d lines of 100 peers", n)
		}
		out.Reset()
		time.Sleep(11 * time.Minute) // of the bubble
		f.noteForwarding(request("192.0.2.1", "198.51.100.1"), false)
		if !strings.Contains(out.String(), "not_logged=") {
			t.Errorf("%q", out.String())
		}
	})
}
