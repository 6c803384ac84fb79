package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"posthouse/internal/wxsim"
	"posthouse/socketio/client"
)

// A claim that waited in the spool while Redis was away, and the exchange of a code, are in
// the trace of their login.
func TestTraces_SpooledClaimAndExchange_AreInTheTraceOfTheLogin(t *testing.T) {
	r := startReceiver(t)
	sim, err := wxsim.New(&wxsim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	wechat := httptest.NewServer(sim.Handler())
	defer wechat.Close()
	addr := startRedis(t).addr()
	a := runApp(t, "--addr=127.0.0.1:0", "--redis-url=redis://"+addr, "--wechat-simulator="+wechat.URL, "--spool="+filepath.Join(t.TempDir(), "spool"))
	sim.SetCallbacks("http://" + a.Addr().String() + "/callback/wechat")

	s := dialSocket(t, a, "/login", map[string]string{"traceparent": remoteParent})
	code := make(chan string, 8)
	s.On("code", func(e *client.Event) {
		var result struct{ Code string }
		_ = e.Bind(&result)
		_ = e.Ack()
		code <- result.Code
	})
	q, err := client.Call[qrcodeAnswer](t.Context(), s, "qrcode", map[string]string{"challenge": testChallenge})
	if err != nil {
		t.Fatal(err)
	}
	// Redis answers nothing for a while: longer than the gateway waits for it.
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), "CLIENT", "PAUSE", "4000", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	w, err := http.Post(wechat.URL+"/sim/scan", "application/json", strings.NewReader(`{"person":"ana","follow":true,"ticket":"`+q.Ticket+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	var text string
	select {
	case text = <-code:
	case <-time.After(30 * time.Second):
		t.Fatal("no code")
	}
	res, err := http.Post("http://"+a.Addr().String()+"/login/exchange", "application/json", strings.NewReader(exchangeBody(text, testVerifier)))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(res.Body)
	res.Body.Close()
	var token exchangeAnswer
	if err := json.Unmarshal(answer, &token); err != nil || token.Token == "" {
		t.Fatalf("%s: %s", res.Status, answer)
	}
	var claim, exchange bool
	waitUntil(t, 20*time.Second, "the spans of claim and exchange", func() bool {
		claim, exchange = false, false
		for _, span := range r.find(func(s *otlp.Span) bool { return hex.EncodeToString(s.TraceId) == remoteTrace }) {
			claim = claim || span.Name == "claim" && attributeOf(span, "posthouse.outcome") == "claimed"
			exchange = exchange || span.Name == "token" && attributeOf(span, "posthouse.outcome") == "exchanged"
		}
		return claim && exchange
	})
	if n := a.spool.Len(); n != 0 {
		t.Errorf("%d claims are left in the spool", n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, secret := range map[string]string{"token": token.Token, "code": text, "verifier": testVerifier, "resume": q.Resume} {
		if secret == "" || bytes.Contains(r.raw, []byte(secret)) {
			t.Errorf("the spans hold the %s", what)
		}
	}
}
