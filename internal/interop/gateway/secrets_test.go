package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/internal/testenv"
	socketclient "posthouse/socketio/client"
)

// Over one run of everything that a configured namespace has, on two replicas, no token, no
// key of the API and no secret of a hook is in a log, in Redis, in a request to the back
// end, in an answer of the API or of an operator's page.
func TestNamespaces_SecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const (
		signing    = "0123456789abcdefghijklmnopqrstuv"
		signing64  = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
		hookSecret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		password   = "password-of-the-back-end"
		apiKey     = "the-key-of-the-back-end"
		narrowKey  = "another-key-of-a-back-end"
		wrongKey   = "a-key-that-nobody-was-given"
	)
	var mu sync.Mutex // guards told
	var told strings.Builder
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		told.WriteString(r.URL.String())
		_ = r.Header.Write(&told)
		told.Write(body)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(string(body), `"event":"fail"`):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.Contains(string(body), `"event":"say"`):
			_, _ = io.WriteString(w, `{"ack":[1],"emit":[{"to":["topic:1"],"event":"said"}],"data":{"n":1}}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(backend.Close)
	write("hook.key", "whsec_"+hookSecret+"\n")
	write("jwt.key", "hs256:"+signing64+"\n")
	keys := write("api.key", apiKey+"\n"+narrowKey+" namespaces=/none scopes=read\n")
	file := write("posthouse.yaml", `namespaces:
  /app:
    jwt: {issuer: me, audience: app, key-file: jwt.key, clock-skew: 0s}
    rooms: ["user:{sub}"]
    join: ["topic:*"]
    relay: [typing]
    presence: ["topic:*"]
    history: {rooms: ["topic:*"]}
    recovery: 1m
    hook: {url: "`+strings.Replace(backend.URL, "://", "://gateway:"+password+"@", 1)+`/hook", secret-file: hook.key, events: [connect, disconnect, "*"], headers: [x-tenant]}
`)
	redis, _ := testenv.Redis(t)
	seen := monitor(t, redis)
	metrics := "127.0.0.1:" + strconv.Itoa(testenv.FreePort(t))
	env := []string{"POSTHOUSE_CONFIG=" + file, "POSTHOUSE_REDIS_URL=redis://" + redis, "POSTHOUSE_API_KEY_FILE=" + keys, "POSTHOUSE_LOG_LEVEL=debug"}
	first, one := testenv.Gateway(t, append(env, "POSTHOUSE_METRICS_ADDR="+metrics)...)
	second, two := testenv.Gateway(t, env...)

	var tokens []string
	token := func(sub string, d time.Duration) string {
		text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "me", "aud": "app", "sub": sub, "exp": time.Now().Add(d).Unix()}).SignedString([]byte(signing))
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, text)
		return text
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dial := func(base string, o *socketclient.Options) *socketclient.Socket {
		t.Helper()
		o.NoReconnect = true
		s, err := socketclient.Dial(ctx, base+"/app", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Manager().Close() })
		return s
	}
	type auth = map[string]string
	ada := dial(first, &socketclient.Options{Auth: auth{"token": token("ada", time.Hour), "lang": "zh"}})
	bo := dial(second, &socketclient.Options{Header: http.Header{"Authorization": {"Bearer " + token("bo", time.Hour)}, "X-Tenant": {"t1"}}})
	for _, refused := range []string{token("late", -time.Hour), token("x", time.Hour) + "x", strings.Repeat("A", 9000)} {
		tokens = append(tokens, refused)
		if s, err := socketclient.Dial(ctx, first+"/app", &socketclient.Options{NoReconnect: true, Auth: auth{"token": refused}}); err == nil {
			t.Errorf("%.20s is let in", refused)
			s.Close()
		}
	}
	for _, s := range []*socketclient.Socket{ada, bo} {
		for _, ask := range [][]any{
			{"join", map[string]any{"room": "topic:1", "history": 10}}, {"say", "hello"}, {"fail", "hello"}, {"typing", "topic:1"}, {"presence", "topic:1"},
			{"history", map[string]any{"room": "topic:1", "limit": 5}}, {"join", "secret"},
			{"auth", auth{"token": token("ada", time.Hour)}}, {"auth", auth{"token": token("someone else", time.Hour)}},
		} {
			if _, err := s.EmitWithAck(ctx, ask[0].(string), ask[1:]...); err != nil {
				t.Errorf("%v: %v", ask[0], err)
			}
		}
	}
	var answers strings.Builder
	ask := func(key, method, path, body string, headers ...string) {
		t.Helper()
		a := call(t, method, first+path, body, append(headers, "Authorization: Bearer "+key, "Content-Type: application/json")...)
		answers.WriteString(a.body)
		_ = a.Header.Write(&answers)
	}
	for _, key := range []string{apiKey, narrowKey, wrongKey} {
		for _, path := range []string{"sockets?namespace=/app", "sockets/app/" + ada.ID(), "sockets/app/" + bo.ID(), "rooms?namespace=/app", "presence?namespace=/app&room=topic:1", "history?namespace=/app&room=topic:1&limit=10", "openapi.json", ""} {
			ask(key, "GET", "/api/"+path, "")
		}
		ask(key, "POST", "/api/emit", `{"namespace":"/app","to":["topic:1"],"event":"news"}`, "Idempotency-Key: k")
		ask(key, "POST", "/api/emit", `{"namespace":"/app","event":"ask","ack":{"timeout":0.1}}`)
		ask(key, "POST", "/api/batch", `[{"namespace":"/app","event":"news"},{"namespace":"/app","evnt":1}]`)
		ask(key, "POST", "/api/join", `{"namespace":"/app","to":["topic:1"],"rooms":["x"]}`)
		ask(key, "POST", "/api/emit", `{`)
	}
	for _, path := range []string{first + "/readyz", first + "/healthz", "http://" + metrics + "/metrics", "http://" + metrics + "/debug/pprof/goroutine?debug=2"} {
		answers.WriteString(call(t, "GET", path, "").body)
	}
	two.Kill() // its sockets are recovered elsewhere, or end without a word
	ada.Close()
	ask(apiKey, "POST", "/api/disconnect", `{"namespace":"/app","to":["topic:1"],"close":true}`)
	testenv.Until(t, 20*time.Second, "the back end to hear of an end", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(told.String(), `"type":"disconnect"`)
	})
	if err := one.Stop(20 * time.Second); err != nil {
		t.Error(err)
	}

	secrets := map[string]string{
		"the signing key": signing, "the signing key, encoded": signing64, "the secret of the hook": hookSecret, "the password of the back end": password,
		"a key of the API": apiKey, "another key of the API": narrowKey, "a wrong key of the API": wrongKey,
	}
	for i, token := range tokens {
		secrets["token "+strconv.Itoa(i)] = token[strings.LastIndexByte(token, '.')+1:] // its signature
	}
	mu.Lock()
	defer mu.Unlock()
	places := map[string]string{
		"the log": one.Output() + two.Output(), "Redis": seen(), "a request to the back end": told.String(), "an answer": answers.String(),
	}
	for place, text := range places {
		if len(text) < 500 {
			t.Errorf("%s has only %q", place, text)
		}
		if place == "a request to the back end" && !strings.Contains(text, `"claims":{"aud":"app",`) {
			t.Errorf("it does not hold the claims: %s", text)
		}
		for name, secret := range secrets {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s holds %s: …%s", place, name, text[max(0, i-200):i])
			}
		}
	}
}
