package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"posthouse/socketio/client"
)

// reloadRig is a gateway with a configuration file that a test writes anew.
type reloadRig struct {
	t   *testing.T
	app *App
	dir string
	log *logBuffer
}

func startReloadRig(t *testing.T, files map[string]string) *reloadRig {
	t.Helper()
	r := &reloadRig{t: t, dir: t.TempDir(), log: &logBuffer{}}
	r.write(files)
	before := slog.Default()
	slog.SetDefault(NewLogger(r.log, "info", "text"))
	t.Cleanup(func() { slog.SetDefault(before) })
	args := []string{"--addr=127.0.0.1:0", "--config=" + filepath.Join(r.dir, "posthouse.yaml"), "--limit-handshakes-per-ip=off", "--limit-connections-per-ip=off"}
	r.app = newRereadApp(t, args)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.app.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.log)
		}
	})
	return r
}

func (r *reloadRig) write(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// reload writes files, sends the signal and returns what was logged for it.
func (r *reloadRig) reload(files map[string]string) string {
	r.t.Helper()
	r.write(files)
	before := len(r.log.String())
	self, _ := os.FindProcess(os.Getpid())
	if err := self.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	waitUntil(r.t, 10*time.Second, "the signal is not obeyed", func() bool { return strings.Contains(r.log.String()[before:], "settings read again") })
	return r.log.String()[before:]
}

// dial connects to a namespace; the error is that of the refusal.
func (r *reloadRig) dial(namespace, token string) (*client.Socket, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, "http://"+r.app.Addr().String()+namespace, &client.Options{Auth: map[string]string{"token": token}})
	if err == nil {
		r.t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// askSocket calls an event and returns the acknowledgement or the error of it as text.
func askSocket(t *testing.T, s *client.Socket, event string, args ...any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answer, err := client.Call[json.RawMessage](ctx, s, event, args...)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

// tokenOf is a token of the issuer, signed with a key of the letter.
func tokenOf(t *testing.T, issuer, letter string) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": issuer, "aud": "app", "sub": "ada", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(strings.Repeat(letter, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const (
	keyOfA = "hs256:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n"
	keyOfB = "hs256:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=\n"
	hookA  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
)

// The rules, the keys and the back end of a namespace change for clients that are connected;
// what cannot change waits and is named (docs/operations.md, Reload).
func TestReload_Namespaces_RulesKeysAndBackEnd(t *testing.T) {
	backEnd := func(answer string) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"ack":["`+answer+`"]}`)
		}))
		t.Cleanup(s.Close)
		return s
	}
	one, two := backEnd("one"), backEnd("two")
	file := func(keys, hook, rest string) string {
		return "namespaces:\n  /app:\n    jwt: {issuer: " + keys + ", audience: app, key-file: app.key}\n    hook: {url: " + hook + ", secret-file: hook.key, events: [say]}\n" + rest
	}
	const rules = "    join: [\"topic:*\"]\n    relay: [typing]\n"
	r := startReloadRig(t, map[string]string{
		"posthouse.yaml": file("id", one.URL, rules), "app.key": keyOfA, "hook.key": hookA,
	})
	s, err := r.dial("/app", tokenOf(t, "id", "a"))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want, event string, args ...any) {
		t.Helper()
		if got := askSocket(t, s, event, args...); !strings.Contains(got, want) {
			t.Errorf("%s %v: %s, want %s", event, args, got, want)
		}
	}
	refused := func(token string) {
		t.Helper()
		if _, err := r.dial("/app", token); err == nil || !strings.Contains(err.Error(), "unauthorized") {
			t.Errorf("a token that must not fit: %v", err)
		}
	}
	accepted := func(token string) {
		t.Helper()
		if _, err := r.dial("/app", token); err != nil {
			t.Error(err)
		}
	}
	named := func(log, taken, restart string) {
		t.Helper()
		if want := `taken=` + taken; taken != "" && !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
		waitUntil(t, 10*time.Second, "the line about the restart", func() bool {
			return restart == "" || strings.Contains(r.log.String(), `restart=`+restart)
		})
	}
	expect("forbidden", "join", "news")
	expect("one", "say")

	named(r.reload(map[string]string{"posthouse.yaml": file("id", two.URL, "    join: [\"topic:*\", news]\n    relay: [cheer]\n    limits: {events: 100/s, rooms: 2}\n")}),
		`"[namespaces./app.hook.url namespaces./app.join namespaces./app.limits.events namespaces./app.limits.rooms namespaces./app.relay]"`, "")
	expect(`{"room":"news"}`, "join", "news")
	expect(`{"room":"topic:1"}`, "join", "topic:1")
	expect("forbidden", "join", "topic:2")
	expect(`{}`, "cheer", "news")
	expect("unknown_event", "typing", "news")
	expect("two", "say")

	// A changed key file is noticed without a signal, and with one; the issuer changes too.
	named(r.reload(map[string]string{"app.key": keyOfB}), "[namespaces./app.jwt.key-file]", "")
	refused(tokenOf(t, "id", "a"))
	accepted(tokenOf(t, "id", "b"))
	named(r.reload(map[string]string{"posthouse.yaml": file("other", two.URL, rules)}), "", "")
	refused(tokenOf(t, "id", "b"))
	accepted(tokenOf(t, "other", "b"))
	expect("two", "say") // the socket of a token of before lives on

	// Settings that wait are named, and change nothing.
	log := r.reload(map[string]string{"posthouse.yaml": file("other", two.URL, rules+"    presence: [\"topic:*\"]\n    limits: {rooms: 1000}\n") + "  /new: {auth: open}\nlogin-hook: {url: \"" + one.URL + "\", secret-file: hook.key}\n"})
	named(log, "[]", `"[login-hook namespaces./app.limits.rooms namespaces./app.presence namespaces./new]"`)
	log = r.reload(map[string]string{"posthouse.yaml": "namespaces:\n  /app:\n    auth: open\n    join: [\"*\"]\n    relay: [typing]\n"})
	named(log, "[]", `"[namespaces./app.auth namespaces./app.hook namespaces./app.join namespaces./app.jwt]"`)
	refused(tokenOf(t, "id", "b"))
	expect("forbidden", "join", "free")

	// A pattern that cannot be used changes nothing at all.
	r.write(map[string]string{"posthouse.yaml": file("other", one.URL, "    join: [\"{\"]\n")})
	self, _ := os.FindProcess(os.Getpid())
	_ = self.Signal(syscall.SIGHUP)
	waitUntil(t, 10*time.Second, "the wrong file is not reported", func() bool { return strings.Contains(r.log.String(), "level=ERROR") })
	expect("two", "say")
	if text := r.log.String(); strings.Contains(text, hookA[6:20]) || strings.Contains(text, keyOfA[6:20]) {
		t.Error("a secret is in the log")
	}
}

// The files that namespaces name are watched, as the configuration file is.
func TestReload_Namespaces_TheirFilesAreWatched(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"posthouse.yaml": "namespaces:\n  /app:\n    jwt: {issuer: id, audience: app, key-file: app.key}\n    hook: {url: \"http://127.0.0.1:1\", secret-file: hook.key}\n",
		"app.key":        keyOfA, "hook.key": hookA,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := ReadSettings([]string{"--config=" + filepath.Join(dir, "posthouse.yaml")}, nil, nil)
	if p := s.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	prints := []string{s.filesPrint()}
	for name, text := range map[string]string{"app.key": keyOfB, "hook.key": hookA + hookA} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if now := s.filesPrint(); slices.Contains(prints, now) {
			t.Errorf("a change of %s is not noticed", name)
		} else {
			prints = append(prints, now)
		}
	}
}

// limits.events: off takes the bound off, at the start and by a reload.
func TestReload_Namespaces_RateOff(t *testing.T) {
	file := func(rate string) map[string]string {
		return map[string]string{"posthouse.yaml": "namespaces:\n  /app: {auth: open, limits: {events: " + rate + "}}\n"}
	}
	r := startReloadRig(t, file("1/h"))
	limited := func() bool {
		t.Helper()
		s, err := r.dial("/app", "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		for range 130 { // more than the server's own bound lets through at once
			if strings.Contains(askSocket(t, s, "x"), "rate_limited") {
				return true
			}
		}
		return false
	}
	if !limited() {
		t.Error("1/h is no bound")
	}
	r.reload(file("off"))
	if limited() {
		t.Error("off is a bound")
	}
	r.reload(file("2/h"))
	if !limited() {
		t.Error("2/h is no bound")
	}
}
