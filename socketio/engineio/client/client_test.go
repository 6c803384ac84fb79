package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test: one that hangs fails instead.
const patience = 20 * time.Second

// echo is a server's session that sends back what it gets; "close" ends it.
type echo struct {
	session *engineio.Session
	closed  chan engineio.Reason
}

func (h *echo) Receive(m engineio.Message) error {
	if string(m.Data) == "close" {
		h.session.Close()
		return nil
	}
	return h.session.SendMessages(m)
}

func (h *echo) Closed(reason engineio.Reason, _ error) { h.closed <- reason }

// rig is a server and what it has seen.
type rig struct {
	*httptest.Server
	closed chan engineio.Reason
}

func newRig(t *testing.T, o engineio.Options, wrap func(http.Handler) http.Handler) *rig {
	t.Helper()
	r := &rig{closed: make(chan engineio.Reason, 1000)}
	o.Accept = func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) { return &echo{s, r.closed}, nil }
	o.AllowEIO3 = true
	engine := engineio.NewServer(&o)
	handler := http.Handler(engine)
	if wrap != nil {
		handler = wrap(handler)
	}
	r.Server = httptest.NewServer(handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := engine.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		r.Close()
	})
	return r
}

// peer is a connection whose messages go to a channel.
type peer struct {
	*client.Conn
	messages chan engineio.Message
	upgraded chan string
	ended    chan error
}

func serve(t *testing.T, c *client.Conn) *peer {
	t.Helper()
	p := &peer{c, make(chan engineio.Message, 10000), make(chan string, 1), make(chan error, 1)}
	go func() {
		p.ended <- c.Serve(context.Background(), client.Handler{
			Message: func(m engineio.Message) error {
				p.messages <- engineio.Message{Data: append([]byte(nil), m.Data...), Binary: m.Binary}
				return nil
			},
			Upgrade:      func(name string) { p.upgraded <- name },
			UpgradeError: func(err error) { p.upgraded <- err.Error() },
		})
	}()
	t.Cleanup(func() {
		c.Close()
		select {
		case <-p.ended:
		case <-c.Done():
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
	})
	return p
}

func dial(t *testing.T, url string, o *client.Options) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, c)
}

func wait[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
	return v
}

// until waits for what other goroutines do without telling.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(what)
		}
	}
}

func (p *peer) expect(t *testing.T, data string, binary bool) {
	t.Helper()
	if m := wait(t, "a message", p.messages); string(m.Data) != data || m.Binary != binary {
		t.Fatalf("got %.60q (binary %t), want %.60q", m.Data, m.Binary, data)
	}
}

func reasonOf(t *testing.T, err error) engineio.Reason {
	t.Helper()
	var closed *client.CloseError
	if !errors.As(err, &closed) {
		t.Fatalf("%v is no CloseError", err)
	}
	return closed.Reason
}

var modes = map[string]client.Options{
	"polling":            {Transports: []string{"polling"}},
	"websocket":          {Transports: []string{"websocket"}},
	"upgrade":            {},
	"polling, EIO 3":     {EIO: 3, Transports: []string{"polling"}},
	"websocket, EIO 3":   {EIO: 3, Transports: []string{"websocket"}},
	"upgrade, EIO 3":     {EIO: 3},
	"no upgrade":         {NoUpgrade: true},
	"second transport":   {Transports: []string{"websocket", "polling"}},
	"all the transports": {TryAllTransports: true},
}

func TestConn_EveryTransport_CarriesTextAndBinaryInOrder(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, engineio.Options{}, nil)
			p := dial(t, r.URL, &o)
			const n = 500
			for i := range n {
				if err := p.Send(engineio.Message{Data: []byte(fmt.Sprint("é😀", i))}, engineio.Message{Data: []byte{0, 255, byte(i)}, Binary: true}); err != nil {
					t.Fatal(err)
				}
			}
			for i := range n {
				p.expect(t, fmt.Sprint("é😀", i), false)
				p.expect(t, string([]byte{0, 255, byte(i)}), true)
			}
			large := strings.Repeat("x", 200_000)
			if err := p.Send(engineio.Message{Data: []byte(large)}); err != nil {
				t.Fatal(err)
			}
			p.expect(t, large, false)
			if strings.HasPrefix(name, "upgrade") {
				if got := wait(t, "the upgrade", p.upgraded); got != "websocket" {
					t.Fatal(got)
				}
				if p.Transport() != "websocket" {
					t.Error(p.Transport())
				}
				p.Send(engineio.Message{Data: []byte("after")})
				p.expect(t, "after", false)
			}
			p.Send(engineio.Message{Data: []byte("last")})
			p.expect(t, "last", false)
			p.Close()
			if reason := reasonOf(t, wait(t, "the end", p.ended)); reason != engineio.ReasonForcedClose {
				t.Errorf("reason %q", reason)
			}
			if reason := wait(t, "the server's end", r.closed); reason != engineio.ReasonTransportClose {
				t.Errorf("the server's reason is %q", reason)
			}
			if err := p.Send(engineio.Message{}); !errors.Is(err, client.ErrClosed) {
				t.Errorf("Send after the end: %v", err)
			}
		})
	}
}

func TestConn_ClosedByTheServer_TransportClose(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, engineio.Options{}, nil)
			p := dial(t, r.URL, &o)
			p.Send(engineio.Message{Data: []byte("close")})
			if reason := reasonOf(t, wait(t, "the end", p.ended)); reason != engineio.ReasonTransportClose {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

func TestConn_Heartbeat_KeepsBothRevisionsAlive(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, engineio.Options{PingInterval: 100 * time.Millisecond, PingTimeout: 2 * time.Second}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := client.Dial(ctx, r.URL, &o)
			if err != nil {
				t.Fatal(err)
			}
			pings := make(chan struct{}, 100)
			ended := make(chan error, 1)
			go func() {
				ended <- c.Serve(context.Background(), client.Handler{Ping: func() { pings <- struct{}{} }})
			}()
			for range 5 {
				select {
				case <-pings:
				case err := <-ended:
					t.Fatal(err)
				}
			}
			c.Close()
			<-ended
		})
	}
}

func TestConn_SilentServer_PingTimeout(t *testing.T) {
	t.Parallel()
	for _, revision := range []int{3, 4} {
		s := newWire(t, func(w *wireConn) {
			w.text(`0{"sid":"a","upgrades":[],"pingInterval":50,"pingTimeout":50}`)
			io.Copy(io.Discard, w.conn)
		})
		p := dial(t, s, &client.Options{EIO: revision, Transports: []string{"websocket"}})
		if reason := reasonOf(t, wait(t, "the end", p.ended)); reason != engineio.ReasonPingTimeout {
			t.Errorf("EIO %d: reason %q", revision, reason)
		}
	}
}

func TestServe_ContextEnds_ConnectionEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"polling", "websocket"} {
		r := newRig(t, engineio.Options{}, nil)
		c, err := client.Dial(t.Context(), r.URL, &client.Options{Transports: []string{transport}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if err := c.Serve(ctx, client.Handler{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

func TestDial_ContextEndsAfterwards_ConnectionStays(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		r := newRig(t, engineio.Options{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		c, err := client.Dial(ctx, r.URL, &o)
		cancel()
		if err != nil {
			t.Fatal(name, err)
		}
		p := serve(t, c)
		p.Send(engineio.Message{Data: []byte("there?")})
		p.expect(t, "there?", false)
	}
}

func TestClose_WithoutServe_LeavesNothing(t *testing.T) {
	t.Parallel()
	for name, o := range modes {
		r := newRig(t, engineio.Options{}, nil)
		c, err := client.Dial(t.Context(), r.URL, &o)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		c.Close()
		select {
		case <-c.Done():
		case <-time.After(patience):
			t.Errorf("%s: not closed", name)
		}
	}
}

func TestSend_MoreThanMaxBuffered_ErrBufferFull(t *testing.T) {
	t.Parallel()
	s := newWire(t, func(w *wireConn) {
		w.text(`0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`)
		<-w.ended // reads nothing
	})
	p := dial(t, s, &client.Options{Transports: []string{"websocket"}, MaxBuffered: 1 << 20})
	message := engineio.Message{Data: make([]byte, 64<<10), Binary: true}
	var err error
	for range 1000 {
		if err = p.Send(message); err != nil {
			break
		}
	}
	if !errors.Is(err, client.ErrBufferFull) {
		t.Errorf("a server that reads nothing: %v", err)
	}
}

func TestSend_AboveTheServersMaxPayload_ErrTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t, engineio.Options{MaxPayload: 1000}, nil)
	p := dial(t, r.URL, nil)
	if p.MaxPayload() != 1000 {
		t.Errorf("MaxPayload is %d", p.MaxPayload())
	}
	if err := p.Send(engineio.Message{Data: make([]byte, 1001)}); !errors.Is(err, client.ErrTooLarge) {
		t.Error(err)
	}
	for range 100 { // together they are more than one POST may be
		p.Send(engineio.Message{Data: []byte(strings.Repeat("y", 400))})
	}
	for range 100 {
		p.expect(t, strings.Repeat("y", 400), false)
	}
}

// A proxy between that lets no WebSocket through.
func TestUpgrade_Refused_PollingGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, engineio.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				http.Error(w, "no upgrades here", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	p := dial(t, r.URL, nil)
	if got := wait(t, "the error", p.upgraded); !strings.Contains(got, "no upgrades here") {
		t.Error(got)
	}
	p.Send(engineio.Message{Data: []byte("still here")})
	p.expect(t, "still here", false)
	if p.Transport() != "polling" {
		t.Error(p.Transport())
	}
	// And the handshake over the next transport.
	q := dial(t, r.URL, &client.Options{Transports: []string{"websocket", "polling"}, TryAllTransports: true})
	q.Send(engineio.Message{Data: []byte("hello")})
	q.expect(t, "hello", false)
	_, err := client.Dial(t.Context(), r.URL, &client.Options{Transports: []string{"websocket", "polling"}})
	var status *client.StatusError
	if !errors.As(err, &status) || status.Status != http.StatusForbidden {
		t.Errorf("the first transport decides: %v", err)
	}
}

func TestOptions_HeaderQueryPathCookies_ReachEveryRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var faults []string
	r := newRig(t, engineio.Options{Path: "/realtime/"}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			cookie, _ := r.Cookie("balancer")
			if r.Header.Get("X-Key") != "k" || r.URL.Query().Get("user") != "u 1" || r.URL.Query().Get("a") != "b" ||
				r.Host != "other.example" || r.URL.Query().Has("sid") != (cookie != nil) {
				faults = append(faults, fmt.Sprint(r.Method, r.URL, r.Header, r.Host))
			}
			mu.Unlock()
			http.SetCookie(w, &http.Cookie{Name: "balancer", Value: "1"})
			next.ServeHTTP(w, r)
		})
	})
	p := dial(t, r.URL+"?a=b", &client.Options{
		Path: "realtime", Jar: newJar(t), Query: map[string][]string{"user": {"u 1"}},
		Header: http.Header{"x-key": {"k"}, "Host": {"other.example"}},
	})
	p.Send(engineio.Message{Data: []byte("x")})
	p.expect(t, "x", false)
	wait(t, "the upgrade", p.upgraded)
	mu.Lock()
	defer mu.Unlock()
	if len(faults) > 0 {
		t.Error(faults)
	}
}

func TestDial_BadOptionsAndServers_AreErrors(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	for name, c := range map[string]struct {
		url string
		o   client.Options
	}{
		"scheme":      {"ftp://example.org", client.Options{}},
		"no host":     {"http://", client.Options{}},
		"revision":    {s.URL, client.Options{EIO: 5}},
		"transport":   {s.URL, client.Options{Transports: []string{"pigeon"}}},
		"no dialer":   {s.URL, client.Options{Transports: []string{"webtransport"}}},
		"not found":   {s.URL, client.Options{}},
		"no upgrade":  {s.URL, client.Options{Transports: []string{"websocket"}}},
		"unreachable": {"http://127.0.0.1:1", client.Options{TryAllTransports: true}},
	} {
		if _, err := client.Dial(t.Context(), c.url, &c.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
