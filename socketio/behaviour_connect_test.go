package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"posthouse/socketio"
)

// docs/conformance.md behaviours 26 to 29, one by one.

// docs/conformance.md behaviour 26
func TestConnect_AnswerComesBeforeEverything(t *testing.T) {
	srv := serve(t, nil)
	srv.Use(func(ctx context.Context, s *socketio.Socket) error {
		if s.Connected() || srv.Socket(s.ID()) != nil {
			t.Error("reachable in its middleware")
		}
		noError(t, s.Join("room"))
		noError(t, srv.Emit("broadcast in middleware"))
		noError(t, srv.To("room").Emit("broadcast in middleware"))
		noError(t, s.Emit("own in middleware")) // waits for CONNECT
		return nil
	})
	srv.OnConnection(func(s *socketio.Socket) {
		noError(t, s.Emit("own"))
		noError(t, srv.To("room").Emit("broadcast"))
	})
	c := dial(t, srv, nil)
	c.SendText("0")
	if got := c.Text(); !strings.HasPrefix(got, `0{"sid"`) {
		t.Fatalf("first is %s", got)
	}
	want(t, c.Text(), `2["own in middleware"]`)
	want(t, c.Text(), `2["own"]`)
	want(t, c.Text(), `2["broadcast"]`)
}

// docs/conformance.md behaviour 26
func TestConnect_NoBroadcastIsLostAroundTheAnswer(t *testing.T) {
	srv := serve(t, nil)
	stop := make(chan struct{})
	var broadcasts sync.WaitGroup
	broadcasts.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				noError(t, srv.Emit("n", i))
			}
		}
	})
	for range 50 {
		c := dial(t, srv, nil)
		c.SendText("0")
		if got := c.Text(); !strings.HasPrefix(got, `0{"sid"`) {
			t.Fatalf("first is %s", got)
		}
		last := -1
		for range 10 {
			var n int
			_, err := fmt.Sscanf(c.Text(), `2["n",%d]`, &n)
			noError(t, err)
			if last >= 0 && n != last+1 {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
		c.Close()
	}
	close(stop)
	broadcasts.Wait()
}

// docs/conformance.md behaviour 27
func TestConnect_StateErrorEndsAllNamespaces(t *testing.T) {
	srv := serve(t, nil)
	reasons := make(chan string, 2)
	for _, n := range []*socketio.Namespace{srv.Namespace, srv.Of("/chat")} {
		n.OnDisconnect(func(s *socketio.Socket, r socketio.Reason) { reasons <- s.Namespace().Name() + " " + string(r) })
	}
	c := joined(t, srv, nil, "0")
	c.SendText("0/chat,")
	c.Text()
	c.SendText("0/chat,")
	c.Closed()
	got := []string{receive(t, reasons), receive(t, reasons)}
	slices.Sort(got)
	want(t, strings.Join(got, ", "), "/ forced close, /chat forced close")
}

// docs/conformance.md behaviour 27
func TestConnect_AgainBeforeTheAnswerReplacesTheFirst(t *testing.T) {
	srv := serve(t, nil)
	entered := make(chan context.Context, 2)
	proceed := make(chan struct{})
	srv.Use(func(ctx context.Context, s *socketio.Socket) error {
		entered <- ctx
		<-proceed
		return nil
	})
	connections := make(chan string, 2)
	srv.OnConnection(func(s *socketio.Socket) { connections <- string(s.Handshake().Auth) })
	c := dial(t, srv, nil)
	c.SendText(`0{"n":1}`)
	first := receive(t, entered)
	c.SendText(`0{"n":2}`)
	receive(t, entered)
	receive(t, first.Done())
	close(proceed)
	if got := c.Text(); !strings.HasPrefix(got, `0{"sid"`) {
		t.Fatalf("answer %s", got)
	}
	want(t, receive(t, connections), `{"n":2}`)
	noError(t, srv.Emit("one"))
	want(t, c.Text(), `2["one"]`)
	noError(t, srv.Emit("two"))
	want(t, c.Text(), `2["two"]`) // once each: there is one socket
}

// docs/conformance.md behaviour 28
func TestMiddleware_AnswerAfterTheClientLeftLeavesNoRooms(t *testing.T) {
	for _, outcome := range []error{nil, errors.New("late refusal")} {
		srv := serve(t, nil)
		entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
		srv.Use(func(ctx context.Context, s *socketio.Socket) error {
			noError(t, s.Join("a", "b"))
			close(entered)
			<-ctx.Done()
			<-leave
			close(left)
			return outcome
		})
		srv.OnConnection(func(*socketio.Socket) { t.Error("connected after the client left") })
		c := dial(t, srv, nil)
		c.SendText("0")
		receive(t, entered)
		c.Close()
		close(leave)
		receive(t, left)
		noError(t, srv.Shutdown(bg)) // waits for the attempt
		if rooms := srv.LocalAdapter().Rooms(); len(rooms) != 0 {
			t.Errorf("rooms left behind: %v", rooms)
		}
	}
}

// docs/conformance.md behaviour 29. The client polls when the test says so: one that polls by
// itself could be back before the second event.
func TestSocket_Volatile_BinaryPacketIsAllOrNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		sockets := make(chan *socketio.Socket, 1)
		srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
		c := dialPolling(t, srv)
		s := <-sockets
		answers := make(chan string)
		poll := func() {
			go func() { answers <- c.do("GET", "") }()
			synctest.Wait() // the GET waits
		}
		binary := func(event, base64 string) string {
			return `451-["` + event + `",{"_placeholder":true,"num":0}]` + "\x1eb" + base64
		}
		poll()
		noError(t, s.Volatile().Emit("first", []byte{1}))
		noError(t, s.Volatile().Emit("lost", []byte{2}))
		want(t, <-answers, binary("first", "AQ=="))
		noError(t, s.Emit("regular"))
		want(t, c.do("GET", ""), `42["regular"]`)
		poll()
		noError(t, srv.Volatile().Emit("broadcast", []byte{1}))
		noError(t, srv.Volatile().Emit("lost too", []byte{2}))
		want(t, <-answers, binary("broadcast", "AQ=="))
		noError(t, s.Emit("regular"))
		want(t, c.do("GET", ""), `42["regular"]`)
	})
}
