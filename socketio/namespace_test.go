package socketio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

func TestServer_Namespaces_SortedWithDynamicOnes(t *testing.T) {
	srv := serve(t, nil)
	srv.OfPattern("/team/{id}")
	srv.Of("/b")
	srv.Of("/a")
	srv.Connect("/team/7", nil)
	var names []string
	for _, n := range srv.Namespaces() {
		names = append(names, n.Name())
	}
	if want := []string{"/", "/a", "/b", "/sockettest-probe", "/team/7"}; !slices.Equal(names, want) {
		t.Errorf("namespaces %v", names)
	}
}

func TestNamespace_Len_CountsConnectedSockets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		lens := make(chan int, 3)
		srv.Use(func(_ context.Context, s *socketio.Socket) error {
			noError(t, s.Join("early")) // known to the namespace, not connected yet
			lens <- srv.Len()
			return nil
		})
		a := srv.Connect("/", nil)
		srv.Connect("/", nil)
		if first, second := <-lens, <-lens; first != 0 || second != 1 {
			t.Errorf("in the middlewares: %d, %d", first, second)
		}
		if n := srv.Len(); n != 2 {
			t.Errorf("connected: %d", n)
		}
		a.Disconnect()
		synctest.Wait()
		if n := srv.Len(); n != 1 {
			t.Errorf("after one left: %d", n)
		}
	})
}

func TestNamespace_Param_OfPatternNamesThePath(t *testing.T) {
	srv := serve(t, nil)
	teams := srv.OfPattern("/team/{id}/{room}")
	teams.OnConnection(func(s *socketio.Socket) {
		s.Emit("params", s.Namespace().Param("id"), s.Namespace().Param("room"), s.Namespace().Param("none"))
	})
	srv.OfPattern("/any/*").OnConnection(func(s *socketio.Socket) { s.Emit("params", s.Namespace().Param("*")) })
	if got := srv.Connect("/team/7/chat", nil).Expect("params").Args.JSON(0); got != `"7"` {
		t.Errorf("id %s", got)
	}
	if got := srv.Connect("/any/thing", nil).Expect("params").Args.JSON(0); got != `"thing"` {
		t.Errorf("* %s", got)
	}
	if _, err := srv.TryConnect("/team/7", nil, nil); err == nil || !strings.Contains(err.Error(), "Invalid namespace") {
		t.Errorf("one segment too few: %v", err)
	}
	if srv.Param("id") != "" || srv.Of("/team/8/x").Param("id") != "8" {
		t.Error("params of namespaces that no client made")
	}
}

func TestNamespace_OnAnyOutgoing_SeesEmitsAndBroadcasts(t *testing.T) {
	for _, recovery := range []*socketio.Recovery{nil, {}} {
		srv := serve(t, &socketio.Options{Recovery: recovery})
		seen := make(chan string, 10)
		srv.OnAnyOutgoing(func(s *socketio.Socket, event string, args socketio.Args) {
			seen <- s.ID() + " " + event + " " + string(args.JSON(0))
		})
		a, b := srv.Connect("/", nil), srv.Connect("/", nil)
		noError(t, srv.Socket(a.ID).Emit("own", 1))
		noError(t, srv.Emit("all", 2))
		noError(t, srv.Socket(b.ID).EmitAck("asked", func(socketio.Args, error) {}, 3))
		close(seen)
		got := slices.Sorted(func(yield func(string) bool) {
			for s := range seen {
				if !yield(s) {
					return
				}
			}
		})
		want := []string{a.ID + " own 1", a.ID + " all 2", b.ID + " all 2", b.ID + " asked 3"}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("recovery %v: %q", recovery, got)
		}
	}
}

func TestParentNamespace_RegistersAndActsOnAllChildren(t *testing.T) {
	srv := serve(t, nil)
	parent := srv.OfPattern("/p/{x}")
	seen := make(chan string, 10)
	parent.OnAny(func(e *socketio.Event) { seen <- "any " + e.Name() })
	parent.OnAnyOutgoing(func(_ *socketio.Socket, event string, _ socketio.Args) { seen <- "out " + event })
	parent.OnDisconnecting(func(s *socketio.Socket, _ socketio.Reason) { seen <- "leaving " + s.Namespace().Name() })
	a, b := srv.Connect("/p/a", nil), srv.Connect("/p/b", nil)
	a.Emit("hello")
	if got := <-seen; got != "any hello" {
		t.Errorf("OnAny: %s", got)
	}
	noError(t, parent.SocketsJoin(bg, "r", "gone"))
	noError(t, parent.SocketsLeave(bg, "gone"))
	noError(t, parent.To("gone").Emit("wrong"))
	noError(t, parent.In("r").Emit("right"))
	for range 2 {
		if got := <-seen; got != "out right" {
			t.Errorf("OnAnyOutgoing: %s", got)
		}
	}
	noError(t, parent.Send("text"))
	noError(t, parent.Local().Emit("local"))
	noError(t, parent.Volatile().To("nowhere").Emit("wrong"))
	noError(t, parent.Compress(false).Emit("plain"))
	for _, c := range []*sockettest.Client{a, b} {
		for _, event := range []string{"right", "message", "local", "plain"} {
			if m := c.Next(); m.Name != event {
				t.Errorf("got %s, want %s", m.Name, event)
			}
		}
	}
	for range 6 {
		<-seen
	}
	if _, err := parent.FetchSockets(bg); !errors.Is(err, socketio.ErrParent) {
		t.Errorf("FetchSockets: %v", err)
	}
	if _, err := parent.EmitWithAck(bg, "x"); !errors.Is(err, socketio.ErrParent) {
		t.Errorf("EmitWithAck: %v", err)
	}
	noError(t, parent.DisconnectSockets(bg, false))
	a.Disconnected()
	b.Disconnected()
	leaving := []string{<-seen, <-seen}
	slices.Sort(leaving)
	if !slices.Equal(leaving, []string{"leaving /p/a", "leaving /p/b"}) {
		t.Errorf("OnDisconnecting: %v", leaving)
	}
}

func TestFetchSockets_HidesPrivateHandshakeFields(t *testing.T) {
	auth := map[string]string{"token": "secret", "pid": "secret", "name": "ada"}
	header := http.Header{"Authorization": {"Bearer secret"}, "X-Key": {"secret"}}
	fetch := func(o *socketio.Options) *socketio.Handshake {
		srv := serve(t, o)
		c, err := srv.TryConnect("/", auth, &sockettest.DialOptions{Header: header, Query: url.Values{"key": {"secret"}}})
		noError(t, err)
		sockets, err := srv.FetchSockets(bg)
		noError(t, err)
		if own := srv.Socket(c.ID).Handshake(); own.Headers["authorization"] == "" || !bytes.Contains(own.Auth, []byte("token")) {
			t.Error("the socket itself lost its handshake")
		}
		return sockets[0].Handshake()
	}
	h := fetch(nil)
	if string(h.Auth) != `{"name":"ada"}` || h.Headers["authorization"] != "" || h.Headers["x-key"] == "" {
		t.Errorf("by default: %s %v", h.Auth, h.Headers)
	}
	h = fetch(&socketio.Options{PrivateHandshake: []string{"headers.X-Key", "query.key", "auth.name"}})
	if h.Headers["x-key"] != "" || h.Headers["authorization"] == "" || h.Query["key"] != "" || strings.Contains(h.URL, "secret") || strings.Contains(string(h.Auth), "ada") {
		t.Errorf("by choice: %+v %s", h, h.Auth)
	}
	if h = fetch(&socketio.Options{PrivateHandshake: []string{}}); !strings.Contains(string(h.Auth), `"token":"secret"`) {
		t.Errorf("nothing hidden: %s", h.Auth)
	}
}

func TestSocket_OnUpgrade_TellsTheNewTransport(t *testing.T) {
	srv := serve(t, nil)
	// The client upgrades before the functions of OnConnection have run.
	upgraded := make(chan struct{})
	srv.Of("/").Watch(socketio.Watcher{Upgraded: func(*socketio.Socket, string) { close(upgraded) }})
	srv.OnUpgrade(func(s *socketio.Socket, transport string) { s.Emit("namespace", transport) })
	srv.OnConnection(func(s *socketio.Socket) {
		<-upgraded
		s.OnUpgrade(func(transport string) { s.Emit("socket", transport, s.Conn().Transport()) })
	})
	client := srv.Client()
	poll := func(method, sid, body string) string {
		req, err := http.NewRequest(method, "http://memory/socket.io/?EIO=4&transport=polling"+sid, strings.NewReader(body))
		noError(t, err)
		res, err := client.Do(req)
		noError(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		noError(t, err)
		return string(b)
	}
	_, open, _ := strings.Cut(poll("GET", "", ""), `"sid":"`)
	id, _, _ := strings.Cut(open, `"`)
	poll("POST", "&sid="+id, "40")
	poll("GET", "&sid="+id, "")
	ws, _, err := websocket.Dial(bg, "ws://memory/socket.io/?EIO=4&transport=websocket&sid="+id, &websocket.DialOptions{HTTPClient: client})
	noError(t, err)
	defer ws.CloseNow()
	read := func() string {
		_, b, err := ws.Read(bg)
		noError(t, err)
		return string(b)
	}
	noError(t, ws.Write(bg, websocket.MessageText, []byte("2probe")))
	want(t, read(), "3probe")
	noError(t, ws.Write(bg, websocket.MessageText, []byte("5")))
	want(t, read(), `42["namespace","websocket"]`)
	want(t, read(), `42["socket","websocket","websocket"]`)
}

func TestRecovery_SkipMiddlewares_LetsRecoveredSocketsIn(t *testing.T) {
	for _, skip := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{SkipMiddlewares: skip}})
			calls := 0
			srv.Use(func(context.Context, *socketio.Socket) error { calls++; return nil })
			c := srv.Connect("/", nil)
			c.Conn.Close()
			synctest.Wait()
			back := srv.Connect("/", map[string]string{"pid": c.PID})
			if want := map[bool]int{false: 2, true: 1}[skip]; back.ID != c.ID || calls != want {
				t.Errorf("skip %t: %s", skip, fmt.Sprint(back.ID == c.ID, calls))
			}
		})
	}
}
