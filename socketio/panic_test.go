package socketio_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/sockettest"
)

// ended reads until the connection ends and returns what came. None of it may be a
// DISCONNECT or a CONNECT_ERROR: socket.io-client stays away after those.
func ended(t *testing.T, c *sockettest.Conn) []string {
	t.Helper()
	wait, cancel := context.WithTimeout(bg, sockettest.Wait)
	defer cancel()
	var got []string
	for {
		m, err := c.Next(wait)
		if wait.Err() != nil {
			t.Fatalf("the connection goes on; it got %q", got)
		}
		if err != nil {
			return got
		}
		if text := string(m.Data); text != "" && (text[0] == '1' || text[0] == '4') {
			t.Errorf("got %s before the end", text)
		}
		got = append(got, string(m.Data))
	}
}

// A panic, wherever the application has it, ends the connection it happened on
// without a packet, is logged with its stack, and hurts no other connection.
func TestHandler_PanicEndsTheConnectionSoThatClientsReconnect(t *testing.T) {
	boom := func() { panic("boom") }
	for name, tc := range map[string]struct {
		set  func(*sockettest.Server)
		send []string // after joining "/" and "/fine"
	}{
		"Socket.On": {func(srv *sockettest.Server) {
			srv.OnConnection(func(s *socketio.Socket) { s.On("e", func(*socketio.Event) { boom() }) })
		}, []string{`2["e"]`}},
		"Namespace.OnEvent": {func(srv *sockettest.Server) {
			srv.OnEvent("e", func(*socketio.Event) { boom() })
		}, []string{`2["e"]`}},
		"Handle": {func(srv *sockettest.Server) {
			socketio.Handle(srv, "e", func(ctx, int) (int, error) { boom(); return 0, nil })
		}, []string{`21["e",1]`}},
		"OnAny": {func(srv *sockettest.Server) {
			srv.OnConnection(func(s *socketio.Socket) { s.OnAny(func(*socketio.Event) { boom() }) })
		}, []string{`2["e"]`}},
		"Socket.Use": {func(srv *sockettest.Server) {
			srv.OnConnection(func(s *socketio.Socket) { s.Use(func(*socketio.Event) error { boom(); return nil }) })
		}, []string{`2["e"]`}},
		"OnError": {func(srv *sockettest.Server) {
			srv.OnConnection(func(s *socketio.Socket) {
				s.Use(func(*socketio.Event) error { return socketio.ErrArgs })
				s.OnError(func(error) { boom() })
			})
		}, []string{`2["e"]`}},
		"OnConnection": {func(srv *sockettest.Server) {
			srv.Of("/x").OnConnection(func(*socketio.Socket) { boom() })
		}, []string{"0/x"}},
		"Namespace.Use": {func(srv *sockettest.Server) {
			srv.Of("/x").Use(func(ctx, *socketio.Socket) error { boom(); return nil })
		}, []string{"0/x"}},
		"OfFunc": {func(srv *sockettest.Server) {
			srv.OfFunc(func(ctx, string, json.RawMessage) bool { boom(); return true })
		}, []string{"0/x"}},
		"OnNamespace": {func(srv *sockettest.Server) {
			srv.OfFunc(func(ctx, string, json.RawMessage) bool { return true })
			srv.OnNamespace(func(*socketio.Namespace) { boom() })
		}, []string{"0/x"}},
		"EmitAck": {func(srv *sockettest.Server) {
			srv.OnEvent("e", func(e *socketio.Event) {
				noError(t, e.Socket().EmitAck("q", func(socketio.Args, error) { boom() }))
			})
		}, []string{`2["e"]`, `30[]`}},
		"OnAnyOutgoing": {func(srv *sockettest.Server) {
			srv.OnEvent("e", func(e *socketio.Event) {
				e.Socket().OnAnyOutgoing(func(string, socketio.Args) { boom() })
				_ = e.Socket().Emit("out")
			})
		}, []string{`2["e"]`}},
		"OnAnyOutgoing of a broadcast": {func(srv *sockettest.Server) {
			srv.OnEvent("e", func(e *socketio.Event) {
				e.Socket().OnAnyOutgoing(func(string, socketio.Args) { boom() })
				_ = srv.To(e.Socket().ID()).Emit("out")
			})
		}, []string{`2["e"]`}},
		"AfterFlush": {func(srv *sockettest.Server) {
			srv.OnEvent("e", func(e *socketio.Event) { e.Socket().AfterFlush(boom) })
		}, []string{`2["e"]`}},
		"OnDisconnecting": {func(srv *sockettest.Server) {
			srv.OnConnection(func(s *socketio.Socket) { s.OnDisconnecting(func(socketio.Reason) { boom() }) })
		}, []string{"1"}},
		"OnDisconnect of the namespace": {func(srv *sockettest.Server) {
			srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { boom() })
		}, []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, transport := range []string{"websocket", "polling"} {
				var log testenv.Buffer
				srv := serve(t, &socketio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				reasons := make(chan socketio.Reason, 4)
				srv.Of("/fine").OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
				srv.Of("/fine").OnEvent("ping", func(e *socketio.Event) { noError(t, e.Ack()) })
				tc.set(srv)
				other := srv.Connect("/fine", nil)
				c := joined(t, srv, &sockettest.DialOptions{Transport: transport}, "0/fine")
				if tc.send[0] != "0/x" {
					c.SendText("0")
					c.Text()
				}
				for _, text := range tc.send {
					if strings.HasPrefix(text, "3") {
						c.Text() // the question that it answers
					}
					if c.Send(engineio.Message{Data: []byte(text)}) != nil {
						break
					}
				}
				ended(t, c)
				if r := receive(t, reasons); r != socketio.ReasonServerClose {
					t.Errorf("%s: another namespace of the connection: %s", transport, r)
				}
				other.Call("ping")
				if text := log.String(); strings.Count(text, "panic=boom") != 1 || !strings.Contains(text, "panic_test.go") {
					t.Errorf("%s: the log has %s", transport, text)
				}
			}
		})
	}
}

// Events sent before the panic still arrive, and those of the client behind the event
// that panicked are not handled.
func TestHandler_PanicKeepsWhatWasSentAndDropsWhatIsQueued(t *testing.T) {
	srv := serve(t, nil)
	handled := make(chan string, 8)
	srv.OnEvent("e", func(e *socketio.Event) {
		var text string
		noError(t, e.Bind(&text))
		handled <- text
		_ = e.Ack(text)
		if text == "second" {
			panic(text)
		}
	})
	done := make(chan socketio.Reason, 1)
	srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { done <- r; panic("again") })
	c := joined(t, srv, nil, "0")
	for _, text := range []string{`21["e","first"]`, `22["e","second"]`, `23["e","third"]`} {
		if c.Send(engineio.Message{Data: []byte(text)}) != nil {
			break
		}
	}
	want(t, strings.Join(ended(t, c), " "), `31["first"] 32["second"]`)
	want(t, string(receive(t, done)), string(socketio.ReasonServerClose))
	close(handled)
	var all []string
	for text := range handled {
		all = append(all, text)
	}
	want(t, strings.Join(all, " "), "first second")
}

// A namespace whose making panicked is not left half made: the next CONNECT tries
// again instead of waiting for it.
func TestOnNamespace_PanicLeavesNoUnfinishedNamespace(t *testing.T) {
	srv := serve(t, nil)
	srv.OfFunc(func(ctx, string, json.RawMessage) bool { return true })
	first := true
	srv.OnNamespace(func(*socketio.Namespace) {
		if first {
			first = false
			panic("boom")
		}
	})
	c := dial(t, srv, nil)
	c.SendText("0/x")
	ended(t, c)
	srv.Connect("/x", nil)
	if _, err := srv.TryOf("/y"); err != nil {
		t.Error(err)
	}
}

// Functions that belong to no connection: their panic ends in the log.
func TestRoomHooks_PanicEndsInTheLog(t *testing.T) {
	var log testenv.Buffer
	srv := serve(t, &socketio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	srv.LocalAdapter().OnRooms(socketio.RoomHooks{Join: func(string, string) { panic("boom") }})
	srv.OnEvent("ping", func(e *socketio.Event) { noError(t, e.Ack()) })
	srv.Connect("/", nil).Call("ping")
	if text := log.String(); strings.Count(text, "panic=boom") != 1 || !strings.Contains(text, "stack=") {
		t.Errorf("the log has %s", text)
	}
}

// A session whose handler panicked is not recovered: its state is not to be trusted.
func TestHandler_PanicIsNotRecovered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		srv.OnEvent("boom", func(*socketio.Event) { panic("boom") })
		c := srv.Connect("/", nil)
		noError(t, srv.Emit("x"))
		var offset string
		noError(t, c.Expect("x").Args.Bind(0, &offset))
		c.Emit("boom")
		ended(t, c.Conn)
		if back := srv.Connect("/", map[string]string{"pid": c.PID, "offset": offset}); back.ID == c.ID {
			t.Error("recovered")
		}
	})
}

// A client that makes handlers panic again and again does not flood the log.
func TestHandler_PanicsAreLoggedAtABoundedRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log testenv.Buffer
		srv := serve(t, &socketio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		srv.OnEvent("boom", func(*socketio.Event) { panic("boom") })
		for range 50 {
			c := srv.Connect("/", nil)
			c.Emit("boom")
			ended(t, c.Conn)
		}
		if n := strings.Count(log.String(), "panic=boom"); n != 10 {
			t.Errorf("%d lines", n)
		}
	})
}
