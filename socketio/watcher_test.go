package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// watchDiary writes down what a watcher is told.
type watchDiary struct {
	mu    sync.Mutex
	lines []string
}

func (d *watchDiary) add(format string, args ...any) {
	d.mu.Lock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
	d.mu.Unlock()
}

func (d *watchDiary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *watchDiary) watcher() socketio.Watcher {
	return socketio.Watcher{
		Connected:    func(s *socketio.Socket, rooms []string) { d.add("connected %d", len(rooms)) },
		Disconnected: func(s *socketio.Socket, reason socketio.Reason) { d.add("disconnected %s", reason) },
		Joined: func(room, id string) {
			if room == id {
				room = "own"
			}
			d.add("joined %s", room)
		},
		Left: func(room, id string) {
			if room == id {
				room = "own"
			}
			d.add("left %s", room)
		},
		DataChanged: func(s *socketio.Socket) { d.add("data") },
		Received:    func(e *socketio.Event) { d.add("received %s%s", e.Name(), e.Args()) },
		Sent:        func(_ *socketio.Socket, event string, a socketio.Args) { d.add("sent %s%s", event, a) },
	}
}

func (d *watchDiary) expect(t *testing.T, want ...string) {
	t.Helper()
	testenv.Until(t, sockettest.Wait, fmt.Sprint(want), func() bool { return len(d.read()) >= len(want) })
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestWatch_LifeOfASocket_IsToldInOrder(t *testing.T) {
	srv := serve(t, nil)
	visits := socketio.NewKey[int]("visits")
	secret := socketio.NewPrivateKey[string]("secret")
	srv.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("early") })
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("go", func(e *socketio.Event) {
			_ = s.Join("late")
			visits.Set(s, 1)
			secret.Set(s, "x")
			visits.Delete(s)
			visits.Delete(s)
			srv.To("late").Emit("news", 1)
			_ = e.Ack()
		})
	})
	var d watchDiary
	stop := srv.Watch(d.watcher())
	c := srv.Connect("/", nil)
	c.Call("go", "x")
	c.Disconnect()
	want := []string{"joined early", "joined own", "connected 2", `received go["x"]`, "joined late", "data", "data",
		"sent news[1]", "left late", "left early", "left own", "disconnected client namespace disconnect"}
	d.expect(t, want...)

	stop()
	c = srv.Connect("/", nil)
	c.Call("go", "x")
	d.expect(t, want...)
}

func TestWatch_ConnectedAlready_OnlyTheEndIsTold(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	var d watchDiary
	srv.Watch(d.watcher())
	c.Disconnect()
	d.expect(t, "left own", "disconnected client namespace disconnect")
}

func TestWatch_RefusedSocket_IsNoConnection(t *testing.T) {
	srv := serve(t, nil)
	srv.Use(func(_ context.Context, s *socketio.Socket) error {
		_ = s.Join("early")
		return &socketio.ConnectError{Message: "no"}
	})
	var d watchDiary
	srv.Watch(d.watcher())
	if _, err := srv.TryConnect("/", nil, nil); err == nil {
		t.Fatal("the socket was let in")
	}
	d.expect(t, "joined early", "left early")
}

func TestWatch_PanickingWatcher_TouchesNoSocket(t *testing.T) {
	srv := serve(t, nil)
	srv.OnEvent("ping", func(e *socketio.Event) { _ = e.Ack("pong") })
	srv.Watch(socketio.Watcher{
		Connected: func(*socketio.Socket, []string) { panic("watcher") },
		Received:  func(*socketio.Event) { panic("watcher") },
	})
	if got := srv.Connect("/", nil).Call("ping").String(); got != `["pong"]` {
		t.Errorf("answer %s", got)
	}
}

func TestAfterRoomEvents_EarlierChanges_AreToldBefore(t *testing.T) {
	srv := serve(t, nil)
	srv.Connect("/", nil)
	var d watchDiary
	srv.Watch(d.watcher())
	for s := range srv.Sockets() {
		_ = s.Join("a")
		srv.LocalAdapter().AfterRoomEvents(func() { d.add("barrier") })
		_ = s.Join("b")
	}
	d.expect(t, "joined a", "barrier", "joined b")
}

func TestAddDetail_FetchSockets_DataWithoutIt(t *testing.T) {
	srv := serve(t, nil)
	name := socketio.NewKey[string]("name")
	srv.OnConnection(func(s *socketio.Socket) {
		name.Set(s, "ada")
		_ = s.Emit("ready")
	})
	srv.AddDetail("_x", func(s *socketio.Socket) any { return map[string]string{"id": s.ID()} })
	srv.AddDetail("_y", func(s *socketio.Socket) any { return nil })
	c := srv.Connect("/", nil)
	c.Expect("ready")
	all, err := srv.FetchSockets(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if got, want := string(all[0].Detail("_x")), `{"id":"`+c.ID+`"}`; got != want {
		t.Errorf("detail %s, want %s", got, want)
	}
	if all[0].Detail("_y") != nil || all[0].Detail("_z") != nil {
		t.Error("details without a value")
	}
	if got := string(all[0].Data()); got != `{"name":"ada"}` {
		t.Errorf("data %s", got)
	}
	details, err := srv.LocalAdapter().FetchSockets(t.Context(), socketio.BroadcastOptions{})
	if err != nil || !json.Valid(details[0].Data) || string(details[0].Data) != `{"_x":{"id":"`+c.ID+`"},"name":"ada"}` {
		t.Errorf("told other nodes %s, %v", details[0].Data, err)
	}
}

func TestForgetAuth_Middleware_PasswordIsNotTold(t *testing.T) {
	srv := serve(t, nil)
	srv.Use(func(_ context.Context, s *socketio.Socket) error {
		s.ForgetAuth()
		return nil
	})
	srv.Connect("/", map[string]string{"password": "changeit"})
	all, err := srv.FetchSockets(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if got := string(all[0].Handshake().Auth); got != "{}" {
		t.Errorf("auth %s", got)
	}
}
