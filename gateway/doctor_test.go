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
		"--trusted-proxies=10.1.2.0/24", "--limit-handshakes-per-ip=1/s", "--spool=" + filepath.Join(t.TempDir(), "spool")}); err != nil {
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
	if w := askDoctor(app, "198.51.100.6:1", map[string]string{"Origin": "https://other.example"}); w.Code != http.StatusForbidden {
		t.Errorf("a page of another origin got %d", w.Code)
	}
	refused := 0
	for range 20 {
		if w := askDoctor(app, "198.51.100.9:1", nil); w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "" {
			refused++
		}
	}
	if refused == 0 || refused > 17 { // one more is let in each second
		t.Errorf("%d of 20 refused", refused)
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

// An unread answer is counted as far as it was taken, one at a time and under its name.
func TestDoctorFill_CountsWhatWasTaken(t *testing.T) {
	f := newDoctorFill()
	tell := func(id string) string {
		w := httptest.NewRecorder()
		f.tell(w, id)
		return w.Body.String()
	}
	f.write(takes(3*doctorFillChunk), "a")
	if got := tell("a"); got != `{"of":16777216,"taken":196608}`+"\n" {
		t.Errorf("%s", got)
	}
	if got := tell("b"); !strings.Contains(got, "Not Found") {
		t.Errorf("%s", got)
	}
	f.underWay.Store(true)
	w := httptest.NewRecorder()
	if f.write(w, "c"); w.Code != http.StatusServiceUnavailable || tell("a") == tell("c") {
		t.Errorf("two at once: %d", w.Code)
	}
	f.underWay.Store(false)
	refused := 0
	for range 10 {
		w := httptest.NewRecorder()
		if f.write(brokenWriter{w}, "d"); w.Code == http.StatusServiceUnavailable {
			refused++
		}
	}
	if refused < 4 {
		t.Errorf("%d of 10 refused", refused)
	}
}

// takes is an asker that takes so many bytes and leaves.
func takes(n int) http.ResponseWriter { return &leaver{httptest.NewRecorder(), n} }

type leaver struct {
	*httptest.ResponseRecorder
	left int
}

func (l *leaver) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, http.ErrHandlerTimeout
	}
	return len(p), nil
}

// brokenWriter takes refusals only.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (b brokenWriter) Write(p []byte) (int, error) {
	if len(p) == doctorFillChunk {
		return 0, http.ErrHandlerTimeout
	}
	return b.ResponseRecorder.Write(p)
}
