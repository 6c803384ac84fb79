package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"posthouse/internal/login"
)

// Redis is away when a replica starts without a key of its own, in development: it starts,
// says what it waits for, refuses logins, and serves them once Redis is there.
func TestApp_RedisAwayAtTheStart_WaitsForTheDevelopmentKey(t *testing.T) {
	server := startRedis(t)
	server.stop()
	t.Setenv("TMPDIR", t.TempDir())
	var cfg Config
	flags, err := kong.New(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--addr=127.0.0.1:0", "--redis-url=redis://" + server.addr(), "--drain=1s", "--log-level=error"}
	if _, err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	app, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(app.bannerWarnings, "\n"), "in the clear") {
		t.Errorf("a URL without a password is not named: %q", app.bannerWarnings)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }() // ends with stop
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	ready := func() (r readiness) {
		t.Helper()
		res, err := http.Get("http://" + app.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ready(); !r.Ready || r.Status != "degraded" || !strings.Contains(strings.Join(r.Reasons, "\n"), "signing key") {
		t.Errorf("while Redis is away: %+v", r)
	}
	_, err = app.loginService.Start(t.Context(), login.StartRequest{Account: "default"})
	if f := failureOf(err); f.Code != "store_unavailable" {
		t.Errorf("a login while Redis is away: %+v", f)
	}
	server.start()
	for n := 0; ready().Status != "ok"; n++ {
		if n > 100 {
			t.Fatalf("still %+v", ready())
		}
		<-time.After(100 * time.Millisecond)
	}
	if keys := string(app.issuer.JWKS()); !strings.Contains(keys, "Ed25519") {
		t.Errorf("JWKS %s", keys)
	}
}
