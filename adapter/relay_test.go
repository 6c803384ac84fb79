package adapter_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/interop/rig"
)

// routed is a replica behind a relay: it answers with its name.
type routed struct {
	*adapter.Relay
	server *httptest.Server
	stop   func()
}

func newRouted(t *testing.T, rdb redis.UniversalClient, tag string) *routed {
	t.Helper()
	return newRoutedWith(t, rdb, adapter.RelayOptions{Tag: tag, Secrets: [][]byte{relaySecret}})
}

// relaySecret is what the replicas of a test share.
var relaySecret = []byte("a secret of all replicas")

func newRoutedWith(t *testing.T, rdb redis.UniversalClient, o adapter.RelayOptions) *routed {
	t.Helper()
	tag := o.Tag
	n := &routed{}
	var handler http.Handler
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(n.server.Close)
	var err error
	o.Advertise = n.server.Listener.Addr().String()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n.Relay, err = adapter.NewRelay(rdb, &o)
	if err != nil {
		t.Fatal(err)
	}
	handler = n.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			fmt.Fprintf(conn, "%s heard %s", tag, line)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s host=%s body=%s", tag, r.Host, body)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return n
}

func newRelayRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	addr, _ := rig.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

func ask(t *testing.T, base, sid, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(base+"/socket.io/?EIO=4&transport=polling&sid="+url.QueryEscape(sid), "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

const unknown = `{"code":1,"message":"Session ID unknown"}`

func TestRelay_RelaysToTheOwner(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	defer b.stop()
	sid, err := b.NewID(nil)
	if err != nil || len(sid) != 22 || !strings.HasSuffix(sid, "bb") {
		t.Fatalf("id %q, %v", sid, err)
	}
	rig.Until(t, 5*time.Second, "heartbeats", func() bool { return rdb.Exists(t.Context(), "socket.io-owner#aa", "socket.io-owner#bb").Val() == 2 })

	host := strings.TrimPrefix(a.server.URL, "http://")
	if status, text := ask(t, a.server.URL, sid, "4hello"); status != 200 || text != "bb host="+host+" body=4hello" {
		t.Errorf("a POST on the wrong replica: %d %q", status, text)
	}
	if _, text := ask(t, b.server.URL, sid, "x"); !strings.HasPrefix(text, "bb ") {
		t.Errorf("a POST on the owner: %q", text)
	}

	// An upgrade goes through as well.
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket.io/?sid=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", sid)
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", resp, err)
	}
	fmt.Fprintf(conn, "ping\n")
	if line, _ := br.ReadString('\n'); line != "bb heard ping\n" {
		t.Errorf("over the upgraded connection: %q", line)
	}
}

func TestRelay_AnswersForDeadOwnersAtOnce(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	sid, _ := b.NewID(nil)
	rig.Until(t, 5*time.Second, "heartbeats", func() bool { return rdb.Exists(t.Context(), "socket.io-owner#bb").Val() == 1 })

	b.server.Close() // killed: its key is still there
	if status, text := ask(t, a.server.URL, sid, ""); status != 400 || text != unknown {
		t.Errorf("a killed owner: %d %q", status, text)
	}
	b.stop() // a goodbye takes the key away
	if n := rdb.Exists(t.Context(), "socket.io-owner#bb").Val(); n != 0 {
		t.Error("a replica that left still has its key")
	}
	for _, sid := range []string{strings.Repeat("x", 20) + "nobody", sid} {
		if status, text := ask(t, a.server.URL, sid, ""); status != 400 || text != unknown {
			t.Errorf("%s: %d %q", sid, status, text)
		}
	}
}

func TestRelay_LeavesOtherRequestsAlone(t *testing.T) {
	rdb := newRelayRedis(t)
	a := newRouted(t, rdb, "aa")
	defer a.stop()
	for _, sid := range []string{"", "short", strings.Repeat("x", 20), strings.Repeat("x", 20) + "*", strings.Repeat("x", 500), "../../" + strings.Repeat("x", 16)} {
		if _, text := ask(t, a.server.URL, sid, ""); !strings.HasPrefix(text, "aa ") {
			t.Errorf("sid %q: %q", sid, text)
		}
	}
}

// The engine refuses a request whose session id has two readings; relayed by one of
// them, it would be another request there.
func TestRelay_AmbiguousSessionID_IsLeftToTheEngine(t *testing.T) {
	rdb := newRelayRedis(t)
	a, b := newRouted(t, rdb, "aa"), newRouted(t, rdb, "bb")
	defer a.stop()
	defer b.stop()
	rig.Until(t, 5*time.Second, "heartbeats", func() bool { return rdb.Exists(t.Context(), "socket.io-owner#bb").Val() == 1 })
	id := strings.Repeat("x", 20) + "bb"
	for query, want := range map[string]string{
		"sid=" + id: "bb ", "a=%zz&sid=" + id: "bb ", "x=a;b&sid=" + id: "bb ",
		"sid=" + id + "&sid=": "aa ", "sid=&sid=" + id: "aa ", "s%69d=" + id: "aa ", "a=1;sid=" + id: "aa ",
	} {
		resp, err := http.Get(a.server.URL + "/socket.io/?" + query)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: %q, want it from %s", query, text, want)
		}
	}
}

func TestRelayOptions(t *testing.T) {
	for _, o := range []adapter.RelayOptions{
		{Advertise: "a:1"}, {Tag: "a", Advertise: "a:1"}, {Tag: "a b", Advertise: "a:1"}, {Tag: "aa"}, {Tag: "aa", Advertise: "nohost"},
		{Tag: "aa", Advertise: "10.0.0.7:3000"}, {Tag: "aa", Advertise: "localhost.example:1"}, // need a secret
		{Tag: "aa", Advertise: "a:1", Secrets: [][]byte{[]byte("short")}},
		{Tag: "aa", Advertise: "127.0.0.1:1", Path: "/a b?c"},
	} {
		if _, err := adapter.NewRelay(nil, &o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}
