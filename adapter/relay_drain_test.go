package adapter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/interop/rig"
	"posthouse/socketio/engineio"
)

// engineReplica is an Engine.IO server that echoes, behind a relay.
type engineReplica struct {
	*adapter.Relay
	engine *engineio.Server
	base   string
	closed chan engineio.Reason

	mu       sync.Mutex
	sessions map[string]*engineio.Session
}

type echoSession struct {
	r *engineReplica
	s *engineio.Session
}

func (e echoSession) Receive(m engineio.Message) error       { return e.s.SendMessages(m) }
func (e echoSession) Closed(reason engineio.Reason, _ error) { e.r.closed <- reason }

// newEngineReplica serves through the event loop, or through net/http.
func newEngineReplica(t *testing.T, rdb redis.UniversalClient, tag string, plain bool) *engineReplica {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &engineReplica{base: "http://" + l.Addr().String(), closed: make(chan engineio.Reason, 64), sessions: map[string]*engineio.Session{}}
	r.Relay, err = adapter.NewRelay(rdb, &adapter.RelayOptions{Tag: tag, Advertise: l.Addr().String(), Secrets: [][]byte{relaySecret}})
	if err != nil {
		t.Fatal(err)
	}
	r.engine = engineio.NewServer(&engineio.Options{
		Path: "/socket.io/", GenerateID: r.NewID, MaxPayload: 1 << 20,
		Accept: func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.sessions[s.ID()] = s
			return echoSession{r, s}, nil
		},
	})
	hs := &http.Server{Handler: r.Middleware(r.engine)}
	served := make(chan error, 1)
	go func() { // ends with hs
		if plain {
			served <- hs.Serve(l)
		} else {
			served <- r.engine.Serve(l, hs)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		end, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := errors.Join(<-ran, r.engine.Shutdown(end), hs.Close()); err != nil {
			t.Error(err)
		}
		<-served
	})
	awaitEntry(t, rdb, tag)
	return r
}

// bothWays runs a test over the event loop and over net/http.
func bothWays(t *testing.T, test func(t *testing.T, a, b *engineReplica)) {
	for name, plain := range map[string]bool{"event loop": false, "net/http": true} {
		t.Run(name, func(t *testing.T) {
			rdb := newRelayRedis(t)
			test(t, newEngineReplica(t, rdb, "aa", plain), newEngineReplica(t, rdb, "bb", plain))
		})
	}
}

// pollingClient polls a session at any replica.
type pollingClient struct {
	t   *testing.T
	sid string
}

func (r *engineReplica) open(t *testing.T) *pollingClient {
	t.Helper()
	status, body := do(t, http.MethodGet, r.base+"/socket.io/?EIO=4&transport=polling", "")
	if status != http.StatusOK {
		t.Fatalf("handshake: %d %s", status, body)
	}
	_, rest, _ := strings.Cut(body, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	return &pollingClient{t, sid}
}

func (c *pollingClient) url(r *engineReplica) string {
	return r.base + "/socket.io/?EIO=4&transport=polling&sid=" + c.sid
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// A poll that waits at another replica is answered when this one drains, and the
// session goes on over any other.
func TestRelay_Drain_GivesPollsBackAndSessionsLive(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *engineReplica) {
		c := b.open(t)
		type answer struct {
			status int
			body   string
		}
		first := make(chan answer, 1)
		go func() {
			status, body := do(t, http.MethodGet, c.url(a), "")
			first <- answer{status, body}
		}()
		rig.Until(t, 5*time.Second, "the poll to wait", func() bool { return a.Stats().Polls == 1 })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := a.Drain(ctx, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("the drain took %v", d)
		}
		if got := <-first; got != (answer{200, "6"}) {
			t.Errorf("the poll was answered %+v", got)
		}
		// Balancers need a moment to go elsewhere: what comes meanwhile is served.
		if status, body := do(t, http.MethodGet, c.url(a), ""); status != 200 || body != "6" {
			t.Errorf("a poll while draining: %d %q", status, body)
		}
		if status, body := do(t, http.MethodPost, c.url(a), "4hello"); status != 200 || body != "ok" {
			t.Errorf("a POST while draining: %d %q", status, body)
		}
		if status, body := do(t, http.MethodGet, c.url(b), ""); status != 200 || body != "4hello" {
			t.Errorf("at the owner: %d %q", status, body)
		}
		select {
		case reason := <-b.closed:
			t.Errorf("the session was closed: %s", reason)
		default:
		}
	})
}

// A client that goes away still ends its session, relayed or not.
func TestRelay_PollOfAClientThatLeft_ClosesTheSession(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *engineReplica) {
		c := b.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // ends with ctx
			defer close(done)
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.url(a), nil)
			if resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}()
		rig.Until(t, 5*time.Second, "the poll to wait", func() bool { return a.Stats().Polls == 1 })
		rig.Until(t, 5*time.Second, "the poll at its owner", func() bool {
			return b.engine.ClientsCount() == 1 && adapter.HeldPolls(b.Relay) == 1
		})
		cancel()
		<-done
		select {
		case reason := <-b.closed:
			if reason != engineio.ReasonTransportError {
				t.Errorf("closed with %s", reason)
			}
		case <-time.After(10 * time.Second):
			t.Error("the session lives on")
		}
	})
}

// upgrade makes a WebSocket of the session through a replica.
func (c *pollingClient) upgrade(r *engineReplica) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, strings.Replace(c.url(r), "transport=polling", "transport=websocket", 1), nil)
	if err != nil {
		if resp != nil {
			err = fmt.Errorf("%d %s: %w", resp.StatusCode, resp.Header.Get("Retry-After"), err)
		}
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	for _, step := range []struct{ send, want string }{{"2probe", "3probe"}, {"5", ""}, {"4hi", "4hi"}} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(step.send)); err != nil {
			return nil, err
		}
		if step.want == "" {
			continue
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != step.want {
			return nil, fmt.Errorf("%q was answered %q, %w", step.send, got, err)
		}
	}
	return conn, nil
}

// Relayed WebSockets end one after the other, between frames, with a close frame.
func TestRelay_Drain_ClosesWebSocketsOneByOne(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *engineReplica) {
		const n = 10
		const over = 4 * time.Second // a busy machine tells the clients late
		ends := make(chan time.Time, n)
		var readers sync.WaitGroup
		for range n {
			c := b.open(t)
			conn, err := c.upgrade(a)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			// The owner sends without a pause, in messages of many frames' worth of reads.
			b.mu.Lock()
			s := b.sessions[c.sid]
			b.mu.Unlock()
			readers.Go(func() {
				big := strings.Repeat("x", 100_000)
				for i := 0; ; i++ {
					_ = s.SendMessages(engineio.Message{Data: []byte(fmt.Sprint(i, big))})
					_, got, err := conn.Read(t.Context())
					if err != nil {
						if websocket.CloseStatus(err) != 1012 {
							t.Errorf("ended with %v", err)
						}
						ends <- time.Now()
						return
					}
					if string(got) != fmt.Sprint("4", i, big) {
						t.Errorf("message %d came as %.20q, %d bytes", i, got, len(got))
						return
					}
				}
			})
		}
		if got := a.Stats().Sockets; got != n {
			t.Fatalf("%d sockets are relayed", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := a.Drain(ctx, over); err != nil {
			t.Fatal(err)
		}
		readers.Wait()
		close(ends)
		times := slices.SortedFunc(values(ends), time.Time.Compare)
		if spread := times[len(times)-1].Sub(times[0]); spread < over/2 {
			t.Errorf("%d ends within %v", len(times), spread)
		}
		for range n {
			if reason := <-b.closed; reason != engineio.ReasonTransportClose {
				t.Errorf("the owner's session ended with %s", reason)
			}
		}
		c := b.open(t)
		if _, err := c.upgrade(a); err == nil || !strings.HasPrefix(err.Error(), "503 1:") {
			t.Errorf("an upgrade while draining: %v", err)
		}
		if _, err := c.upgrade(b); err != nil {
			t.Errorf("the refused client at the owner: %v", err)
		}
	})
}

// values are those of a channel that is closed.
func values(ch <-chan time.Time) func(yield func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for v := range ch {
			if !yield(v) {
				return
			}
		}
	}
}

// A client that neither reads nor answers does not hold the drain up.
func TestRelay_Drain_DoesNotWaitForSilentClients(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *engineReplica) {
		c := b.open(t)
		conn, err := c.upgrade(a)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := a.Drain(ctx, 0); err != nil {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// A drain that has no time cuts nothing itself; the end of Run does.
		over, stop := context.WithCancel(t.Context())
		stop()
		if err := a.Drain(over, time.Hour); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// Either side's end is the other's, without a delay and without a loss.
func TestRelay_RelayedWebSocket_EndsWithEitherSide(t *testing.T) {
	bothWays(t, func(t *testing.T, a, b *engineReplica) {
		c := b.open(t)
		conn, err := c.upgrade(a)
		if err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		s := b.sessions[c.sid]
		b.mu.Unlock()
		_ = s.SendMessages(engineio.Message{Data: []byte("last words")})
		s.Close()
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != "4last words" {
			t.Errorf("%q, %v", got, err)
		}
		if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) == -1 {
			t.Errorf("the owner's close came as %v", err)
		}
		<-b.closed

		conn, err = b.open(t).upgrade(a)
		if err != nil {
			t.Fatal(err)
		}
		conn.CloseNow()
		select {
		case <-b.closed:
		case <-time.After(10 * time.Second):
			t.Error("the client's end did not reach the owner")
		}
		rig.Until(t, 10*time.Second, "nothing to be relayed", func() bool { return a.Stats().Sockets == 0 })
	})
}
