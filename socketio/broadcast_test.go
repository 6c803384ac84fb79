package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
	"posthouse/socketio/sockettest"
)

func TestSocketsJoinLeaveFetchAndDisconnect(t *testing.T) {
	srv := serve(t, nil)
	a, b := srv.Connect("/", nil), srv.Connect("/", map[string]string{"name": "t"})
	noError(t, srv.SocketsJoin(bg, "r", "s"))
	noError(t, srv.In(a.ID).SocketsLeave(bg, "r"))
	sockets, err := srv.In("r").FetchSockets(bg)
	noError(t, err)
	if len(sockets) != 1 || sockets[0].ID() != b.ID {
		t.Fatalf("fetched %v", sockets)
	}
	remote := sockets[0]
	if got := remote.Rooms(); !slices.Equal(got, []string{b.ID, "r", "s"}) {
		t.Errorf("rooms %v", got)
	}
	h := remote.Handshake()
	if string(h.Auth) != `{"name":"t"}` || h.Query["EIO"] != "4" || h.Headers["upgrade"] != "websocket" || h.XDomain || h.Secure || h.Issued == 0 {
		t.Errorf("handshake %+v", h)
	}
	noError(t, remote.Emit("direct", 1))
	b.Expect("direct")
	noError(t, remote.Join(bg, "x"))
	noError(t, remote.Leave(bg, "s"))
	if s := srv.Socket(b.ID); !s.InRoom("x") || s.InRoom("s") {
		t.Errorf("rooms %v", s.Rooms())
	}
	noError(t, remote.Disconnect(bg, false))
	b.Disconnected()
	noError(t, srv.DisconnectSockets(bg, true))
	a.Disconnected()
	a.Conn.Closed()
	if _, err := remote.EmitWithAck(bg, "gone"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Errorf("ask a socket that has gone: %v", err)
	}
}

func TestSocketBroadcastsToTheOthers(t *testing.T) {
	srv := serve(t, nil)
	a, b, c := srv.Connect("/", nil), srv.Connect("/", nil), srv.Connect("/", nil)
	noError(t, srv.SocketsJoin(bg, "all"))
	s := srv.Socket(a.ID)
	noError(t, s.Broadcast().Emit("broadcast"))
	noError(t, s.To("all").Emit("to"))
	noError(t, s.In("all").Except(b.ID).Emit("in except"))
	noError(t, s.Except(c.ID).Emit("except"))
	noError(t, s.Local().Emit("local"))
	for _, e := range []string{"broadcast", "to", "except", "local"} {
		want(t, b.Next().Name, e)
	}
	for _, e := range []string{"broadcast", "to", "in except", "local"} {
		want(t, c.Next().Name, e)
	}
	a.Quiet()
}

func TestSendIsTheMessageEvent(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	noError(t, srv.Send(1))
	noError(t, srv.To(c.ID).Send(2))
	noError(t, srv.Socket(c.ID).Send(3))
	for i := range 3 {
		m := c.Expect("message")
		want(t, m.Args.String(), fmt.Sprintf("[%d]", i+1))
	}
}

// spy records what the library asks of its adapter.
type spy struct {
	*socketio.LocalAdapter
	mu  sync.Mutex
	log []string
}

func (s *spy) note(format string, args ...any) {
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
	s.mu.Unlock()
}

func (s *spy) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	s.note("broadcast %s %s %v %v %+v", p.Namespace, p.Data, o.Rooms, o.Except, o.Flags)
	return s.LocalAdapter.Broadcast(ctx, p, o)
}

func (s *spy) ServerSideEmit(_ context.Context, args socketio.Value, withAck bool) ([]socketio.Value, error) {
	s.note("server side %s %d %t", args.JSON, len(args.Attachments), withAck)
	if !withAck {
		return nil, nil
	}
	return []socketio.Value{{JSON: json.RawMessage(`7`)}}, &socketio.PartialError{Op: "serverSideEmit", Expected: 2, Received: 1}
}

func (s *spy) Close() error { s.note("close"); return nil }

func TestAdapterSeesOptionsAsNodeNamesThem(t *testing.T) {
	var main *spy
	srv := serve(t, &socketio.Options{NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		s := &spy{LocalAdapter: l}
		if l.Namespace() == "/" {
			main = s
		}
		return s, nil
	}})
	c := srv.Connect("/", nil)
	noError(t, srv.To("a").In("b").Except("c").Volatile().Compress(false).Local().Timeout(time.Second).Emit("e", 1, []byte{1}))
	noError(t, srv.Socket(c.ID).Broadcast().Emit("x"))
	noError(t, srv.Socket(c.ID).Emit("direct")) // not an adapter's business without recovery
	noError(t, srv.ServerSideEmit("hello", 1, []byte{1}))
	answers, err := srv.ServerSideEmitWithAck(bg, "question")
	var partial *socketio.PartialError
	if !errors.As(err, &partial) || len(answers) != 1 || answers[0].String() != "[7]" {
		t.Errorf("answers %v, %v", answers, err)
	}
	noError(t, srv.Shutdown(bg))
	for i, w := range []string{
		`broadcast / ["e",1,{"_placeholder":true,"num":0}] [a b] [c] {Volatile:true NoCompress:true Local:true Timeout:1s ExpectSingleResponse:false Trace:}`,
		`broadcast / ["x"] [] [` + c.ID + `] {Volatile:false NoCompress:false Local:false Timeout:0s ExpectSingleResponse:false Trace:}`,
		`server side ["hello",1,{"_placeholder":true,"num":0}] 1 false`,
		`server side ["question"] 0 true`,
		`close`,
	} {
		want(t, main.log[i], w)
	}
}

func TestServerSideEventsFromOtherNodes(t *testing.T) {
	srv := serve(t, nil)
	log := make(chan string, 4)
	srv.OnServerSideEmit("hello", func(e *socketio.ServerSideEvent) {
		var n int
		var b []byte
		noError(t, e.Bind(&n, &b))
		log <- fmt.Sprintf("%s%d %v %t", e.Name(), n, b, errors.Is(e.Ack("x"), socketio.ErrNoAck))
	})
	srv.OnServerSideEmit("question", func(e *socketio.ServerSideEvent) {
		noError(t, e.Ack([]byte{9}))
		if err := e.Ack(2); !errors.Is(err, socketio.ErrAcked) {
			t.Errorf("second answer: %v", err)
		}
	})
	srv.OnServerSideEmit("boom", func(*socketio.ServerSideEvent) { panic("in a server side handler") })
	l := srv.LocalAdapter()
	l.DispatchServerSideEmit(socketio.Value{JSON: json.RawMessage(`["boom"]`)}, nil)
	l.DispatchServerSideEmit(socketio.Value{JSON: json.RawMessage(`["nobody listens"]`)}, nil)
	l.DispatchServerSideEmit(socketio.Value{JSON: json.RawMessage(`["connection"]`)}, nil)
	l.DispatchServerSideEmit(socketio.Value{JSON: json.RawMessage(`["hello",1,{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{5}}}, nil)
	want(t, receive(t, log), "hello1 [5] true")
	l.DispatchServerSideEmit(socketio.Value{JSON: json.RawMessage(`["question"]`)}, func(v socketio.Value) {
		log <- fmt.Sprint(string(v.JSON), " ", v.Attachments)
	})
	want(t, receive(t, log), `{"_placeholder":true,"num":0} [[9]]`)
}

func TestAdapterThatCannotBeMade(t *testing.T) {
	broken := errors.New("no redis")
	calls := 0
	o := &socketio.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
			if calls++; l.Namespace() == "/x" {
				return nil, broken
			}
			return l, nil
		}}
	srv := sockettest.NewServer(t, o)
	srv.OfFunc(func(_ context.Context, name string, _ json.RawMessage) bool { return name == "/x" })
	if _, err := srv.TryOf("x"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	_, err := srv.TryConnect("/x", nil, nil)
	var refused *socketio.ConnectError
	if !errors.As(err, &refused) || refused.Message != "connection refused" {
		t.Errorf("got %v", err)
	}
}

func TestAfterFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		c, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: "polling"})
		noError(t, err)
		s := srv.Socket(c.ID)
		noError(t, s.Emit("token", "secret"))
		flushed := make(chan struct{})
		s.AfterFlush(func() { close(flushed) })
		c.Expect("token")
		<-flushed
		s.Disconnect(true)
		c.Disconnected()
	})
}

func TestUpgradeEngineMessagesAreNotNeeded(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	if s.Conn().Transport() != "websocket" || s.Conn().Protocol() != 4 || s.Conn().ID() != c.Conn.SID || s.Namespace().Server() != srv.Server {
		t.Error("conn")
	}
	if srv.Engine().ClientsCount() != 1 {
		t.Errorf("%d clients", srv.Engine().ClientsCount())
	}
	var _ engineio.Handler
	n := 0
	for range srv.Sockets() {
		n++
	}
	if n != 1 || !srv.LocalAdapter().HasSocket(c.ID) || srv.LocalAdapter().HasSocket("x") {
		t.Errorf("%d sockets", n)
	}
}

func TestBytesBelongToTheCallerAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		c, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: "polling"})
		noError(t, err)
		s := srv.Socket(c.ID)
		data := []byte{1}
		noError(t, srv.Emit("broadcast", data))
		noError(t, s.Emit("emit", data))
		noError(t, s.Compress(false).Emit("frames", data))
		data[0] = 9
		for range 3 {
			if m := c.Next(); m.Args.Attachments[0][0] != 1 {
				t.Errorf("%s was changed after it was sent", m.Name)
			}
		}
	})
}
