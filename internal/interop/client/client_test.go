package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/parser"
)

func TestMain(m *testing.M) {
	if runRole() {
		return
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// peer is a server to be spoken to.
type peer struct {
	name, format string
	eio          int
}

var peers = []peer{
	{"socket.io", "json", 4}, {"socket.io", "msgpack", 4}, {"socket.io", "recovery", 4},
	{"sios-3.1", "json", 4}, {"sios-3.1", "msgpack", 4}, {"sios-2.5", "json", 3},
	{bunEngine, "json", 4}, {bunEngine, "msgpack", 4}, {bunEngine, "recovery", 4},
}

// bunEngine is the package that replaces Engine.IO's server on Bun; socket.io runs on it.
const bunEngine = "@socket.io/bun-engine"

// listening finds the port that a server prints.
var listening = regexp.MustCompile(`listening on ([0-9]+)`)

// start runs a Node server and returns its URL. A port of 0 means any.
func (p peer) start(t testing.TB, port int) (url string, process *testenv.Process) {
	t.Helper()
	dir := testenv.NodeDir(t, p.name)
	script, err := filepath.Abs(filepath.Join("testdata", "server.js"))
	if err != nil {
		t.Fatal(err)
	}
	program := "node"
	if p.name == bunEngine {
		testenv.NodeDir(t, "bun")
		program = filepath.Join(dir, "node_modules", ".bin", "bun")
	}
	process = testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, program, script, p.name, p.format, strconv.Itoa(port))
	testenv.Until(t, patience, p.name+" listens", func() bool { return listening.MatchString(process.Output()) })
	return "http://127.0.0.1:" + listening.FindStringSubmatch(process.Output())[1], process
}

// options are those of a client for the peer.
func (p peer) options(transports ...string) *client.Options {
	o := &client.Options{EIO: p.eio, Transports: transports, ReconnectDelay: 20 * time.Millisecond, ReconnectDelayMax: 200 * time.Millisecond}
	if p.format == "msgpack" {
		o.Codec = parser.MessagePack(nil)
	}
	return o
}

func newClient(t testing.TB, url string, o *client.Options) *client.Socket {
	t.Helper()
	s, err := client.New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func connect(t testing.TB, s *client.Socket) *client.Socket {
	t.Helper()
	if err := s.Connect(soon(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func wait[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
	return v
}

var transports = map[string][]string{
	"polling": {"polling"}, "websocket": {"websocket"}, "upgrade": {"polling", "websocket"},
}

func TestNodeServers(t *testing.T) {
	if testing.Short() {
		t.Skip("Node servers: not with -short")
	}
	for _, p := range peers {
		t.Run(p.name+" "+p.format, func(t *testing.T) {
			t.Parallel()
			url, _ := p.start(t, 0)
			for name, list := range transports {
				t.Run(name, func(t *testing.T) {
					for _, behaviour := range behaviours {
						t.Run(behaviour.name, func(t *testing.T) { behaviour.check(t, p, url, p.options(list...)) })
					}
				})
			}
		})
	}
}

var behaviours = []struct {
	name  string
	check func(t *testing.T, p peer, url string, o *client.Options)
}{
	{"acknowledgements", func(t *testing.T, p peer, url string, o *client.Options) {
		s := connect(t, newClient(t, url, o))
		args, err := s.EmitWithAck(soon(t), "echo", 1, "é😀", []byte{0, 255}, map[string]any{"a": []any{[]byte{1}, true, nil}})
		if err != nil {
			t.Fatal(err)
		}
		var one int
		var text string
		var data []byte
		var nested struct{ A []any }
		if err := args.Bind(&one, &text, &data, &nested); err != nil || one != 1 || text != "é😀" || string(data) != "\x00\xff" ||
			string(nested.A[0].([]byte)) != "\x01" {
			t.Error(one, text, data, nested, err)
		}
	}},
	{"events in order", func(t *testing.T, p peer, url string, o *client.Options) {
		s := newClient(t, url, o)
		got := make(chan int, 1000)
		s.On("back", func(e *client.Event) {
			var n int
			var data []byte
			if err := e.Bind(&n, &data); err != nil || len(data) != n%7 {
				t.Error(err, n, data)
			}
			got <- n
		})
		for i := range 50 { // before there is a connection
			s.Emit("back", i, make([]byte, i%7))
		}
		connect(t, s)
		for i := 50; i < 300; i++ { // across the upgrade
			s.Emit("back", i, make([]byte, i%7))
		}
		for i := range 300 {
			if n := wait(t, "an event", got); n != i {
				t.Fatalf("got %d, want %d", n, i)
			}
		}
	}},
	{"questions of the server", func(t *testing.T, p peer, url string, o *client.Options) {
		s := newClient(t, url, o)
		answered := make(chan string, 1)
		client.Handle(s, "question", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
		s.On("answered", func(e *client.Event) { answered <- string(e.Args().JSON(0)) })
		connect(t, s)
		s.Emit("ask", 21)
		if got := wait(t, "the answer", answered); got != "42" {
			t.Error(got)
		}
	}},
	{"namespaces on one connection", func(t *testing.T, p peer, url string, o *client.Options) {
		m, err := client.NewManager(url, o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		got := make(chan string, 10)
		root, chat := m.Socket("/"), m.Socket("/chat")
		for _, s := range []*client.Socket{root, chat} {
			s.On("back", func(e *client.Event) { got <- s.Namespace() + e.Args().String() })
		}
		connect(t, root)
		connect(t, chat)
		root.Emit("back", 1)
		if e := wait(t, "the event", got); !strings.HasPrefix(e, "/[1") {
			t.Error(e)
		}
		chat.Emit("back", 2)
		if e := wait(t, "the event", got); !strings.HasPrefix(e, "/chat[2") {
			t.Error(e)
		}
		root.Disconnect()
		chat.Emit("back", 3)
		if e := wait(t, "the event", got); !strings.HasPrefix(e, "/chat[3") {
			t.Error(e)
		}
		if p.eio == 3 {
			if err := root.Connect(soon(t)); err == nil {
				t.Error("Socket.IO 2 lets / be joined again")
			}
			return
		}
		connect(t, root)
		if root.ID() == chat.ID() {
			t.Error("one id for both")
		}
	}},
	{"refusal and auth", func(t *testing.T, p peer, url string, o *client.Options) {
		s := newClient(t, url+"/admin", o)
		err := s.Connect(soon(t))
		var refusal *socketio.ConnectError
		if !errors.As(err, &refusal) || s.Active() {
			t.Fatal(err, s.Active())
		}
		if data, _ := refusal.Data.(json.RawMessage); p.eio == 4 && (refusal.Message != "not you" || string(data) != `{"code":7}`) ||
			p.eio == 3 && string(data) != `{"code":7}` {
			t.Errorf("%+v", refusal)
		}
		o.Auth = map[string]string{"token": "good"}
		s = connect(t, newClient(t, url+"/admin", o))
		if auth, err := client.Call[map[string]string](soon(t), s, "auth"); err != nil || auth["token"] != "good" {
			t.Error(auth, err)
		}
	}},
	{"unknown namespace", func(t *testing.T, p peer, url string, o *client.Options) {
		err := newClient(t, url+"/nowhere", o).Connect(soon(t))
		var refusal *socketio.ConnectError
		if !errors.As(err, &refusal) || refusal.Message != "Invalid namespace" {
			t.Error(err)
		}
	}},
	{"rooms", func(t *testing.T, p peer, url string, o *client.Options) {
		a, b := newClient(t, url, o), newClient(t, url, o)
		got := make(chan string, 10)
		a.On("room", func(e *client.Event) { got <- "a" + string(e.Args().JSON(0)) })
		b.On("room", func(e *client.Event) { got <- "b" + string(e.Args().JSON(0)) })
		connect(t, a)
		connect(t, b)
		room := t.Name()
		if _, err := a.EmitWithAck(soon(t), "join", room); err != nil {
			t.Fatal(err)
		}
		b.Emit("room", room, 1)
		if e := wait(t, "the event", got); e != "a1" {
			t.Error(e)
		}
	}},
	{"the server disconnects", func(t *testing.T, p peer, url string, o *client.Options) {
		for _, event := range []string{"leave", "drop"} {
			s := newClient(t, url, o)
			ended := make(chan socketio.Reason, 1)
			s.OnDisconnect(func(reason socketio.Reason, _ error) { ended <- reason })
			connect(t, s)
			s.Emit(event)
			if reason := wait(t, "the end", ended); reason != client.ReasonServerDisconnect || s.Active() {
				t.Errorf("%s: %q, active %t", event, reason, s.Active())
			}
			connect(t, s)
		}
	}},
	{"the line is cut", func(t *testing.T, p peer, url string, o *client.Options) {
		s := newClient(t, url, o)
		ended, back := make(chan socketio.Reason, 1), make(chan int, 1)
		s.OnDisconnect(func(reason socketio.Reason, _ error) { ended <- reason })
		s.Manager().OnReconnect(func(attempts int) { back <- attempts })
		connect(t, s)
		s.Manager().Drop()
		if reason := wait(t, "the end", ended); reason != client.ReasonTransportClose {
			t.Error(reason)
		}
		if n := wait(t, "the connection", back); n != 1 {
			t.Error(n)
		}
		if n, err := client.Call[int](soon(t), s, "echo", 5); n != 5 || err != nil {
			t.Error(n, err)
		}
	}},
	{"pings", func(t *testing.T, p peer, url string, o *client.Options) {
		if p.format != "json" {
			t.Skip("once is enough")
		}
		t.Parallel()
		s := newClient(t, url, o)
		pings := make(chan struct{}, 10)
		s.Manager().OnPing(func() { pings <- struct{}{} })
		s.OnDisconnect(func(reason socketio.Reason, cause error) {
			if reason != client.ReasonClientDisconnect {
				t.Error(reason, cause)
			}
		})
		connect(t, s)
		for range 3 {
			wait(t, "a ping", pings)
		}
	}},
	{"large messages", func(t *testing.T, p peer, url string, o *client.Options) {
		s := connect(t, newClient(t, url, o))
		for _, n := range []int{1, 125, 126, 65535, 65536, 600_000} {
			answer, err := client.Call[[]byte](soon(t), s, "echo", make([]byte, n))
			if err != nil || len(answer) != n {
				t.Fatal(n, len(answer), err)
			}
		}
	}},
	{"recovery", func(t *testing.T, p peer, url string, o *client.Options) {
		if p.format != "recovery" {
			t.Skip("not offered")
		}
		// Node keeps a session once it has noticed the loss.
		o.ReconnectDelay, o.ReconnectDelayMax = 500*time.Millisecond, 500*time.Millisecond
		s, other := newClient(t, url, o), connect(t, newClient(t, url, o))
		got, back := make(chan string, 10), make(chan bool, 2)
		s.On("all", func(e *client.Event) { got <- string(e.Args().JSON(0)) })
		s.OnConnect(func() { back <- s.Recovered() })
		connect(t, s)
		wait(t, "the connection", back)
		ended := make(chan struct{}, 1)
		s.OnDisconnect(func(socketio.Reason, error) {
			client.Call[int](soon(t), other, "echo", 1)
			other.Emit("all", 2)
			client.Call[int](soon(t), other, "echo", 1)
			ended <- struct{}{}
		})
		// Node notices the loss of a polling client by its waiting request, and between two
		// of them not before the ping time-out: such a loss is tried again.
		recovered := false
		for range 20 {
			s.Emit("all", 1)
			if n := wait(t, "the event", got); n != "1" {
				t.Fatal(n)
			}
			id := s.ID()
			s.Manager().Drop()
			wait(t, "the end", ended)
			if recovered = wait(t, "the connection", back) && s.ID() == id; recovered || o.Transports[0] == "websocket" {
				break
			}
		}
		if !recovered {
			t.Fatal("not recovered")
		}
		if n := wait(t, "the missed event", got); n != "2" {
			t.Error(n)
		}
	}},
}

// A server that speaks another revision is an error that says so, or at least an error.
func TestNodeServers_WrongRevision_IsAnError(t *testing.T) {
	if testing.Short() {
		t.Skip("Node servers: not with -short")
	}
	for _, p := range []peer{{"socket.io", "json", 3}, {"sios-2.5", "json", 4}} {
		url, _ := p.start(t, 0)
		for name, list := range transports {
			if _, err := client.Dial(soon(t), url, p.options(list...)); err == nil {
				t.Errorf("%s with EIO %d by %s: connected", p.name, p.eio, name)
			} else {
				t.Logf("%s with EIO %d by %s: %v", p.name, p.eio, name, err)
			}
		}
	}
}

func TestNodeServers_Restart_ClientComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("Node servers: not with -short")
	}
	for _, p := range []peer{{"socket.io", "json", 4}, {"sios-2.5", "json", 3}, {bunEngine, "json", 4}} {
		url, process := p.start(t, 0)
		port, err := strconv.Atoi(url[strings.LastIndex(url, ":")+1:])
		if err != nil {
			t.Fatal(err)
		}
		s := newClient(t, url, p.options("polling", "websocket"))
		ended, back := make(chan struct{}, 100), make(chan int, 100)
		s.OnDisconnect(func(socketio.Reason, error) { ended <- struct{}{} })
		s.Manager().OnReconnect(func(n int) { back <- n })
		connect(t, s)
		process.Kill()
		wait(t, "the end", ended)
		answer := make(chan error, 1)
		go func() {
			n, err := client.Call[int](soon(t), s, "echo", 7)
			if n != 7 {
				err = errors.Join(err, fmt.Errorf("got %d", n))
			}
			answer <- err
		}()
		p.start(t, port)
		wait(t, "the connection", back)
		if err := wait(t, "the answer", answer); err != nil {
			t.Error(err)
		}
	}
}
