package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/auth"
	"posthouse/socketio/sockettest"
)

// With a wider bound for other namespaces, a long event in /login still ends its
// connection (docs/reliability.md §4 row 4).
func TestNamespaces_LoginKeepsItsPayloadLimit(t *testing.T) {
	srv := sockettest.NewServer(t, &socketio.Options{})
	login := srv.Of("/login")
	limitPayload(login)
	login.OnEvent("qrcode", func(e *socketio.Event) { _ = e.Ack() })
	c := srv.Connect("/login", nil)
	c.Call("qrcode", strings.Repeat("x", maxLoginPayload-2))
	c.Emit("qrcode", strings.Repeat("x", maxLoginPayload-1))
	c.Disconnected()
	c.Conn.Closed()
	binary := srv.Connect("/login", nil)
	binary.Emit("qrcode", make([]byte, maxLoginPayload))
	binary.Disconnected()
	binary.Conn.Closed()
}

// limits.events holds in its namespace, and what it drops is counted as elsewhere.
func TestNamespaces_EventsThatComeTooFastAreCounted(t *testing.T) {
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler)})
	m := newMetrics(func() float64 { return 0 })
	open := Namespace{Name: "/team/*", Auth: "open", Join: []string{"topic:*"}, Limits: &NamespaceLimits{Rooms: 1}, rate: Rate{N: 2, Per: time.Hour}}
	cfg := loginConfig()
	cfg.Namespaces = []Namespace{open}
	a := &App{config: *cfg, log: slog.New(slog.DiscardHandler), ioServer: srv.Server, admission: newAdmission(cfg, m), health: &healthChecks{}}
	if err := a.buildNamespaces(); err != nil {
		t.Fatal(err)
	}
	c := srv.Connect("/team/7", nil)
	for _, want := range []string{`[{"room":"topic:1"}]`, `"forbidden"`, `"rate_limited"`} {
		room := "topic:1"
		if want == `"forbidden"` {
			room = "topic:2" // one more than limits.rooms
		}
		if got := c.Call("join", room).String(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	// The acknowledgement comes first, the count right after it.
	limit := time.NewTimer(10 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		w := httptest.NewRecorder()
		m.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if strings.Contains(w.Body.String(), `refused_total{limit="events"} 1`) {
			return
		}
		select {
		case <-limit.C:
			t.Fatal("the dropped event is not counted")
		case <-tick.C:
		}
	}
}

// An issuer whose keys cannot be fetched is named to operators, with its namespace, and
// the replica stays ready.
func TestNamespaces_UnreachableKeysAreNamed(t *testing.T) {
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	var away atomic.Bool
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	}))
	t.Cleanup(issuer.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	file := filepath.Join(t.TempDir(), "posthouse.yaml")
	if err := os.WriteFile(file, []byte(`namespaces:
  /away:
    jwt: {issuer: a, audience: b, jwks: "`+issuer.URL+`/jwks.json?key=hidden"}
  /there:
    jwt: {issuer: a, audience: b, jwks: "`+issuer.URL+`/jwks.json"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFront(t, "--config="+file)
	readyz := func() (int, string) {
		w := httptest.NewRecorder()
		f.app.httpHandler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code, w.Body.String()
	}
	if code, body := readyz(); code != 200 || strings.Contains(body, "/away") {
		t.Errorf("before: %d %s", code, body)
	}
	sets := *f.app.namespaces.keySets.Load()
	if _, err := sets[1].keys.Find(t.Context(), ""); err != nil {
		t.Error(err)
	}
	away.Store(true)
	if _, err := sets[0].keys.Find(t.Context(), ""); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("keys of an issuer that is away: %v", err)
	}
	code, body := readyz()
	if want := "namespace /away: the keys at " + issuer.URL + "/jwks.json cannot be fetched"; code != 200 ||
		!strings.Contains(body, `"degraded"`) || !strings.Contains(body, want) || strings.Contains(body, "/there") || strings.Contains(body, "hidden") {
		t.Errorf("%d %s", code, body)
	}
	if text := lines.String(); !strings.Contains(text, `"namespace":"/away"`) || !strings.Contains(text, "EOF") || !strings.Contains(text, issuer.URL) ||
		strings.Contains(text, "hidden") {
		t.Errorf("the log says %s", text)
	}
}
