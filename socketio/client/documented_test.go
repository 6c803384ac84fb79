package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/engineio"
)

// The reasons that the connection itself has. The socket stays active after each: the
// manager comes back by itself.
func TestDisconnect_ReasonsOfTheConnection_SocketStaysActive(t *testing.T) {
	t.Parallel()
	silent := strings.NewReplacer("25000", "40", "20000", "40").Replace(open)
	for want, url := range map[socketio.Reason]string{
		client.ReasonPingTimeout:    rawServerOf(t, silent, joined),
		client.ReasonTransportError: rawServer(t, joined, "9"),
		client.ReasonTransportClose: rawServer(t, joined, "1"),
		client.ReasonParseError:     rawServer(t, joined, "42{}"),
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			s := newClient(t, url, &client.Options{Transports: []string{"websocket"}})
			type end struct {
				reason socketio.Reason
				active bool
			}
			ends := make(chan end, 100)
			attempts := make(chan int, 100)
			s.OnDisconnect(func(reason socketio.Reason, _ error) { ends <- end{reason, s.Active()} })
			s.Manager().OnReconnectAttempt(func(n int) { attempts <- n })
			connect(t, s)
			if got := wait(t, "the end", ends); got != (end{want, true}) {
				t.Errorf("got %+v", got)
			}
			if n := wait(t, "the attempt", attempts); n != 1 {
				t.Errorf("attempt %d", n)
			}
		})
	}
}

// The causes of OnConnectError, and whether the socket tries again by itself.
func TestConnectError_Causes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	srv.Of("/private").Use(func(_ context.Context, _ *socketio.Socket) error {
		return &socketio.ConnectError{Message: "not you", Data: map[string]int{"code": 7}}
	})
	refuses := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
	for name, c := range map[string]struct {
		namespace string
		change    func(*client.Options)
		want      string
		active    bool
	}{
		"no connection":     {"/", func(o *client.Options) { o.DialContext = refuses }, "no route", true},
		"Options.Timeout":   {"/", func(o *client.Options) { o.DialContext, o.Timeout = blackHole, 30*time.Millisecond }, "timeout", true},
		"not Socket.IO":     {"/", func(o *client.Options) { o.Path = "/elsewhere/" }, "404", true},
		"no transport":      {"/", func(o *client.Options) { o.Transports = []string{"polling"}; o.DialContext = refuses }, "no route", true},
		"unknown namespace": {"/nowhere", func(*client.Options) {}, "Invalid namespace", false},
		"a middleware":      {"/private", func(*client.Options) {}, "not you", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(srv)
			c.change(o)
			s := newClient(t, "http://memory"+c.namespace, o)
			type failure struct {
				err    error
				active bool
			}
			failures := make(chan failure, 1000)
			s.OnConnectError(func(err error) { failures <- failure{err, s.Active()} })
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
			f := wait(t, "connect_error", failures)
			if !strings.Contains(f.err.Error(), c.want) || f.active != c.active {
				t.Errorf("%v, active %t", f.err, f.active)
			}
			var refused *socketio.ConnectError
			if errors.As(f.err, &refused) == c.active {
				t.Errorf("%T", f.err)
			}
			if c.active {
				wait(t, "the next attempt's error", failures)
			}
		})
	}
}

// blackHole is a line on which no answer comes.
func blackHole(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		buf := make([]byte, 1024)
		for {
			if _, err := far.Read(buf); err != nil {
				return
			}
		}
	}()
	return near, nil
}

// A manager's sockets share its connection, which ends with the last of them; New and Dial
// have a connection of their own (forceNew).
func TestManager_Multiplexes_NewDoesNot(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	o := options(srv)
	var dials atomic.Int32
	dial := o.DialContext
	o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	m, err := client.NewManager("http://memory", o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	root, admin := m.Socket("/"), m.Socket("admin")
	if m.Socket("/admin") != admin || root.Manager() != m {
		t.Error("one name has two sockets")
	}
	ends := make(chan socketio.Reason, 10)
	admin.OnDisconnect(func(r socketio.Reason, _ error) { ends <- r })
	connect(t, root)
	connect(t, admin)
	if n := dials.Load(); n != 1 || root.ID() == admin.ID() {
		t.Errorf("%d connections, ids %s and %s", n, root.ID(), admin.ID())
	}
	root.Disconnect()
	if !m.Connected() || !admin.Connected() || root.Active() || len(ends) > 0 {
		t.Error("the other socket is gone as well")
	}
	m.Drop()
	if r := wait(t, "the end", ends); r != client.ReasonTransportClose {
		t.Error(r)
	}
	connect(t, admin)
	if root.Active() {
		t.Error("a socket that was disconnected came back")
	}
	admin.Disconnect()
	if m.Connected() {
		t.Error("a connection without a socket")
	}
	before := dials.Load()
	connect(t, newClient(t, "http://memory", o))
	connect(t, newClient(t, "http://memory", o))
	if n := dials.Load() - before; n != 2 {
		t.Errorf("%d connections for two of New", n)
	}
}

// A volatile event is dropped while there is no connection, with or without an
// acknowledgement; it is sent when there is one. Send is an event named message.
func TestVolatile_AndSend(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	seen := make(chan string, 10)
	srv.OnConnection(func(s *socketio.Socket) {
		s.OnAny(func(e *socketio.Event) { seen <- e.Name() + e.Args().String() })
	})
	s := newClient(t, "http://memory", options(srv))
	if err := s.Volatile().Emit("back", "lost"); err != nil {
		t.Error(err)
	}
	if _, err := s.Volatile().Timeout(10*time.Millisecond).EmitWithAck(soon(t), "echo", "lost"); !errors.Is(err, socketio.ErrTimeout) {
		t.Error(err)
	}
	connect(t, s)
	if err := s.Send("kept"); err != nil {
		t.Error(err)
	}
	if got := wait(t, "the message", seen); got != `message["kept"]` {
		t.Error(got)
	}
	// Right behind another event it may be dropped: that one may still be under way.
	ctx := soon(t)
	for {
		_, err := s.Volatile().Timeout(50*time.Millisecond).EmitWithAck(ctx, "echo", 1)
		if err == nil {
			return
		}
		if !errors.Is(err, socketio.ErrTimeout) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// OnError hears of every failed attempt, the first one too; OnReconnectError only of those
// to come back. Disconnect ends the attempts and the wait of Connect.
func TestDisconnect_WhileConnecting_EndsTheAttempts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	var closedGate atomic.Bool
	closedGate.Store(true)
	o := options(srv)
	o.DialContext = gate(srv, &closedGate)
	s := newClient(t, "http://memory", o)
	errs, again := make(chan error, 1000), make(chan error, 1000)
	s.Manager().OnError(func(err error) { errs <- err })
	s.Manager().OnReconnectError(func(err error) { again <- err })
	result := make(chan error, 1)
	go func() { result <- s.Connect(soon(t)) }()
	wait(t, "the first error", errs)
	wait(t, "the second error", errs)
	wait(t, "the error of the second attempt", again)
	s.Disconnect()
	if err := wait(t, "the end of Connect", result); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error(err)
	}
	if s.Active() {
		t.Error("still active")
	}
	closedGate.Store(false)
	connect(t, s)
}

// RememberUpgrade begins with a WebSocket when the last connection was one.
func TestOptions_RememberUpgrade(t *testing.T) {
	t.Parallel()
	for _, remember := range []bool{false, true} {
		srv := newServer(t, &socketio.Options{Engine: engineio.Options{}})
		o := options(srv)
		o.Transports, o.RememberUpgrade = []string{"polling", "websocket"}, remember
		s := newClient(t, "http://memory", o)
		upgraded, transport := make(chan string, 10), make(chan string, 10)
		s.Manager().OnUpgrade(func(name string) { upgraded <- name })
		s.Manager().OnReconnect(func(int) { transport <- s.Manager().Transport() })
		connect(t, s)
		if got := wait(t, "the upgrade", upgraded); got != "websocket" {
			t.Error(got)
		}
		s.Manager().Drop()
		want := "polling"
		if remember {
			want = "websocket"
		}
		if got := wait(t, "the connection", transport); got != want {
			t.Errorf("RememberUpgrade %t: came back by %s", remember, got)
		}
	}
}
