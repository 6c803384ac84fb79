package socketio_test

import (
	"errors"
	"testing"

	"posthouse/socketio"
)

// The order is that of socket.on, once, off, onAny, prependAny, use, onAnyOutgoing in Node.
func TestListenersRunInTheOrderOfNode(t *testing.T) {
	srv := serve(t, nil)
	log := make(chan string, 32)
	srv.OnAny(func(e *socketio.Event) { log <- "namespace any" })
	srv.OnEvent("e", func(*socketio.Event) { log <- "namespace on" })
	srv.OnConnection(func(s *socketio.Socket) {
		s.OnAny(func(e *socketio.Event) { log <- "any " + e.Name() })
		s.PrependAny(func(*socketio.Event) { log <- "prepended" })
		s.Use(func(e *socketio.Event) error {
			log <- "use"
			if e.Name() == "refused" {
				return errors.New("not today")
			}
			return e.SetArgs("altered", []byte{1})
		})
		s.OnError(func(err error) { log <- "error " + err.Error() })
		s.On("e", func(e *socketio.Event) { log <- "on " + e.Args().String() })
		s.Once("e", func(*socketio.Event) { log <- "once" })
		s.On("refused", func(*socketio.Event) { log <- "must not run" })
	})
	c := srv.Connect("/", nil)
	c.Emit("e", 1)
	for _, w := range []string{"namespace any", "prepended", "any e", "use", "namespace on",
		`on ["altered",{"_placeholder":true,"num":0}]`, "once"} {
		want(t, receive(t, log), w)
	}
	c.Emit("refused")
	for _, w := range []string{"namespace any", "prepended", "any refused", "use", "error not today"} {
		want(t, receive(t, log), w)
	}
	c.Emit("e", 1)
	for _, w := range []string{"namespace any", "prepended", "any e", "use", "namespace on",
		`on ["altered",{"_placeholder":true,"num":0}]`} { // no once
		want(t, receive(t, log), w)
	}
}

func TestListenersCanBeRemoved(t *testing.T) {
	srv := serve(t, nil)
	log := make(chan string, 8)
	srv.OnConnection(func(s *socketio.Socket) {
		a := s.On("e", func(*socketio.Event) { log <- "a" })
		s.On("e", func(*socketio.Event) { log <- "b" })
		anyone := s.OnAny(func(*socketio.Event) { log <- "any" })
		out := s.OnAnyOutgoing(func(string, socketio.Args) { log <- "out" })
		s.On("off", func(*socketio.Event) { a.Off(); a.Off(); anyone.Off(); out.Off() })
		s.On("all off", func(*socketio.Event) { s.Off("e") })
		s.On("done", func(e *socketio.Event) { noError(t, e.Ack()) })
	})
	c := srv.Connect("/", nil)
	c.Emit("e")
	c.Emit("off")
	c.Emit("e")
	c.Emit("all off")
	c.Emit("e")
	c.Call("done")
	noError(t, srv.Emit("outgoing"))
	c.Expect("outgoing")
	for _, w := range []string{"any", "a", "b", "any", "b"} {
		want(t, receive(t, log), w)
	}
	if len(log) != 0 {
		t.Errorf("removed listener was called: %s", <-log)
	}
}

func TestOutgoingListenersSeeEmitsAndBroadcastsButNoAcks(t *testing.T) {
	srv := serve(t, nil)
	log := make(chan string, 8)
	srv.OnConnection(func(s *socketio.Socket) {
		s.OnAnyOutgoing(func(event string, args socketio.Args) { log <- event + args.String() })
		s.PrependAnyOutgoing(func(event string, args socketio.Args) { log <- "first" })
		s.On("ack me", func(e *socketio.Event) { noError(t, e.Ack(1)) })
	})
	c := srv.Connect("/", nil)
	c.Call("ack me")
	noError(t, srv.Emit("broadcast", 1))
	want(t, receive(t, log), "first")
	want(t, receive(t, log), "broadcast[1]")
	noError(t, srv.Socket(c.ID).Emit("own", "x"))
	want(t, receive(t, log), "first")
	want(t, receive(t, log), `own["x"]`)
}

func TestReservedNamesAreRefused(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if err := s.Emit(name); !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("socket emits %s: %v", name, err)
		}
		if err := srv.Emit(name); !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("server emits %s: %v", name, err)
		}
	}
	noError(t, s.Emit("error"))
	c.Expect("error")
	for _, name := range []string{"connect", "connection", "new_namespace"} {
		if err := srv.ServerSideEmit(name); !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("server side %s: %v", name, err)
		}
	}
}

// TestOnErrorIsForDecoding: a packet that cannot be read is told to the sockets of
// the connection, one that only comes at the wrong time is not (docs/protocol.md §3.2).
func TestOnErrorIsForDecoding(t *testing.T) {
	for packet, wanted := range map[string][]string{
		"4x": {"error", "forced close"}, `2["e"`: {"error", "forced close"},
		"0": {"forced close"}, `2/other,["e"]`: {"forced close"}, `4{"message":"x"}`: {"forced close"},
	} {
		srv := serve(t, nil)
		log := make(chan string, 8)
		srv.OnConnection(func(s *socketio.Socket) {
			s.OnError(func(error) { log <- "error" })
			s.OnDisconnect(func(r socketio.Reason) { log <- string(r) })
		})
		c := joined(t, srv, nil, "0")
		c.SendText(packet)
		for _, w := range wanted {
			if got := receive(t, log); got != w {
				t.Errorf("%s: got %s, want %s", packet, got, w)
			}
		}
	}
}
