package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// newDoctorApp makes a gateway whose Redis is away, and whose settings must not be told.
func newDoctorApp(t *testing.T) *App {
	t.Helper()
	var cfg Config
	flags, err := kong.New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flags.Parse([]string{"--addr=127.0.0.1:0", "--redis-url=redis://canary:canary-password@127.0.0.1:1",
		"--trusted-proxies=10.1.2.0/24", "--spool=" + filepath.Join(t.TempDir(), "spool")}); err != nil {
		t.Fatal(err)
	}
	app, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = app.ioServer.Shutdown(ctx) // its Redis is away
		app.releaseBound()
	})
	return app
}

func askDoctor(app *App, remote string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://www.example.com/socket.io/doctor?q=a%2Bb", nil)
	r.RemoteAddr = remote
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	app.httpHandler.ServeHTTP(w, r)
	return w
}

// docs/doctor.md §3
func TestDoctorProbe_TellsHowARequestArrived(t *testing.T) {
	app := newDoctorApp(t)
	const proxy = "10.1.2.3:4567"
	forwarded := map[string]string{"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "https", "Authorization": "Bearer x"}
	for _, c := range []struct {
		name, remote             string
		header                   map[string]string
		direct, trusted, spoofed bool
		scheme                   string
	}{
		{"straight", "198.51.100.7:1", map[string]string{"X-Posthouse-Doctor": "198.51.100.7:1"}, true, false, false, ""},
		{"through a trusted proxy", proxy, map[string]string{"X-Posthouse-Doctor": "198.51.100.7:1", "X-Forwarded-For": "198.51.100.7"}, false, true, false, ""},
		{"a made-up address", proxy, forwarded, false, true, true, "https"},
		{"a made-up address, not believed", "198.51.100.8:1", forwarded, false, false, false, ""},
	} {
		w := askDoctor(app, c.remote, c.header)
		var a doctorAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, w.Body)
		}
		if a.Direct != c.direct || a.Trusted != c.trusted || a.Spoofed != c.spoofed || a.Scheme != c.scheme || a.Query != "q=a%2Bb" || a.Redis == nil || a.Redis.OK {
			t.Errorf("%s: %s", c.name, w.Body)
		}
		if strings.Contains(strings.Join(a.Headers, " "), "Authorization") != (c.header["Authorization"] != "") {
			t.Errorf("%s: headers %q", c.name, a.Headers)
		}
	}
}

// docs/reliability.md §4 row 44: strangers may ask, and learn no address, setting or secret.
func TestDoctorProbe_TellsNoSecretsAndHasLimits(t *testing.T) {
	app := newDoctorApp(t)
	w := askDoctor(app, "10.1.2.3:4567", map[string]string{"Authorization": "Bearer canary-token", "Cookie": "canary=1"})
	for _, secret := range []string{"canary", "10.1.2", "127.0.0.1", "redis://", ":1\""} {
		if strings.Contains(w.Body.String(), secret) {
			t.Errorf("it tells %q: %s", secret, w.Body)
		}
	}
	if w := askDoctor(app, "198.51.100.7:1", map[string]string{"Origin": "https://other.example"}); w.Code != http.StatusForbidden {
		t.Errorf("a page of another origin got %d", w.Code)
	}
	refused := 0
	for range 70 {
		if w := askDoctor(app, "198.51.100.9:1", nil); w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "" {
			refused++
		}
	}
	if refused == 0 || refused > 11 { // one more is let in each second
		t.Errorf("%d of 70 refused", refused)
	}
}

// Answers in two parts are few at once: each holds a connection for a while.
func TestDoctorProbe_ManyStreams_AreRefused(t *testing.T) {
	p := &doctorProbe{}
	p.streams.Store(maxDoctorStreams)
	w := httptest.NewRecorder()
	p.answerInParts(w, httptest.NewRequest(http.MethodGet, "/socket.io/doctor?stream=1", nil))
	if w.Code != http.StatusServiceUnavailable || p.streams.Load() != maxDoctorStreams {
		t.Errorf("%d, %d under way", w.Code, p.streams.Load())
	}
}
