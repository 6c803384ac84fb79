package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// docs/conformance.md behaviours 37 to 39, one by one.

// docs/conformance.md behaviour 37
func TestParentNamespace_ConcurrentConnectsMakeOneChild(t *testing.T) {
	srv := serve(t, nil)
	var mu sync.Mutex
	made := 0
	srv.OnNamespace(func(n *socketio.Namespace) {
		mu.Lock()
		defer mu.Unlock()
		made++
	})
	srv.OfRegexp(regexp.MustCompile(`^/room-\d+$`))
	var conns []*sockettest.Conn
	for range 20 {
		conns = append(conns, dial(t, srv, nil))
	}
	for _, c := range conns {
		c.SendText("0/room-1")
	}
	for _, c := range conns {
		if got := c.Text(); !strings.HasPrefix(got, `0/room-1,{"sid"`) {
			t.Fatalf("answer %s", got)
		}
	}
	if made != 1 {
		t.Errorf("%d children", made)
	}
}

// docs/conformance.md behaviour 37
func TestParentNamespace_EmptyChildrenAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		parent := srv.OfFunc(func(_ context.Context, name string, auth json.RawMessage) bool {
			return strings.HasPrefix(name, "/dyn")
		})
		refuse := false
		parent.Use(func(ctx context.Context, s *socketio.Socket) error {
			if refuse {
				return &socketio.ConnectError{Message: "no"}
			}
			return nil
		})
		count := func() int { synctest.Wait(); return len(parent.Namespaces()) }
		refuse = true
		if _, err := srv.TryConnect("/dyn-1", nil, nil); err == nil {
			t.Error("not refused")
		}
		if n := count(); n != 0 {
			t.Errorf("%d children after a refusal", n)
		}
		refuse = false
		inside := srv.Connect("/dyn-1", nil)
		refuse = true
		if _, err := srv.TryConnect("/dyn-1", nil, nil); err == nil {
			t.Error("not refused")
		}
		if n := count(); n != 1 {
			t.Errorf("%d children while a socket is inside", n)
		}
		noError(t, parent.Emit("to all children"))
		inside.Expect("to all children")
		inside.Disconnect()
		if n := count(); n != 0 {
			t.Errorf("%d children when empty", n)
		}
		refuse = false
		again := srv.Connect("/dyn-1", nil)
		noError(t, srv.Of("/dyn-1").Emit("again"))
		again.Expect("again")
		if _, err := parent.To("x").FetchSockets(bg); !errors.Is(err, socketio.ErrParent) {
			t.Errorf("fetch: %v", err)
		}
	})
}

// docs/conformance.md behaviour 38
func TestRecovery_MissedPacketsThenConnectWithTheSameSocket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		key := socketio.NewKey[string]("name")
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		srv.Use(func(context.Context, *socketio.Socket) error { calls++; return nil })
		sockets := make(chan *socketio.Socket, 1)
		srv.OnConnection(func(s *socketio.Socket) { sockets <- s })

		c := dial(t, srv, nil)
		c.SendText("0")
		var open struct{ SID, PID string }
		noError(t, json.Unmarshal([]byte(c.Text()[1:]), &open))
		s := <-sockets
		if len(open.PID) != 20 || open.PID == open.SID || s.Recovered() {
			t.Fatalf("answer %v", open)
		}
		noError(t, s.Join("room"))
		key.Set(s, "ada")
		noError(t, s.Emit("first", 1))
		var event []any
		noError(t, json.Unmarshal([]byte(c.Text()[1:]), &event))
		offset := event[2].(string)
		synctest.Wait() // the connection is writable again
		noError(t, s.Volatile().Emit("volatile"))
		want(t, c.Text(), `2["volatile"]`) // no offset
		noError(t, s.EmitAck("acked", func(socketio.Args, error) {}))
		want(t, c.Text(), `20["acked"]`) // no offset
		c.Close()
		synctest.Wait()

		noError(t, srv.To("room").Emit("missed", 1, []byte{7}))
		noError(t, srv.To("other").Emit("not for it"))
		noError(t, srv.Volatile().Emit("volatile"))
		noError(t, srv.To("room").Emit("missed", 2))

		c = dial(t, srv, nil)
		c.SendText(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, open.PID, offset))
		first := c.Text()
		if !strings.HasPrefix(first, `51-["missed",1,{"_placeholder":true,"num":0},"`) {
			t.Errorf("first missed %s", first)
		}
		m, err := c.Next(bg)
		noError(t, err)
		if !m.Binary || string(m.Data) != "\x07" {
			t.Errorf("attachment %x", m.Data)
		}
		second := c.Text()
		if !strings.HasPrefix(second, `2["missed",2,"`) {
			t.Errorf("second missed %s", second)
		}
		want(t, c.Text(), fmt.Sprintf(`0{"sid":%q,"pid":%q}`, open.SID, open.PID))
		s = <-sockets
		name, ok := key.Of(s)
		if !s.Recovered() || s.ID() != open.SID || !s.InRoom("room") || !ok || name != "ada" || calls != 2 {
			t.Errorf("recovered %t, %s, rooms %v, data %s, middleware calls %d", s.Recovered(), s.ID(), s.Rooms(), name, calls)
		}
		noError(t, srv.To("room").Emit("live"))
		if got := c.Text(); !strings.HasPrefix(got, `2["live","`) {
			t.Errorf("live %s", got)
		}

		// Too late.
		c.Close()
		time.Sleep(2*time.Minute + time.Second)
		c = dial(t, srv, nil)
		c.SendText(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, open.PID, offset))
		if got := c.Text(); strings.Contains(got, open.SID) {
			t.Errorf("too late: %s", got)
		}
	})
}

// docs/conformance.md behaviour 38
func TestRecovery_OnlyLostConnectionsComeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{}})
		calls := 0
		srv.Use(func(context.Context, *socketio.Socket) error { calls++; return nil })
		for _, test := range []struct {
			name      string
			leave     func(c *sockettest.Conn)
			recovered bool
		}{
			{"connection lost", func(c *sockettest.Conn) { c.Close() }, true},
			{"client disconnects", func(c *sockettest.Conn) { c.SendText("1") }, false},
			{"server disconnects", func(*sockettest.Conn) { noError(t, srv.DisconnectSockets(bg, false)) }, false},
		} {
			calls = 0
			c := dial(t, srv, nil)
			c.SendText("0")
			var open struct{ SID, PID string }
			noError(t, json.Unmarshal([]byte(c.Text()[1:]), &open))
			noError(t, srv.Emit("x"))
			var event []string
			noError(t, json.Unmarshal([]byte(c.Text()[1:]), &event))
			test.leave(c)
			synctest.Wait()
			c = dial(t, srv, nil)
			c.SendText(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, open.PID, event[1]))
			if got := strings.Contains(c.Text(), open.SID); got != test.recovered {
				t.Errorf("%s: recovered %t", test.name, got)
			}
			if calls != 2 {
				t.Errorf("%s: middlewares ran %d times", test.name, calls)
			}
			c.Close()
			synctest.Wait()
		}
	})
}

// docs/conformance.md behaviour 39
func TestSocket_Disconnect_WithTheConnectionEndsAllNamespaces(t *testing.T) {
	srv := serve(t, nil)
	var mu sync.Mutex
	var reasons []string
	sockets := make(chan *socketio.Socket, 2)
	for _, n := range []*socketio.Namespace{srv.Namespace, srv.Of("/chat")} {
		n.OnConnection(func(s *socketio.Socket) { sockets <- s })
		n.OnDisconnect(func(s *socketio.Socket, r socketio.Reason) {
			mu.Lock()
			defer mu.Unlock()
			reasons = append(reasons, s.Namespace().Name()+" "+string(r))
		})
	}
	c := joined(t, srv, nil, "0")
	s := receive(t, sockets)
	c.SendText("0/chat,")
	c.Text()
	receive(t, sockets)
	noError(t, s.Emit("last word"))
	s.Disconnect(true)
	want(t, c.Text(), `2["last word"]`)
	want(t, c.Text(), "1")
	want(t, c.Text(), "1/chat,")
	c.Closed()
	noError(t, srv.Shutdown(bg))
	slices.Sort(reasons)
	want(t, strings.Join(reasons, ", "), "/ server namespace disconnect, /chat server namespace disconnect")
}

// docs/conformance.md behaviour 39
func TestServer_Shutdown_TellsEverySocketOnce(t *testing.T) {
	srv := serve(t, nil)
	reasons := make(chan socketio.Reason, 4)
	entered := make(chan struct{})
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("wait", func(e *socketio.Event) {
			close(entered)
			<-e.Context().Done() // ends with the socket: the handler lets go
			var end *socketio.DisconnectError
			if !errors.As(context.Cause(e.Context()), &end) || end.Reason != socketio.ReasonServerShutdown {
				t.Errorf("cause %v", context.Cause(e.Context()))
			}
		})
	})
	srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
	c := srv.Connect("/", nil)
	c.Emit("wait")
	receive(t, entered)
	noError(t, srv.Shutdown(bg))
	noError(t, srv.Shutdown(bg)) // twice is harmless
	want(t, string(receive(t, reasons)), "server shutting down")
	if len(reasons) != 0 {
		t.Error("told twice")
	}
	c.Conn.Closed()
	if _, err := srv.Dial(nil); err == nil {
		t.Error("new client after Shutdown")
	}
}

// docs/conformance.md behaviour 39
func TestSocket_Disconnect_InAMiddlewareRefuses(t *testing.T) {
	srv := serve(t, nil)
	srv.Use(func(_ context.Context, s *socketio.Socket) error {
		s.Disconnect(false)
		return nil
	})
	srv.OnConnection(func(*socketio.Socket) { t.Error("connected") })
	c := dial(t, srv, nil)
	c.SendText("0")
	want(t, c.Text(), `4{"message":"connection refused"}`)
}

func TestServer_Drain_SpreadsTheDisconnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			want(t, string(r), "server shutting down")
		})
		for range 5 {
			srv.Connect("/", nil)
		}
		noError(t, srv.Drain(bg, 10*time.Second))
		synctest.Wait()
		want(t, fmt.Sprint(at), "[0s 2s 4s 6s 8s]")
		if _, err := srv.Dial(nil); err == nil {
			t.Error("new client while draining")
		}
	})
}
