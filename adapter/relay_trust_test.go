package adapter_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
)

// stranger is a server that is no replica and writes down what it is asked.
type stranger struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newStranger(t *testing.T) *stranger {
	t.Helper()
	s := &stranger{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.String()+" sid="+r.Header.Get("Cookie"))
		s.mu.Unlock()
		w.Header().Set("Set-Cookie", "stolen=1")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "inner secret")
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stranger) addr() string { return s.Listener.Addr().String() }

func (s *stranger) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func sidOf(tag string) string { return strings.Repeat("A", 20) + tag }

func awaitEntry(t *testing.T, rdb redis.UniversalClient, tag string) string {
	t.Helper()
	testenv.Until(t, 5*time.Second, "entry of "+tag, func() bool { return rdb.Exists(t.Context(), "socket.io-owner#"+tag).Val() == 1 })
	return rdb.Get(t.Context(), "socket.io-owner#"+tag).Val()
}

// A writer of Redis decides nothing about where requests go.
func TestRelay_EntryThatNoReplicaSigned_IsNotConnectedTo(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	defer b.stop()
	entry := awaitEntry(t, rdb, "bb")
	_, codes, _ := strings.Cut(entry, " ")
	s := newStranger(t)
	foreign := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "ff", Secrets: [][]byte{[]byte("a secret of others")}})
	defer foreign.stop()
	awaitEntry(t, rdb, "ff")
	for tag, text := range map[string]string{
		"e1": s.addr(),
		"e2": s.addr() + " ",
		"e3": s.addr() + " " + codes,
		"e4": entry, // of another tag
		"e5": s.addr() + " " + strings.Repeat("A", 5000),
		"e6": strings.Repeat("x,", 2000),
	} {
		rdb.Set(t.Context(), "socket.io-owner#"+tag, text, 0)
		if status, body := ask(t, a.server.URL, sidOf(tag), "x"); status != 400 || body != unknown {
			t.Errorf("%.60q: %d %q", text, status, body)
		}
	}
	if status, body := ask(t, a.server.URL, sidOf("ff"), "x"); status != 400 || body != unknown {
		t.Errorf("a replica with another secret: %d %q", status, body)
	}
	if got := s.requests(); len(got) > 0 {
		t.Errorf("a stranger was asked %q", got)
	}
	if n := a.Stats().Untrusted; n < 7 {
		t.Errorf("%d untrusted owners were counted", n)
	}
}

// An address that was once a replica's may be another process's now.
func TestRelay_AddressWithoutProof_GetsNoRequestAndNoSay(t *testing.T) {
	for name, secrets := range map[string][][]byte{"with a secret": {relaySecret}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			rdb := newRelayRedis(t)
			a := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "aa", Secrets: secrets})
			defer a.stop()
			s := newStranger(t)
			former, err := adapter.NewRelay(rdb, &adapter.RelayOptions{Tag: "bb", Advertise: s.addr(), Secrets: secrets})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- former.Run(ctx) }()
			entry := awaitEntry(t, rdb, "bb")
			cancel()
			<-done
			rdb.Set(t.Context(), "socket.io-owner#bb", entry, 0)

			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, a.server.URL+"/socket.io/?sid="+sidOf("bb"), strings.NewReader("4secret"))
			req.Header.Set("Cookie", "session=1")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 400 || string(body) != unknown || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("%d %v %q", resp.StatusCode, resp.Header, body)
			}
			for _, seen := range s.requests() {
				if seen != "GET /socket.io/ sid=" { // the demand for a proof
					t.Errorf("the stranger was asked %q", seen)
				}
			}
		})
	}
}

// Without a secret anybody could sign: only this machine is relayed to.
func TestRelay_WithoutSecrets_RelaysToLoopbackOnly(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "aa"}), newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "bb"})
	defer a.stop()
	defer b.stop()
	awaitEntry(t, rdb, "bb")
	if status, text := ask(t, a.server.URL, sidOf("bb"), "x"); status != 200 || !strings.HasPrefix(text, "bb ") {
		t.Errorf("loopback: %d %q", status, text)
	}
	if _, err := adapter.NewRelay(rdb, &adapter.RelayOptions{Tag: "aa", Advertise: "192.0.2.1:3000"}); err == nil || !strings.Contains(err.Error(), "Secrets") {
		t.Errorf("another machine: %v", err)
	}
}

// One secret may be replaced while another stays.
func TestRelay_SecretsOverlap(t *testing.T) {
	rdb := newRelayRedis(t)
	old, next := []byte("the secret of before"), []byte("the secret of after!")
	a := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "aa", Secrets: [][]byte{old}})
	b := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "bb", Secrets: [][]byte{next, old}})
	defer a.stop()
	defer b.stop()
	awaitEntry(t, rdb, "aa")
	awaitEntry(t, rdb, "bb")
	for base, tag := range map[string]string{a.server.URL: "bb", b.server.URL: "aa"} {
		if status, text := ask(t, base, sidOf(tag), "x"); status != 200 || !strings.HasPrefix(text, tag+" ") {
			t.Errorf("to %s: %d %q", tag, status, text)
		}
	}
}

// Only what clients of the protocol send is relayed; the rest is the engine's to judge.
func TestRelay_RelaysOnlyRequestsOfTheProtocol(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	defer b.stop()
	awaitEntry(t, rdb, "bb")
	for _, c := range []struct {
		method, path string
		relayed      bool
	}{
		{"GET", "/socket.io/", true},
		{"POST", "/socket.io", true},
		{"OPTIONS", "/socket.io/", true},
		{"DELETE", "/socket.io/", false},
		{"PUT", "/socket.io/", false},
		{"CONNECT", "/socket.io/", false},
		{"GET", "/socket.io/../admin", false},
		{"GET", "/socket.io/%2e%2e/admin", false},
		{"GET", "/socket.io//", false},
		{"GET", "//socket.io/", false},
		{"GET", "/socket.io/socket.io.js", false},
		{"GET", "/socket.io%2f", false},
		{"GET", `/socket.io/\..\x`, false},
		{"GET", "/", false},
	} {
		conn, err := net.Dial("tcp", a.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", c.method, c.path, sidOf("bb"))
		answer, _ := io.ReadAll(conn)
		conn.Close()
		if relayed := strings.Contains(string(answer), "\r\nbb "); relayed != c.relayed && c.method != "CONNECT" || c.method == "CONNECT" && relayed {
			t.Errorf("%s %s: relayed %v\n%s", c.method, c.path, relayed, answer)
		}
	}
	for _, query := range []string{"sid=x&sid=" + sidOf("bb"), "s%69d=" + sidOf("bb"), "sid=" + sidOf("b%62"), "sid=" + sidOf("bb") + "&%73id=y"} {
		resp, err := http.Get(a.server.URL + "/socket.io/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.HasPrefix(string(text), "aa ") {
			t.Errorf("a query of two readings was relayed: %s: %q", query, text)
		}
	}
}

// Headers go to and fro by name, and a status or type that no engine answers is
// not passed on, whatever has happened to the owner.
func TestRelay_PassesKnownHeadersOnly(t *testing.T) {
	rdb := newRelayRedis(t)
	a := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "aa", Secrets: [][]byte{relaySecret}, Headers: []string{"x-own"}})
	defer a.stop()
	var b *adapter.Relay
	var asked http.Header
	status, kind := 0, ""
	var handler http.Handler
	owner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	defer owner.Close()
	b, err := adapter.NewRelay(rdb, &adapter.RelayOptions{Tag: "bb", Advertise: owner.Listener.Addr().String(), Secrets: [][]byte{relaySecret}})
	if err != nil {
		t.Fatal(err)
	}
	handler = b.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Clone()
		h := w.Header()
		for _, name := range []string{"Set-Cookie", "Location", "Server", "X-Secret", "X-Own", "Access-Control-Allow-Origin", "Cache-Control"} {
			h.Set(name, "v")
		}
		h.Set("Content-Type", kind)
		w.WriteHeader(status)
		if status != 304 && status != 204 {
			io.WriteString(w, "ok")
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	defer func() { cancel(); <-done }()
	awaitEntry(t, rdb, "bb")
	for _, c := range []struct {
		status int
		kind   string
		passed bool
	}{
		{200, "text/plain; charset=UTF-8", true}, {200, "application/octet-stream", true}, {200, "text/html", true}, {403, "application/json", true},
		{503, "text/plain", true}, {413, "text/plain", true},
		{302, "text/plain", false}, {404, "text/plain", false}, {206, "text/plain", false}, {200, "image/svg+xml", false}, {200, "text/html; x", false},
	} {
		status, kind = c.status, c.kind
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.URL+"/socket.io/?sid="+sidOf("bb"), nil)
		for _, name := range []string{"Origin", "Cookie", "X-Forwarded-For", "X-Own", "X-Any", "Proxy-Authorization", "Range", "Te"} {
			req.Header.Set(name, "v")
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if passed := resp.StatusCode == c.status; passed != c.passed || !passed && resp.StatusCode != 400 {
			t.Errorf("%d %s: answered %d", c.status, c.kind, resp.StatusCode)
		}
		if c.passed && (resp.Header.Get("X-Own") == "" || resp.Header.Get("Access-Control-Allow-Origin") == "" || resp.Header.Get("Cache-Control") == "") {
			t.Errorf("missing: %v", resp.Header)
		}
		for _, name := range []string{"Set-Cookie", "Location", "Server", "X-Secret"} {
			if resp.Header.Get(name) != "" {
				t.Errorf("%s was passed on", name)
			}
		}
		for _, name := range []string{"X-Any", "Proxy-Authorization", "Range", "Te", "X-Posthouse-Relay"} {
			if asked.Get(name) != "" {
				t.Errorf("the owner got %s: %q", name, asked.Get(name))
			}
		}
		for _, name := range []string{"Origin", "Cookie", "X-Forwarded-For", "X-Own"} {
			if asked.Get(name) != "v" {
				t.Errorf("the owner got no %s", name)
			}
		}
	}
}

// The mark of relayed requests is a replica's to make.
func TestRelay_MarkOfAClient_ChangesNothing(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	defer b.stop()
	awaitEntry(t, rdb, "bb")
	for _, mark := range []string{"cc", "relay aa x", "release aa x", "brief", "hello", "hello x", strings.Repeat("x", 5000)} {
		for _, tag := range []string{"aa", "bb", "cc"} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, a.server.URL+"/socket.io/?sid="+sidOf(tag), nil)
			req.Header.Set("X-Posthouse-Relay", mark)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if tag == "cc" && string(text) != unknown || tag != "cc" && !strings.HasPrefix(string(text), tag+" ") {
				t.Errorf("%.20q for %s: %q", mark, tag, text)
			}
		}
	}
}

// An entry under this replica's tag that is not its own is replaced; it goes on.
func TestRelay_OwnEntryOverwritten_IsTakenBack(t *testing.T) {
	rdb := newRelayRedis(t)
	a := newRouted(t, rdb, "aa")
	defer a.stop()
	var log logBuffer
	b := newRoutedWith(t, rdb, adapter.RelayOptions{
		Tag: "bb", Secrets: [][]byte{relaySecret}, Heartbeat: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	defer b.stop()
	entry := awaitEntry(t, rdb, "bb")
	sid, _ := b.NewID(nil)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	ask(t, a.server.URL, sid, "x") // from now on a knows where b lives
	for _, text := range []string{"127.0.0.1:1", "", strings.Repeat("x", 3000), entry[:len(entry)-1], dead.Addr().String() + " x"} {
		rdb.Set(t.Context(), "socket.io-owner#bb", text, 600*time.Second)
		if status, body := ask(t, a.server.URL, sid, "x"); status != 200 || !strings.HasPrefix(body, "bb ") {
			t.Errorf("meanwhile: %d %q", status, body)
		}
		testenv.Until(t, 5*time.Second, "the entry to be taken back", func() bool { return rdb.Get(t.Context(), "socket.io-owner#bb").Val() == entry })
		if id, _ := b.NewID(nil); !strings.HasSuffix(id, "bb") {
			t.Errorf("it goes by another name: %s", id)
		}
	}
	if n := b.Stats().TakenBack; n == 0 { // a heartbeat under way may do it unseen
		t.Errorf("taken back %d times", n)
	}
	if n := strings.Count(log.String(), "put back"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// Of two live replicas with one tag the later one gets another.
func TestRelay_TagOfALiveReplica_IsNotTaken(t *testing.T) {
	rdb := newRelayRedis(t)
	a := newRouted(t, rdb, "aa")
	defer a.stop()
	entry := awaitEntry(t, rdb, "aa")
	var log logBuffer
	twin := newRoutedWith(t, rdb, adapter.RelayOptions{Tag: "aa", Secrets: [][]byte{relaySecret}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer twin.stop()
	var sid string
	testenv.Until(t, 5*time.Second, "another tag", func() bool {
		sid, _ = twin.NewID(nil)
		return !strings.HasSuffix(sid, "aa") && rdb.Exists(t.Context(), "socket.io-owner#"+sid[20:]).Val() == 1
	})
	if got := rdb.Get(t.Context(), "socket.io-owner#aa").Val(); got != entry {
		t.Errorf("the first one's entry became %q", got)
	}
	if status, text := ask(t, a.server.URL, sid, "x"); status != 200 || !strings.HasPrefix(text, "aa ") {
		t.Errorf("a session of the twin: %d %q", status, text)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("nothing was said: %s", log.String())
	}
}

// logBuffer collects a log.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
