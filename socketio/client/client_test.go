package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test: one that hangs fails instead.
const patience = 20 * time.Second

func wait[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
	return v
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// options are those of a client of srv, in memory, by a WebSocket.
func options(srv *sockettest.Server) *client.Options {
	return &client.Options{DialContext: srv.DialContext, Transports: []string{"websocket"}, ReconnectDelay: 10 * time.Millisecond,
		ReconnectDelayMax: 50 * time.Millisecond}
}

// newClient returns a socket that ends with the test; it is not connected.
func newClient(t testing.TB, url string, o *client.Options) *client.Socket {
	t.Helper()
	s, err := client.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func connect(t testing.TB, s *client.Socket) *client.Socket {
	t.Helper()
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// newServer has the handlers that most tests use.
func newServer(t testing.TB, o *socketio.Options) *sockettest.Server {
	t.Helper()
	srv := sockettest.NewServer(t, o)
	for _, n := range []*socketio.Namespace{srv.Of("/"), srv.Of("/admin")} {
		n.OnConnection(func(s *socketio.Socket) {
			s.On("echo", func(e *socketio.Event) { e.Ack(e.Args()) })
			s.On("back", func(e *socketio.Event) { s.Emit("back", e.Args()) })
			s.On("leave", func(*socketio.Event) { s.Disconnect(false) })
			s.On("drop", func(*socketio.Event) { s.Disconnect(true) })
			s.On("auth", func(e *socketio.Event) {
				auth := s.Handshake().Auth
				e.Ack(auth)
			})
			s.On("ask", func(e *socketio.Event) {
				go func() {
					answer, err := s.EmitWithAck(context.Background(), "question", e.Args())
					s.Emit("answered", answer.String(), err == nil)
				}()
			})
		})
	}
	return srv
}

func TestSocket_EventsAndAcks_BothWays_OnEveryTransport(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]client.Options{
		"polling": {Transports: []string{"polling"}}, "websocket": {Transports: []string{"websocket"}}, "upgrade": {},
		"msgpack": {Codec: parser.MessagePack(nil)}, "polling, EIO 3": {EIO: 3, Transports: []string{"polling"}},
		"websocket, EIO 3": {EIO: 3, Transports: []string{"websocket"}}, "upgrade, EIO 3": {EIO: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, &socketio.Options{Codec: o.Codec, Engine: engineio.Options{AllowEIO3: true}})
			o := o
			o.DialContext = srv.DialContext
			m, err := client.NewManager("http://memory", &o)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for _, namespace := range []string{"/", "/admin"} {
				s := m.Socket(namespace)
				connect(t, s)
				if s.ID() == "" || !s.Connected() || !s.Active() {
					t.Error("not connected:", s.ID(), s.Connected(), s.Active())
				}
				args, err := s.EmitWithAck(soon(t), "echo", 1, "zwei", []byte{3}, map[string]any{"four": []byte{5, 6}}, nil)
				if err != nil {
					t.Fatal(err)
				}
				var one int
				var two string
				var three []byte
				var four struct{ Four []byte }
				if err := args.Bind(&one, &two, &three, &four); err != nil || one != 1 || two != "zwei" || string(three) != "\x03" || string(four.Four) != "\x05\x06" {
					t.Error(one, two, three, four, err)
				}
				back := make(chan string, 1)
				s.On("back", func(e *client.Event) { back <- e.Args().String() })
				s.Emit("back", "x", 1)
				if got := wait(t, "the event", back); got != `["x",1]` {
					t.Error(got)
				}
				answered := make(chan string, 1)
				s.On("question", func(e *client.Event) {
					if !e.WantsAck() || e.Name() != "question" || e.Socket() != s {
						t.Error("no acknowledgement wanted")
					}
					if err := e.Ack(e.Args(), []byte{9}); err != nil {
						t.Error(err)
					}
					if err := e.Ack(); !errors.Is(err, socketio.ErrAcked) {
						t.Error(err)
					}
				})
				s.On("answered", func(e *client.Event) { answered <- e.Args().String() })
				s.Emit("ask", "why")
				if got := wait(t, "the answer", answered); !strings.Contains(got, `why`) || !strings.Contains(got, "true") {
					t.Error(got)
				}
				called := make(chan string, 1)
				s.EmitAck("echo", func(a socketio.Args, err error) { called <- fmt.Sprint(a, err) }, 7)
				if got := wait(t, "the callback", called); got != "[7] <nil>" {
					t.Error(got)
				}
			}
		})
	}
}

func TestHandle_And_Call_AreTyped(t *testing.T) {
	t.Parallel()
	type point struct{ X, Y int }
	srv := newServer(t, nil)
	socketio.Handle(srv, "swap", func(_ context.Context, p point) (point, error) { return point{p.Y, p.X}, nil })
	s := newClient(t, "http://memory", options(srv))
	client.Handle(s, "double", func(ctx context.Context, n int) (int, error) {
		if n == 13 {
			return 0, &socketio.EventError{Code: "unlucky", Message: "no"}
		}
		if n == 14 {
			return 0, errors.New("secret")
		}
		return 2 * n, ctx.Err()
	})
	results := make(chan string, 10)
	srv.OnConnection(func(peer *socketio.Socket) {
		go func() {
			for _, arg := range []any{4, "text", 13, 14} {
				a, err := peer.EmitWithAck(context.Background(), "double", arg)
				results <- fmt.Sprint(a, err)
			}
			close(results)
		}()
	})
	connect(t, s)
	if p, err := client.Call[point](soon(t), s, "swap", point{1, 2}); err != nil || p != (point{2, 1}) {
		t.Error(p, err)
	}
	var got []string
	for r := range results {
		got = append(got, r)
	}
	want := []string{"[8] <nil>", `[{"error":{"code":"bad_request","message":"the arguments do not fit"}}] <nil>`,
		`[{"error":{"code":"unlucky","message":"no"}}] <nil>`, `[{"error":{"code":"internal","message":"internal error"}}] <nil>`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAuth_ValueAndFunction(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	o := options(srv)
	o.Auth = map[string]string{"token": "abc"}
	s := connect(t, newClient(t, "http://memory/admin", o))
	if s.Namespace() != "/admin" {
		t.Error(s.Namespace())
	}
	if auth, err := client.Call[map[string]string](soon(t), s, "auth"); err != nil || auth["token"] != "abc" {
		t.Error(auth, err)
	}
	calls := 0
	o = options(srv)
	o.AuthFunc = func(context.Context) (any, error) {
		if calls++; calls == 1 {
			return nil, errors.New("the token service rests")
		}
		return map[string]int{"n": calls}, nil
	}
	s = newClient(t, "http://memory", o)
	failed := make(chan error, 1)
	s.OnConnectError(func(err error) { failed <- err })
	connect(t, s)
	if err := wait(t, "the error", failed); !strings.Contains(err.Error(), "rests") {
		t.Error(err)
	}
	for n := 2; n < 4; n++ {
		if auth, err := client.Call[map[string]int](soon(t), s, "auth"); err != nil || auth["n"] != n {
			t.Error(auth, err)
		}
		if n == 2 {
			reconnected := make(chan int, 1)
			s.Manager().OnReconnect(func(attempts int) { reconnected <- attempts })
			s.Manager().Drop()
			wait(t, "the connection", reconnected)
		}
	}
	o = options(srv)
	o.Auth = []int{1}
	if err := newClient(t, "http://memory", o).Connect(soon(t)); err == nil {
		t.Error("auth that is no object is sent")
	}
}

func TestConnectError_OfAMiddleware_EndsTheAttempt_ConnectAgainIsUpToTheProgram(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var open atomic.Bool
	srv.Use(func(context.Context, *socketio.Socket) error {
		if open.Load() {
			return nil
		}
		return &socketio.ConnectError{Message: "not yet", Data: map[string]int{"retryAfter": 3}}
	})
	s := newClient(t, "http://memory", options(srv))
	errs := make(chan error, 10)
	s.OnConnectError(func(err error) { errs <- err })
	err := s.Connect(soon(t))
	var refusal *socketio.ConnectError
	if !errors.As(err, &refusal) || refusal.Message != "not yet" || string(refusal.Data.(json.RawMessage)) != `{"retryAfter":3}` {
		t.Fatal(err)
	}
	if got := wait(t, "the error", errs); !errors.As(got, &refusal) {
		t.Error(got)
	}
	if s.Active() || s.Connected() {
		t.Error("still active")
	}
	open.Store(true)
	connect(t, s)
	if !s.Active() || len(errs) > 0 {
		t.Error("not active again")
	}
}

func TestDisconnect_Reasons(t *testing.T) {
	t.Parallel()
	type end struct {
		reason socketio.Reason
		active bool
	}
	for name, c := range map[string]struct {
		cut  func(s *client.Socket)
		want end
	}{
		"the server leaves":     {func(s *client.Socket) { s.Emit("leave") }, end{client.ReasonServerDisconnect, false}},
		"the server closes":     {func(s *client.Socket) { s.Emit("drop") }, end{client.ReasonServerDisconnect, false}},
		"the client leaves":     {func(s *client.Socket) { s.Disconnect() }, end{client.ReasonClientDisconnect, false}},
		"the connection is cut": {func(s *client.Socket) { s.Manager().Drop() }, end{client.ReasonTransportClose, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, nil)
			s := newClient(t, "http://memory", options(srv))
			ends := make(chan end, 10)
			connects := make(chan string, 10)
			s.OnDisconnect(func(reason socketio.Reason, _ error) { ends <- end{reason, s.Active()} })
			s.OnConnect(func() { connects <- s.ID() })
			connect(t, s)
			first := wait(t, "the connection", connects)
			c.cut(s)
			if got := wait(t, "the end", ends); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !c.want.active {
				if s.Connected() || s.ID() != "" {
					t.Error("still connected")
				}
				connect(t, s) // by hand
			}
			if second := wait(t, "the next connection", connects); second == first {
				t.Error("the session is the same")
			}
		})
	}
}

func TestReconnection_Events_AndOfflineBuffer(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var closedGate atomic.Bool
	o := options(srv)
	o.DialContext = gate(srv, &closedGate)
	s := newClient(t, "http://memory", o)
	log := make(chan string, 100)
	m := s.Manager()
	m.OnReconnectAttempt(func(n int) {
		log <- fmt.Sprint("attempt ", n)
		if n == 3 {
			closedGate.Store(false)
		}
	})
	m.OnReconnectError(func(error) { log <- "error" })
	m.OnReconnect(func(n int) { log <- fmt.Sprint("reconnect ", n) })
	s.OnConnectError(func(error) { log <- "connect_error" })
	got := make(chan string, 10)
	s.On("back", func(e *client.Event) { got <- e.Args().String() })
	connect(t, s)
	closedGate.Store(true)
	lost := make(chan struct{}, 1)
	s.OnDisconnect(func(socketio.Reason, error) { lost <- struct{}{} })
	m.Drop()
	wait(t, "the loss", lost)
	for i := range 5 {
		if err := s.Emit("back", i); err != nil {
			t.Error(err)
		}
	}
	s.Volatile().Emit("back", "volatile")
	answer := make(chan error, 1)
	go func() {
		_, err := s.EmitWithAck(soon(t), "echo", "later")
		answer <- err
	}()
	for i := range 5 {
		if e := wait(t, "a buffered event", got); e != fmt.Sprintf("[%d]", i) {
			t.Error(e)
		}
	}
	if err := wait(t, "the answer", answer); err != nil {
		t.Error(err)
	}
	var events []string
	for len(log) > 0 {
		if e := <-log; e != "connect_error" { // those come from another goroutine
			events = append(events, e)
		}
	}
	if want := []string{"attempt 1", "error", "attempt 2", "error", "attempt 3", "reconnect 3"}; !slices.Equal(events, want) {
		t.Errorf("got %q", events)
	}
}

func TestReconnectAttempts_Exhausted_OnReconnectFailed(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var closedGate atomic.Bool
	o := options(srv)
	o.DialContext, o.ReconnectAttempts = gate(srv, &closedGate), 2
	s := newClient(t, "http://memory", o)
	failed := make(chan struct{}, 1)
	s.Manager().OnReconnectFailed(func() { failed <- struct{}{} })
	closedGate.Store(true)
	if err := s.Connect(soon(t)); !errors.Is(err, client.ErrReconnectFailed) {
		t.Error(err)
	}
	wait(t, "reconnect_failed", failed)
	if s.Active() {
		t.Error("active, but nothing tries")
	}
	closedGate.Store(false)
	connect(t, s)
}

func TestNoReconnect_AndDial_GiveUpAtTheFirstError(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var closedGate atomic.Bool
	closedGate.Store(true)
	o := options(srv)
	o.DialContext = gate(srv, &closedGate)
	if _, err := client.Dial(soon(t), "http://memory", o); err == nil {
		t.Error("Dial without a server")
	}
	o.NoReconnect = true
	s := newClient(t, "http://memory", o)
	if err := s.Connect(soon(t)); err == nil || s.Active() {
		t.Error("Connect without a server", err)
	}
	closedGate.Store(false)
	connect(t, s)
	lost := make(chan bool, 1)
	s.OnDisconnect(func(socketio.Reason, error) { lost <- s.Manager().Connected() })
	s.Manager().Drop()
	wait(t, "the loss", lost)
	d, err := client.Dial(soon(t), "http://memory", options(srv))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Emit("x"); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
	if err := d.Open(); !errors.Is(err, client.ErrClosed) {
		t.Error(err)
	}
}

// gate lets connections through while it is not closed.
func gate(srv *sockettest.Server, closed *atomic.Bool) func(context.Context, string, string) (conn netConn, err error) {
	return func(ctx context.Context, network, addr string) (netConn, error) {
		if closed.Load() {
			return nil, errors.New("the gate is closed")
		}
		return srv.DialContext(ctx, network, addr)
	}
}

func TestConnect_ContextEnds_SocketGoesOnTrying(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var closedGate atomic.Bool
	closedGate.Store(true)
	o := options(srv)
	o.DialContext = gate(srv, &closedGate)
	s := newClient(t, "http://memory", o)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := s.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) || !s.Active() {
		t.Error(err, s.Active())
	}
	connected := make(chan struct{}, 1)
	s.OnConnect(func() { connected <- struct{}{} })
	closedGate.Store(false)
	wait(t, "the connection", connected)
}

func TestEmit_OfflineBeyondMaxBuffered_ErrBufferFull(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 3} {
		s := newClient(t, "http://127.0.0.1:1", &client.Options{MaxBuffered: 10_000, Retries: retries})
		var err error
		n := 0
		for ; n < 1000 && err == nil; n++ {
			err = s.Emit("x", strings.Repeat("y", 100))
		}
		if !errors.Is(err, client.ErrBufferFull) || n > 100 {
			t.Errorf("retries %d: %v after %d", retries, err, n)
		}
	}
	s := newClient(t, "http://127.0.0.1:1", nil)
	if err := s.Emit("connect"); !errors.Is(err, socketio.ErrReserved) {
		t.Error(err)
	}
	if err := s.Emit("x", func() {}); err == nil {
		t.Error("a function is encoded")
	}
	if err := s.Volatile().Emit("x"); err != nil {
		t.Error("volatile", err)
	}
}

func TestEmitWithAck_TimeoutAndLoss(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	s := connect(t, newClient(t, "http://memory", options(srv)))
	if _, err := s.Timeout(10*time.Millisecond).EmitWithAck(soon(t), "nothing"); !errors.Is(err, socketio.ErrTimeout) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.EmitWithAck(ctx, "nothing"); !errors.Is(err, socketio.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	answered := make(chan error, 1)
	s.EmitAck("nothing", func(_ socketio.Args, err error) { answered <- err })
	s.Emit("drop")
	var end *socketio.DisconnectError
	if err := wait(t, "the error", answered); !errors.As(err, &end) || end.Reason != client.ReasonServerDisconnect {
		t.Error(err)
	}
	// Offline: the event is taken back with its acknowledgement.
	if _, err := s.Timeout(10*time.Millisecond).EmitWithAck(soon(t), "echo"); !errors.Is(err, socketio.ErrTimeout) {
		t.Error(err)
	}
	connect(t, s)
	any := make(chan string, 10)
	s.OnAny(func(e *client.Event) { any <- e.Name() })
	s.Emit("back", "only this")
	wait(t, "the event", any)
	if len(any) > 0 {
		t.Error(<-any)
	}
}

func TestRecovery_MissedEventsCome(t *testing.T) {
	t.Parallel()
	srv := newServer(t, &socketio.Options{Recovery: &socketio.Recovery{}})
	s := newClient(t, "http://memory", options(srv))
	got := make(chan string, 100)
	s.On("news", func(e *client.Event) { got <- string(e.Args().JSON(0)) })
	lost, back := make(chan struct{}, 1), make(chan bool, 2)
	s.OnDisconnect(func(socketio.Reason, error) {
		srv.Emit("news", 2)
		srv.Emit("news", 3)
		lost <- struct{}{}
	})
	s.OnConnect(func() { back <- s.Recovered() })
	connect(t, s)
	id := s.ID()
	if wait(t, "the connection", back) {
		t.Error("recovered at first")
	}
	srv.Emit("news", 1)
	wait(t, "news", got)
	s.Manager().Drop()
	wait(t, "the loss", lost)
	if !wait(t, "the connection", back) || s.ID() != id {
		t.Error("not recovered")
	}
	for _, want := range []string{"2", "3"} {
		if n := wait(t, "missed news", got); n != want {
			t.Error(n)
		}
	}
	// A session that the client has left is not recovered.
	s.Disconnect()
	wait(t, "the loss", lost)
	connect(t, s)
	if wait(t, "the connection", back) {
		t.Error("recovered after Disconnect")
	}
}

func TestRetries_InOrder_OneInFlight_UntilAcknowledged(t *testing.T) {
	t.Parallel()
	srv := sockettest.NewServer(t, nil)
	var mu sync.Mutex
	var got []int
	inFlight, most := 0, 0
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("n", func(e *socketio.Event) {
			var n int
			if err := e.Bind(&n); err != nil {
				t.Error(err)
			}
			mu.Lock()
			got = append(got, n)
			inFlight++
			most = max(most, inFlight)
			first := len(got)%3 == 1
			inFlight--
			mu.Unlock()
			if !first { // the first of three tries is never acknowledged
				e.Ack(n)
			}
		})
	})
	o := options(srv)
	o.Retries, o.AckTimeout = 3, 30*time.Millisecond
	s := newClient(t, "http://memory", o)
	results := make(chan string, 100)
	for i := range 10 {
		s.EmitAck("n", func(a socketio.Args, err error) { results <- fmt.Sprint(a, err) }, i)
	}
	connect(t, s)
	for i := range 10 {
		if r := wait(t, "the result", results); r != fmt.Sprintf("[%d] <nil>", i) {
			t.Error(r)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 1 || !slices.IsSorted(got) {
		t.Error(most, got)
	}
	// An event that is never acknowledged is given up, and the next one goes.
	srv.OnConnection(func(*socketio.Socket) {})
	mu.Unlock()
	_, err := s.EmitWithAck(soon(t), "never")
	mu.Lock()
	if !errors.Is(err, socketio.ErrTimeout) {
		t.Error(err)
	}
}

func TestListeners_OnceOffAny(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	s := newClient(t, "http://memory", options(srv))
	log := make(chan string, 100)
	s.Once("back", func(*client.Event) { log <- "once" })
	on := s.On("back", func(*client.Event) { log <- "on" })
	any := s.OnAny(func(e *client.Event) { log <- "any " + e.Name() })
	out := s.OnAnyOutgoing(func(event string, args socketio.Args) { log <- "out " + event + args.String() })
	connect(t, s)
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := wait(t, w, log); got != w {
				t.Errorf("got %q, want %q", got, w)
			}
		}
	}
	s.Emit("back", 1)
	expect("out back[1]", "any back", "once", "on")
	s.Emit("back", 2)
	expect("out back[2]", "any back", "on")
	out.Off()
	any.Off()
	s.Emit("back", 3)
	expect("on")
	on.Off()
	s.On("back", func(*client.Event) { log <- "again" })
	s.Emit("back", 4)
	expect("again")
	s.Off("back")
	s.On("done", func(*client.Event) { log <- "done" })
	s.Emit("back", 5)
	client.Call[int](soon(t), s, "echo", 1)
	if len(log) > 0 {
		t.Error(<-log)
	}
}

func TestHandler_MayWaitForAnAck(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	s := newClient(t, "http://memory", options(srv))
	done := make(chan error, 1)
	s.On("back", func(e *client.Event) {
		_, err := client.Call[int](e.Context(), s, "echo", 1)
		done <- err
	})
	connect(t, s)
	s.Emit("back")
	if err := wait(t, "the handler", done); err != nil {
		t.Error(err)
	}
}

func TestEvent_Context_EndsWithTheConnection(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	s := newClient(t, "http://memory", options(srv))
	contexts := make(chan *client.Event, 1)
	s.On("question", func(e *client.Event) { contexts <- e })
	connect(t, s)
	s.Emit("ask", 1)
	e := wait(t, "the event", contexts)
	s.Manager().Drop()
	select {
	case <-e.Context().Done():
	case <-time.After(patience):
		t.Fatal("the context does not end")
	}
	var end *socketio.DisconnectError
	if !errors.As(context.Cause(e.Context()), &end) || end.Reason != client.ReasonTransportClose {
		t.Error(context.Cause(e.Context()))
	}
	connect(t, s)
	if err := e.Ack(1); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error("an acknowledgement on another connection:", err)
	}
}

func TestMailbox_Full_TheConnectionIsNotRead(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	o := options(srv)
	o.MaxQueued = 10_000
	s := newClient(t, "http://memory", o)
	release := make(chan struct{})
	var handled atomic.Int32
	all := make(chan struct{})
	s.On("back", func(*client.Event) {
		<-release
		if handled.Add(1) == 500 {
			close(all)
		}
	})
	connect(t, s)
	for i := range 500 {
		s.Emit("back", i, strings.Repeat("x", 1000))
	}
	select {
	case <-all:
		t.Fatal("handled?")
	case <-time.After(100 * time.Millisecond): // it must stay as it is
	}
	close(release)
	wait(t, "the last event", all)
}

func TestBackoff_Jittered_AsSocketIOClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 5 {
			s, err := client.New("http://nowhere", &client.Options{DialContext: func(context.Context, string, string) (netConn, error) {
				return nil, errors.New("no network")
			}})
			if err != nil {
				t.Fatal(err)
			}
			var times []time.Duration
			start := time.Now()
			s.Manager().OnReconnectAttempt(func(int) { times = append(times, time.Since(start)) })
			s.Open()
			time.Sleep(time.Minute)
			s.Close()
			last := time.Duration(0)
			base := time.Second
			for i, at := range times {
				d := at - last
				if low, high := min(base/2, 5*time.Second), min(base+base/2, 5*time.Second); d < low || d > high {
					t.Errorf("attempt %d after %v, want %v to %v", i+1, d, low, high)
				}
				last, base = at, min(2*base, 8*time.Second)
			}
			if len(times) < 12 {
				t.Errorf("%d attempts in a minute", len(times))
			}
		}
	})
}

func TestNewManager_BadOptions(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"ftp://x", "", "http://", "::"} {
		if _, err := client.New(url, nil); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
	if _, err := client.NewManager("http://x", &client.Options{EIO: 2}); err == nil {
		t.Error("EIO 2 is taken")
	}
	if _, err := client.NewManager("http://x", &client.Options{Header: http.Header{}, Transports: []string{"webtransport"}}); err == nil {
		t.Error("webtransport without a dialer is taken")
	}
}
