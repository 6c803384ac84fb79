package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logBuffer is what a gateway has logged so far.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func waitUntil(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

const reloadAccount = `
accounts:
  - {name: shop, appid: wx1234567890abcdef, secret: s3cretS3cretS3cret, token: token123, mode: plain, title: %TITLE%, api-base: "http://127.0.0.1:1"}
`

func TestReload_ChangedFileAndSignal_TakeWhatCanChange(t *testing.T) {
	dir := t.TempDir()
	file, keys := filepath.Join(dir, "posthouse.yaml"), filepath.Join(dir, "keys")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	account := func(title string) string { return strings.Replace(reloadAccount, "%TITLE%", title, 1) }
	write(keys, "first-key-first-key\n")
	write(file, "origins: [https://one.example]\nlog-level: info\nredis-url: \"\"\nlimit-connections: 100\n"+account("One"))

	log := &logBuffer{}
	before := slog.Default()
	slog.SetDefault(NewLogger(log, "info", "text"))
	t.Cleanup(func() { slog.SetDefault(before) })
	args := []string{"--addr=127.0.0.1:0", "--config=" + file, "--api-key-file=" + keys, "--limit-handshakes-per-ip=off", "--limit-connections-per-ip=off"}
	a := newRereadApp(t, args)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	status := func(path string, header ...string) int {
		t.Helper()
		req, _ := http.NewRequest("GET", "http://"+a.Addr().String()+path, nil)
		req.Header.Set(header[0], header[1])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const handshake, rooms = "/socket.io/?EIO=4&transport=polling", "/api/namespaces"
	if got := status(handshake, "Origin", "https://two.example"); got != 403 {
		t.Fatalf("a foreign origin: %d", got)
	}
	if got := status(rooms, "Authorization", "Bearer second-key-second-key"); got != 401 {
		t.Fatalf("a foreign key: %d", got)
	}

	// A changed file, within ten seconds.
	write(file, "origins: [https://two.example]\nlog-level: debug\nlimit-connections: 200\ndrain: 3s\n"+account("Two"))
	write(keys, "second-key-second-key\n")
	waitUntil(t, 10*time.Second, "the changed file is not taken", func() bool {
		return status(handshake, "Origin", "https://two.example") == 200 && status(rooms, "Authorization", "Bearer second-key-second-key") != 401
	})
	for name, got := range map[string]bool{
		"the origin before": status(handshake, "Origin", "https://one.example") == 403,
		"the key before":    status(rooms, "Authorization", "Bearer first-key-first-key") == 401,
		"the log level":     a.log.Enabled(ctx, slog.LevelDebug),
		"the limit":         a.admission.maxConns.Load() == 200,
	} {
		if !got {
			t.Errorf("%s is wrong", name)
		}
	}
	if known, _ := a.pages.account("shop"); known.title != "Two" {
		t.Errorf("title %q", known.title)
	}
	text := log.String()
	for _, want := range []string{`origins`, `log-level`, `limit-connections`, `api-key`, `accounts.shop.title`, `restart=[drain]`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "second-key") {
		t.Error("a key is in the log")
	}

	// A wrong file and a signal, within two seconds.
	hangUp := func() {
		t.Helper()
		self, _ := os.FindProcess(os.Getpid())
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "origins: [nonsense]\nlog-level: loud\n"+account("Three"))
	hangUp()
	waitUntil(t, 2*time.Second, "the wrong file is not reported", func() bool { return strings.Contains(log.String(), "level=ERROR") })
	if got := status(handshake, "Origin", "https://two.example"); got != 200 {
		t.Errorf("a wrong file has changed the origins: %d", got)
	}
	write(file, "origins: [https://three.example]\n"+account("Three"))
	hangUp()
	waitUntil(t, 2*time.Second, "the signal is not obeyed", func() bool { return status(handshake, "Origin", "https://three.example") == 200 })
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d lines of errors", n)
	}
}

func TestLimits_ChangedWhileInUse(t *testing.T) {
	rates := newKeyedRate[string](Rate{N: 1, Per: time.Hour}, 0)
	rates.allow("a")
	if ok, _ := rates.allow("a"); ok {
		t.Error("the limit does not hold")
	}
	rates.setRate(Rate{Off: true}, 0)
	if ok, _ := rates.allow("a"); !ok {
		t.Error("off is not off")
	}
	rates.setRate(Rate{N: 2, Per: time.Hour}, 0)
	for i, want := range []bool{true, true, false} {
		if ok, _ := rates.allow("a"); ok != want {
			t.Errorf("call %d: %v", i, ok)
		}
	}
	counts := newKeyedCount[string](Count{Off: true})
	counts.acquire("a")
	counts.acquire("a")
	counts.setCount(Count{N: 2})
	if counts.acquire("a") {
		t.Error("what was opened without a limit does not count")
	}
	counts.release("a")
	if !counts.acquire("a") {
		t.Error("a place that was given back is not free")
	}
}

// newRereadApp is an App whose settings come from args again when they are reloaded.
func newRereadApp(t *testing.T, args []string) *App {
	t.Helper()
	reread := func() *Settings { return ReadSettings(args, nil, nil) }
	s := reread()
	if p := s.Problems(); len(p) > 0 {
		t.Fatal(p)
	}
	cfg := s.Config
	cfg.Reread = reread
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A SIGHUP before Run is one to read the settings again: it does not end a process that starts.
func TestReload_SignalBeforeRun_IsTaken(t *testing.T) {
	app := newRereadApp(t, []string{"--addr=127.0.0.1:0"})
	self, _ := os.FindProcess(os.Getpid())
	if err := self.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 10*time.Second, "the signal did not come", func() bool { return len(app.hangup) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := app.Run(ctx); err != nil {
		t.Error(err)
	}
}
