package sioclients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var clients = []string{
	"sioc-2.0", "sioc-2.1", "sioc-2.2", "sioc-2.3", "sioc-2.4", "sioc-2.5", "sioc-3.0", "sioc-3.1",
	"sioc-4.0", "sioc-4.1", "sioc-4.2", "sioc-4.3", "sioc-4.4", "sioc-4.5", "sioc-4.6", "sioc-4.7", "socket.io-client",
}

var transports = []string{"polling", "websocket", "upgrade"}

// result is one line of clients.js.
type result struct {
	Version string `json:"version"`
	Check   string `json:"check"`
	OK      bool   `json:"ok"`
	Skipped bool   `json:"skipped"`
	Error   string `json:"error"`
}

// run is one client with one transport and one packet format.
type run struct {
	client, transport, parser string
	results                   []result
}

func TestRealClients(t *testing.T) {
	if testing.Short() {
		t.Skip("real clients: not with -short")
	}
	node, folder := tools(t)
	urls, err := json.Marshal(map[string]string{
		"json":     serve(t, parser.Default(nil), nil),
		"msgpack":  serve(t, parser.MessagePack(nil), nil),
		"recovery": serve(t, parser.Default(nil), &socketio.Recovery{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	var runs []*run
	only := os.Getenv("POSTHOUSE_CLIENT") // "sioc-2.0 websocket json": one of them, for debugging
	for _, client := range clients {
		for _, format := range []string{"json", "msgpack"} {
			if format == "msgpack" && strings.HasPrefix(client, "sioc-2.") {
				continue // that parser speaks to clients since 3.0
			}
			for _, transport := range transports {
				if r := (&run{client: client, transport: transport, parser: format}); only == "" || strings.HasPrefix(r.name(), only) {
					runs = append(runs, r)
				}
			}
		}
	}
	group := make(chan struct{}, 2) // node processes at a time
	var all sync.WaitGroup
	for _, r := range runs {
		all.Go(func() {
			group <- struct{}{}
			defer func() { <-group }()
			r.execute(t, node, folder, string(urls))
		})
	}
	all.Wait()
	text := matrix(runs)
	t.Log("\n" + text)
	if file := os.Getenv("POSTHOUSE_MATRIX"); file != "" {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// tools finds node and the packages; without them the test is skipped, unless
// POSTHOUSE_TEST_ALL=1 demands it.
func tools(t *testing.T) (node, folder string) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("POSTHOUSE_TEST_ALL") == "1" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("real clients: node is missing: %v", err)
	}
	folder, err = filepath.Abs(filepath.Join("..", "node"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "sioc-2.0")); err != nil {
		missing("real clients: the packages are missing (npm ci in internal/interop/node): %v", err)
	}
	return node, folder
}

func (r *run) name() string { return r.client + " " + r.transport + " " + r.parser }

func (r *run) execute(t *testing.T, node, folder, urls string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "clients.js", folder, r.client, urls, r.transport, r.parser)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var res result
		if json.Unmarshal(lines.Bytes(), &res) == nil {
			r.results = append(r.results, res)
		}
	}
	name := r.name()
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, stderr.Bytes())
	}
	if len(r.results) != len(checks) {
		t.Errorf("%s: %d checks ran instead of %d: %s", name, len(r.results), len(checks), stderr.Bytes())
	}
	for _, res := range r.results {
		if !res.OK {
			t.Errorf("%s: %s: %s", name, res.Check, res.Error)
		}
	}
}

var checks = []string{"connect", "events", "acks", "binary", "namespaces", "rooms", "auth", "errors",
	"disconnection", "order", "reconnection", "recovery", "retries", "timeouts"}

// matrix prints what was found as a Markdown table: one line per client, and in
// each cell the transports and formats that passed.
func matrix(runs []*run) string {
	var b strings.Builder
	b.WriteString("| client | " + strings.Join(checks, " | ") + " |\n|---|" + strings.Repeat("---|", len(checks)) + "\n")
	for _, client := range clients {
		if !slices.ContainsFunc(runs, func(r *run) bool { return r.client == client }) {
			continue
		}
		version := client
		cells := make([]string, len(checks))
		for i, check := range checks {
			passed, failed, skipped := 0, 0, 0
			for _, r := range runs {
				if r.client != client {
					continue
				}
				for _, res := range r.results {
					version = res.Version
					switch {
					case res.Check != check:
					case res.Skipped:
						skipped++
					case res.OK:
						passed++
					default:
						failed++
					}
				}
			}
			switch {
			case failed > 0:
				cells[i] = fmt.Sprintf("✗ %d/%d", passed, passed+failed)
			case passed > 0:
				cells[i] = fmt.Sprintf("✓ %d", passed)
			case skipped > 0:
				cells[i] = "–"
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", version, strings.Join(cells, " | "))
	}
	b.WriteString("\nA number counts the combinations of transport (polling, WebSocket, polling upgraded to WebSocket) " +
		"and packet format (JSON; MessagePack since 3.0) that passed. “–”: the client does not have the feature.\n")
	return b.String()
}

// serve starts a server with everything the checks use.
func serve(t *testing.T, codec parser.Codec, recovery *socketio.Recovery) string {
	io := socketio.NewServer(&socketio.Options{
		Engine:   engineio.Options{AllowEIO3: true},
		Codec:    codec,
		Recovery: recovery,
		Logger:   slog.New(slog.DiscardHandler),
	})
	for _, n := range []interface {
		OnConnection(func(*socketio.Socket))
	}{io, io.Of("/chat"), io.OfRegexp(regexp.MustCompile(`^/dynamic-\d+$`)), secret(io)} {
		n.OnConnection(func(s *socketio.Socket) { handlers(io, s) })
	}
	srv := httptest.NewServer(io)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return srv.URL
}

// secret is a namespace that asks for a token.
func secret(io *socketio.Server) *socketio.Namespace {
	n := io.Of("/secret")
	n.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token != "let-me-in" {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"hint": "token"}}
		}
		return nil
	})
	return n
}

// handlers are what the checks of clients.js talk to.
func handlers(io *socketio.Server, s *socketio.Socket) {
	n := s.Namespace()
	s.On("id", func(e *socketio.Event) { _ = e.Ack(s.ID()) })
	s.On("transport", func(e *socketio.Event) { _ = e.Ack(s.Conn().Transport()) })
	s.On("where", func(e *socketio.Event) { _ = e.Ack(n.Name()) })
	s.On("auth", func(e *socketio.Event) { _ = e.Ack(s.Handshake().Auth) })
	s.On("query", func(e *socketio.Event) {
		var name string
		if e.Bind(&name) == nil {
			_ = e.Ack(s.Handshake().Query[name])
		}
	})
	s.On("ping", func(e *socketio.Event) { _ = e.Ack() })
	s.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()) })
	s.On("echo-event", func(e *socketio.Event) { _ = s.Emit("echo-event", e.Args()) })
	ask := func(e *socketio.Event) {
		question := e.Args()
		_ = s.EmitAck("question", func(a socketio.Args, err error) {
			var first socketio.Value
			if err == nil && a.Bind(&first) == nil {
				_ = s.Emit("answered", first)
			}
		}, question)
	}
	s.On("ask", ask)
	s.On("ask-binary", ask)
	s.On("join", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil && s.Join(room) == nil {
			_ = e.Ack()
		}
	})
	s.On("say", func(e *socketio.Event) {
		var room, text string
		if e.Bind(&room, &text) == nil {
			_ = n.To(room).Emit("said", text)
		}
	})
	s.On("kick", func(e *socketio.Event) {
		var closeConn bool
		if e.Bind(&closeConn) == nil {
			s.Disconnect(closeConn)
		}
	})
	s.On("tell-when-gone", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			s.OnDisconnect(func(r socketio.Reason) { _ = n.To(room).Emit("gone", r) })
			_ = e.Ack()
		}
	})
	s.On("drop", func(*socketio.Event) { s.Conn().Discard() })
	s.On("panic", func(*socketio.Event) { panic("asked for by a client") })
	lostAndFound(s)
	flaky(s)
}

// lostAndFound loses the connection and sends what recovery must bring.
func lostAndFound(s *socketio.Socket) {
	if !s.Recovered() && s.Namespace().Name() == "/" { // elsewhere clients get no offset
		_ = s.Emit("welcome", "welcome")
	}
	s.On("drop-and-miss", func(*socketio.Event) {
		id, n := s.ID(), s.Namespace()
		s.OnDisconnect(func(socketio.Reason) {
			_ = n.To(id).Emit("missed", 1, []byte{1})
			_ = n.Volatile().Emit("missed", 0)
			_ = n.To(id).Emit("missed", 2, []byte{2})
		})
		s.Conn().Discard()
	})
}

var (
	attemptsMu sync.Mutex
	attempts   = map[string]int{}
)

// flaky acknowledges the second attempt of the same id.
func flaky(s *socketio.Socket) {
	s.On("flaky", func(e *socketio.Event) {
		var id string
		if e.Bind(&id) != nil {
			return
		}
		attemptsMu.Lock()
		attempts[id]++
		n := attempts[id]
		attemptsMu.Unlock()
		if n >= 2 {
			_ = e.Ack(fmt.Sprintf("attempt %d", n))
		}
	})
}
