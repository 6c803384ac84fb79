package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"posthouse/socketio"
)

// docs/conformance.md behaviours 30 to 33, one by one.

// docs/conformance.md behaviour 30
func TestSocket_Emit_ConcurrentBinaryPacketsStayTogether(t *testing.T) {
	srv := serve(t, nil)
	sockets := make(chan *socketio.Socket, 1)
	srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
	c := srv.Connect("/", nil)
	s := receive(t, sockets)
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range each {
				var err error
				if i%2 == 0 {
					err = s.Emit("b", []byte{byte(i), 1}, []byte{byte(i), 2})
				} else {
					err = srv.Emit("b", []byte{byte(i), 1}, []byte{byte(i), 2})
				}
				noError(t, err)
			}
		})
	}
	for range senders * each { // the decoder of the client fails on a foreign frame
		a := c.Next().Args.Attachments
		if len(a) != 2 || a[0][0] != a[1][0] || a[0][1] != 1 || a[1][1] != 2 {
			t.Fatalf("attachments %v", a)
		}
	}
	wg.Wait()
}

// docs/conformance.md behaviour 31
func TestSocket_On_EventsInOrderOneAtATime(t *testing.T) {
	srv := serve(t, nil)
	var running, next int
	done := make(chan struct{})
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("n", func(e *socketio.Event) {
			if running++; running != 1 {
				t.Error("two handlers at a time")
			}
			var n int
			noError(t, e.Bind(&n))
			if n != next {
				t.Errorf("%d instead of %d", n, next)
			}
			next++
			running--
			if n == 999 {
				close(done)
			}
		})
	})
	c := srv.Connect("/", nil)
	for i := range 1000 {
		c.Emit("n", i)
	}
	receive(t, done)
}

// docs/conformance.md behaviour 31
func TestSocket_Disconnect_NothingIsDispatchedAfterwards(t *testing.T) {
	srv := serve(t, nil)
	first, proceed := make(chan struct{}), make(chan struct{})
	disconnected := make(chan struct{})
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("stop", func(*socketio.Event) {
			close(first)
			<-proceed
			s.Disconnect(false)
		})
		s.On("late", func(*socketio.Event) { t.Error("handled after disconnect") })
		s.OnDisconnect(func(socketio.Reason) { close(disconnected) })
	})
	c := srv.Connect("/", nil)
	c.Emit("stop")
	receive(t, first)
	c.Emit("late")
	c.Quiet() // it has arrived
	close(proceed)
	c.Disconnected()
	receive(t, disconnected)
	c.Emit("late") // on its way when the server disconnected: ignored, the connection stays
	c.Quiet()
}

// docs/conformance.md behaviour 31
func TestSocket_On_EventsSentBeforeTheClientLeftAreHandled(t *testing.T) {
	srv := serve(t, nil)
	order := make(chan string, 3)
	proceed := make(chan struct{})
	srv.OnConnection(func(s *socketio.Socket) {
		<-proceed
		s.On("save", func(e *socketio.Event) { order <- "save" })
		s.OnDisconnect(func(r socketio.Reason) { order <- string(r) })
	})
	c := srv.Connect("/", nil)
	c.Emit("save")
	c.Disconnect()
	c.Quiet()
	close(proceed)
	want(t, receive(t, order), "save")
	want(t, receive(t, order), "client namespace disconnect")
}

// docs/conformance.md behaviour 32
func TestSocket_OnDisconnecting_SeesRoomsAndOnDisconnectNone(t *testing.T) {
	srv := serve(t, nil)
	log := make(chan string, 4)
	srv.OnConnection(func(s *socketio.Socket) {
		noError(t, s.Join("a"))
		s.OnDisconnecting(func(socketio.Reason) {
			log <- fmt.Sprint("disconnecting ", len(s.Rooms()), s.InRoom("a"))
			noError(t, srv.To("a").Emit("bye")) // safe, reaches nobody
		})
		s.OnDisconnect(func(socketio.Reason) {
			log <- fmt.Sprint("disconnect ", len(s.Rooms()), s.Connected())
			noError(t, s.Join("b"))
			log <- fmt.Sprint("joined ", len(s.Rooms()), srv.LocalAdapter().HasRoom("b"))
			if err := s.Emit("x"); !errors.Is(err, socketio.ErrDisconnected) {
				t.Errorf("emit: %v", err)
			}
		})
		s.On("leave", func(*socketio.Event) { s.Disconnect(false) })
	})
	c := srv.Connect("/", nil)
	c.Emit("leave")
	want(t, receive(t, log), "disconnecting 2 true")
	want(t, receive(t, log), "disconnect 0 false")
	want(t, receive(t, log), "joined 0 false")
}

// docs/conformance.md behaviour 33
func TestEvent_Ack_OnceWithAnyValues(t *testing.T) {
	srv := serve(t, nil)
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("twice", func(e *socketio.Event) {
			noError(t, e.Ack(1))
			if err := e.Ack(2); !errors.Is(err, socketio.ErrAcked) {
				t.Errorf("second ack: %v", err)
			}
		})
		s.On("none", func(e *socketio.Event) { noError(t, e.Ack()) })
		s.On("values", func(e *socketio.Event) { noError(t, e.Ack(nil, 1.5, "s", []byte{9}, map[string]any{"b": []byte{8}})) })
		s.On("unasked", func(e *socketio.Event) {
			if err := e.Ack(1); !errors.Is(err, socketio.ErrNoAck) || e.WantsAck() {
				t.Errorf("unasked ack: %v", err)
			}
		})
		s.On("later", func(e *socketio.Event) { go func() { noError(t, e.Ack("later")) }() })
		s.On("unencodable", func(e *socketio.Event) {
			if e.Ack(func() {}) == nil {
				t.Error("a func was encoded")
			}
			noError(t, e.Ack("fine")) // the client still waits
		})
	})
	c := srv.Connect("/", nil)
	want(t, c.Call("twice").String(), "[1]")
	want(t, c.Call("none").String(), "[]")
	want(t, c.Call("values").String(), `[null,1.5,"s",{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]`)
	c.Emit("unasked")
	want(t, c.Call("later").String(), `["later"]`)
	want(t, c.Call("unencodable").String(), `["fine"]`)
	c.Quiet()
}

// docs/conformance.md behaviour 33
func TestSocket_EmitWithAck_AnswerTimeoutAndDisconnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		sockets := make(chan *socketio.Socket, 1)
		srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
		c := srv.Connect("/", nil)
		s := <-sockets
		type result struct {
			args socketio.Args
			err  error
		}
		ask := func(f func() (socketio.Args, error)) <-chan result {
			r := make(chan result, 1)
			go func() { a, err := f(); r <- result{a, err} }()
			return r
		}
		r := ask(func() (socketio.Args, error) { return s.EmitWithAck(bg, "q", 1) })
		c.Expect("q").Ack(5, map[string]any{"bin": []byte{1}})
		got := <-r
		noError(t, got.err)
		var n int
		var o struct{ Bin []byte }
		noError(t, got.args.Bind(&n, &o))
		if n != 5 || string(o.Bin) != "\x01" {
			t.Errorf("answer %d %v", n, o)
		}

		r = ask(func() (socketio.Args, error) { return s.Timeout(time.Second).EmitWithAck(bg, "late") })
		late := c.Expect("late")
		got = <-r
		if !errors.Is(got.err, socketio.ErrTimeout) || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("error %v", got.err)
		}
		late.Ack("too late") // ignored
		c.Quiet()

		called := make(chan string, 2)
		noError(t, s.EmitAck("call", func(a socketio.Args, err error) { called <- fmt.Sprint(a, err) }))
		m := c.Expect("call")
		m.Ack("x")
		m.Ack("y") // once only
		want(t, <-called, `["x"] <nil>`)
		noError(t, s.Timeout(time.Minute).EmitAck("call", func(a socketio.Args, err error) { called <- fmt.Sprint(a, err) }))
		want(t, <-called, `[] socketio: operation has timed out`)

		r = ask(func() (socketio.Args, error) { return s.EmitWithAck(bg, "gone") })
		c.Expect("gone")
		c.Close()
		if got = <-r; !errors.Is(got.err, socketio.ErrDisconnected) {
			t.Errorf("error %v", got.err)
		}
		if _, err := s.EmitWithAck(bg, "gone"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("error %v", err)
		}
	})
}
