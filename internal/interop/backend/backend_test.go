// Package backend_test runs the example back ends, which are not written in Go, behind
// the hooks of a server with real clients.
package backend_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/hook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestMain(m *testing.M) {
	if redisAddr := os.Getenv(floorEnv); redisAddr != "" {
		fmt.Fprintln(os.Stderr, serveFloor(redisAddr))
		os.Exit(1)
	}
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// start runs an example and returns the URL that it prints, and its output.
func start(t testing.TB, dir, name string, args ...string) (url string, p *testenv.Process) {
	t.Helper()
	p = testenv.Start(t, []string{"PORT=" + strconv.Itoa(testenv.FreePort(t)), "HOOK_SECRET=" + secret}, name, args...)
	testenv.Until(t, 20*time.Second, dir+" to listen", func() bool {
		_, rest, found := strings.Cut(p.Output(), "listening on ")
		url, _, _ = strings.Cut(rest, "\n")
		return found && url != ""
	})
	return url, p
}

// nodeExample is a copy of the example beside the npm packages of the tests.
func nodeExample(t testing.TB) string {
	t.Helper()
	packages := filepath.Join(testenv.NodeDir(t, "standardwebhooks"), "node_modules")
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "examples", "backend", "node", "server.mjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "server.mjs"), text, 0o600)
	}
	if err == nil {
		err = os.Symlink(packages, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "server.mjs")
}

func TestBackends_RealClientsThroughHooks(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"node", "python"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			var url string
			var backend *testenv.Process
			if language == "node" {
				url, backend = start(t, language, "node", nodeExample(t))
			} else {
				testenv.Need(t, "python3")
				url, backend = start(t, language, "python3", filepath.Join(testenv.Root(), "examples", "backend", "python", "server.py"))
			}
			secrets, err := hook.ParseSecrets(secret)
			if err != nil {
				t.Fatal(err)
			}
			client, err := hook.New(&hook.Options{URL: url + "/", Secrets: secrets})
			if err != nil {
				t.Fatal(err)
			}
			io := socketio.NewServer(&socketio.Options{Engine: engineio.Options{AllowEIO3: true}})
			client.Attach(io.Of("/app"))
			address := serve(t, io)
			for _, name := range []string{"socket.io-client", "sioc-3.1", "sioc-2.5"} {
				if out := testenv.Node(t, time.Minute, filepath.Join("testdata", "talk.cjs"), name, "http://"+address+"/app"); !strings.Contains(out, "ok") {
					t.Errorf("%s: %s", name, out)
				}
			}
			testenv.Until(t, 20*time.Second, "the back end to hear of the ends", func() bool {
				return strings.Count(backend.Output(), " left: client namespace disconnect") == 6
			})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := client.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if s := client.Stats(); s.Failed+s.Refused+s.Dropped > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// The gateway asks the back end of its configuration about the connections
// and events of a namespace.
func TestBackends_BehindTheGatewaysConfiguration(t *testing.T) {
	t.Parallel()
	url, backend := start(t, "node", "node", nodeExample(t))
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("hook.key", secret+"\n")
	file := write("posthouse.yaml", "namespaces:\n  /app:\n    auth: hook\n    join: [\"topic:*\"]\n    hook: {url: "+url+"/, secret-file: hook.key, events: [connect, disconnect, \"*\"]}\n")
	base, _ := testenv.Gateway(t, "POSTHOUSE_CONFIG="+file)
	for _, name := range []string{"socket.io-client", "sioc-2.5"} {
		if out := testenv.Node(t, time.Minute, filepath.Join("testdata", "talk.cjs"), name, base+"/app"); !strings.Contains(out, "ok") {
			t.Errorf("%s: %s", name, out)
		}
	}
	testenv.Until(t, 20*time.Second, "the back end to hear of the ends", func() bool {
		return strings.Count(backend.Output(), " left: client namespace disconnect") == 4
	})
}

// Requests that the gateway did not sign are refused by both examples.
func TestBackends_RefuseForgedRequests(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"node", "python"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			var url string
			if language == "node" {
				url, _ = start(t, language, "node", nodeExample(t))
			} else {
				testenv.Need(t, "python3")
				url, _ = start(t, language, "python3", filepath.Join(testenv.Root(), "examples", "backend", "python", "server.py"))
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/", strings.NewReader(`{"type":"event","event":"say","socket":"x","args":[]}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Webhook-Id", "msg_1")
			r.Header.Set("Webhook-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
			r.Header.Set("Webhook-Signature", "v1,AAAA")
			w, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Body.Close()
			if w.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", w.StatusCode)
			}
		})
	}
}

func serve(t *testing.T, io *socketio.Server) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: io, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { // ends with Shutdown
		defer close(done)
		_ = io.Serve(ln, srv)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = io.Shutdown(ctx)
		_ = srv.Shutdown(ctx)
		<-done
	})
	return ln.Addr().String()
}
