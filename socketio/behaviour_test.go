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

// The behaviours 26 to 39 of the conformance notes, one by one.

func TestBehaviour26ConnectAnswerComesFirst(t *testing.T) {
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

func TestBehaviour26NothingIsLostAroundConnect(t *testing.T) {
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

func TestBehaviour27StateErrorsEndAllNamespaces(t *testing.T) {
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

func TestBehaviour27ConnectAgainBeforeTheAnswer(t *testing.T) {
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

func TestBehaviour28LateMiddleware(t *testing.T) {
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
		if rooms := srv.Rooms().Rooms(); len(rooms) != 0 {
			t.Errorf("rooms left behind: %v", rooms)
		}
	}
}

func TestBehaviour29VolatileIsAllOrNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		sockets := make(chan *socketio.Socket, 1)
		srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
		c, err := srv.TryConnect("/", nil, &sockettest.DialOptions{Transport: "polling"})
		noError(t, err)
		s := <-sockets
		synctest.Wait() // the client's GET waits
		noError(t, s.Volatile().Emit("first", []byte{1}))
		noError(t, s.Volatile().Emit("second", []byte{2}))
		noError(t, s.Emit("regular"))
		want(t, c.Next().Name, "first")
		want(t, c.Next().Name, "regular")
		synctest.Wait()
		noError(t, srv.Volatile().Emit("broadcast", []byte{1}))
		noError(t, srv.Volatile().Emit("broadcast lost", []byte{2}))
		want(t, c.Next().Name, "broadcast")
		c.Quiet()
	})
}

func TestBehaviour30BinaryPacketsStayTogether(t *testing.T) {
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

func TestBehaviour31EventsOfASocketAreHandledInOrderAndOneAtATime(t *testing.T) {
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

func TestBehaviour31NothingIsDispatchedAfterDisconnect(t *testing.T) {
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

func TestBehaviour31WhatTheClientSentBeforeItLeftIsHandled(t *testing.T) {
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

func TestBehaviour32RoomsWhileAndAfterDisconnecting(t *testing.T) {
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
			log <- fmt.Sprint("joined ", len(s.Rooms()), srv.Rooms().HasRoom("b"))
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

func TestBehaviour33AckOfTheClientsEvent(t *testing.T) {
	srv := serve(t, nil)
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("twice", func(e *socketio.Event) {
			noError(t, e.Ack(1))
			if err := e.Ack(2); err != socketio.ErrAcked {
				t.Errorf("second ack: %v", err)
			}
		})
		s.On("none", func(e *socketio.Event) { noError(t, e.Ack()) })
		s.On("values", func(e *socketio.Event) { noError(t, e.Ack(nil, 1.5, "s", []byte{9}, map[string]any{"b": []byte{8}})) })
		s.On("unasked", func(e *socketio.Event) {
			if err := e.Ack(1); err != socketio.ErrNoAck || e.WantsAck() {
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

func TestBehaviour33AckOfTheServersEvent(t *testing.T) {
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
		if got.err != socketio.ErrTimeout || !errors.Is(got.err, context.DeadlineExceeded) {
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

func TestBehaviour34BroadcastAcks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		answers, err := srv.Timeout(time.Second).EmitWithAck(bg, "q")
		noError(t, err) // nobody: complete at once
		if len(answers) != 0 {
			t.Errorf("answers %v", answers)
		}
		a, b := srv.Connect("/", nil), srv.Connect("/", nil)
		type result struct {
			args []socketio.Args
			err  error
		}
		r := make(chan result, 1)
		ask := func() {
			args, err := srv.Timeout(time.Second).EmitWithAck(bg, "q", 7)
			r <- result{args, err}
		}
		go ask()
		a.Expect("q").Ack("a", "second is dropped")
		b.Expect("q").Ack([]byte{1}, []byte{2})
		got := <-r
		noError(t, got.err)
		all := fmt.Sprint(got.args)
		if len(got.args) != 2 || !strings.Contains(all, `["a"]`) || !strings.Contains(all, `[{"_placeholder":true,"num":0}]`) {
			t.Errorf("answers %s", all)
		}
		go ask()
		a.Expect("q").Ack("only")
		b.Expect("q")
		got = <-r
		var partial *socketio.PartialError
		if !errors.As(got.err, &partial) || partial.Expected != 2 || partial.Received != 1 || !errors.Is(got.err, socketio.ErrTimeout) {
			t.Errorf("error %v", got.err)
		}
		want(t, fmt.Sprint(got.args), `[["only"]]`)

		remote, err := srv.In(a.ID).FetchSockets(bg)
		noError(t, err)
		single := make(chan string, 1)
		go func() {
			v, err := socketio.Call[int](bg, remote[0].Timeout(time.Second), "one")
			single <- fmt.Sprint(v, err)
		}()
		a.Expect("one").Ack(42)
		want(t, <-single, "42 <nil>")
		all2, err := socketio.CallAll[int](bg, srv.To("nobody"), "x")
		noError(t, err)
		if len(all2) != 0 {
			t.Errorf("answers %v", all2)
		}
	})
}

func TestBehaviour35OperatorsAreValues(t *testing.T) {
	srv := serve(t, nil)
	sockets := make(chan *socketio.Socket, 3)
	srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
	var clients []*sockettest.Client
	for _, room := range []string{"a", "b", "c"} {
		clients = append(clients, srv.Connect("/", nil))
		noError(t, receive(t, sockets).Join(room))
	}
	base := srv.To("a")
	ab := base.To("b")
	ac := base.To("c")
	base.Except("a")
	base.Volatile()
	noError(t, base.Emit("base"))
	noError(t, ab.Emit("ab"))
	noError(t, ac.Emit("ac"))
	for i, events := range [][]string{{"base", "ab", "ac"}, {"ab"}, {"ac"}} {
		for _, e := range events {
			want(t, clients[i].Next().Name, e)
		}
		clients[i].Quiet()
	}
}

func TestBehaviour36ExceptAndNoDuplicates(t *testing.T) {
	srv := serve(t, nil)
	sockets := make(chan *socketio.Socket, 4)
	srv.OnConnection(func(s *socketio.Socket) { sockets <- s })
	var clients []*sockettest.Client
	for _, rooms := range [][]string{{"x", "y"}, {"x"}, {"y", "muted"}, {}} {
		clients = append(clients, srv.Connect("/", nil))
		noError(t, receive(t, sockets).Join(rooms...))
	}
	noError(t, srv.To("x", "y", "x").Emit("union"))
	noError(t, srv.To("x").To("y").Except("muted").Emit("except room"))
	noError(t, srv.Except(clients[0].ID, "muted").Emit("except sid"))
	noError(t, srv.To("x", clients[3].ID).Emit("sid as room"))
	for i, events := range [][]string{
		{"union", "except room", "sid as room"},
		{"union", "except room", "except sid", "sid as room"},
		{"union"},
		{"except sid", "sid as room"},
	} {
		for _, e := range events {
			want(t, clients[i].Next().Name, e)
		}
		clients[i].Quiet()
	}
}

func TestBehaviour37ConcurrentConnectsMakeOneChild(t *testing.T) {
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

func TestBehaviour37EmptyChildrenAreForgotten(t *testing.T) {
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
		if _, err := parent.To("x").FetchSockets(bg); err != socketio.ErrParent {
			t.Errorf("fetch: %v", err)
		}
	})
}

func TestBehaviour38Recovery(t *testing.T) {
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
		if !s.Recovered() || s.ID() != open.SID || !s.InRoom("room") || !ok || name != "ada" || calls != 1 {
			t.Errorf("recovered %t, %s, rooms %v, data %s, middleware calls %d", s.Recovered(), s.ID(), s.Rooms(), name, calls)
		}
		noError(t, srv.To("room").Emit("live"))
		if got := c.Text(); !strings.HasPrefix(got, `2["live","`) {
			t.Errorf("live %s", got)
		}

		// The session was used up: somebody else who knows the pid gets a new socket.
		thief := dial(t, srv, nil)
		thief.SendText(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, open.PID, offset))
		if got := thief.Text(); !strings.HasPrefix(got, `0{"sid":"`) || strings.Contains(got, open.SID) || strings.Contains(got, open.PID) {
			t.Errorf("second use: %s", got)
		}
		<-sockets

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

func TestBehaviour38RecoveryIsForLostConnectionsOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{RunMiddlewares: true}})
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

func TestBehaviour39DisconnectWithTheConnection(t *testing.T) {
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

func TestBehaviour39Shutdown(t *testing.T) {
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
