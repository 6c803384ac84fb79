package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// exampleT stands for the *testing.T that sockettest wants: examples have none.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (t *exampleT) Helper()                      {}
func (t *exampleT) Cleanup(f func())             { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (t *exampleT) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }
func (t *exampleT) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (t *exampleT) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}

func ExampleSocket() {
	t := new(exampleT) // in a test: its *testing.T
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("lobby")
		s.Emit("welcome", map[string]any{"rooms": len(s.Rooms())})
		s.To("lobby").Emit("joined") // the others there
	})

	first := io.Connect("/", nil)
	fmt.Println(first.Expect("welcome").Args)
	io.Connect("/", nil)
	fmt.Println(first.Expect("joined").Args)
	// Output:
	// [{"rooms":2}]
	// []
}

func ExampleEvent_Ack() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		// socket.emit("add", 1, 2, (sum) => …)
		s.On("add", func(e *socketio.Event) {
			var a, b int
			if err := e.Bind(&a, &b); err != nil {
				e.Ack(map[string]string{"error": "two numbers, please"})
				return
			}
			e.Ack(a + b)
		})
	})

	client := io.Connect("/", nil)
	fmt.Println(client.Call("add", 1, 2))
	fmt.Println(client.Call("add", "one"))
	// Output:
	// [3]
	// [{"error":"two numbers, please"}]
}

func ExampleHandle() {
	type order struct {
		Item string `json:"item"`
		N    int    `json:"n"`
	}
	type receipt struct {
		Items []string `json:"items"`
	}
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	var everySocket socketio.Events = io.Namespace // or one *Socket
	socketio.Handle(everySocket, "order", func(ctx context.Context, o order) (receipt, error) {
		if o.N < 1 {
			return receipt{}, &socketio.EventError{Code: "bad_amount", Message: "order at least one"}
		}
		socketio.FromContext(ctx).Join("customers") // the socket is in the context
		return receipt{Items: []string{o.Item}}, nil
	})

	client := io.Connect("/", nil)
	fmt.Println(client.Call("order", order{Item: "tea", N: 2}))
	fmt.Println(client.Call("order", order{Item: "tea"}))
	// Output:
	// [{"items":["tea"]}]
	// [{"error":{"code":"bad_amount","message":"order at least one"}}]
}

func ExampleMiddleware() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	user := socketio.NewKey[string]("user") // usually a package variable
	var login socketio.Middleware = func(ctx context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token == "" {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"hint": "log in"}}
		}
		user.Set(s, "the owner of "+auth.Token) // ctx bounds a look-up: it ends when the client leaves
		return nil
	}
	io.Of("/members").Use(login)
	io.Of("/members").OnConnection(func(s *socketio.Socket) {
		name, _ := user.Of(s)
		s.Emit("hello", name)
	})

	_, err := io.TryConnect("/members", nil, nil)
	fmt.Println(err)
	fmt.Println(io.Connect("/members", map[string]string{"token": "abc"}).Expect("hello").Args)
	// Output:
	// socketio: connection refused: not authorized
	// ["the owner of abc"]
}

func ExampleNamespace_LimitEvents() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: 50}})
	io.LimitEvents(0.001, 2) // in "/": two at once, then one in 1000 seconds
	io.OnConnection(func(s *socketio.Socket) {
		s.OnError(func(err error) {
			var early *socketio.RateError
			if errors.As(err, &early) { // errors.Is(err, socketio.ErrRate) as well
				fmt.Println(early.Event, early.Answered, errors.Is(err, socketio.ErrRate))
			}
		})
		s.On("vote", func(e *socketio.Event) { e.Ack("counted") })
	})

	client := io.Connect("/", nil)
	fmt.Println(client.Call("vote"), client.Call("vote"))
	var refusal struct{ Error struct{ Code string } }
	if err := client.Call("vote").Bind(0, &refusal); err != nil {
		t.Fatal(err)
	}
	fmt.Println(refusal.Error.Code)
	// Unordered output:
	// ["counted"] ["counted"]
	// vote true true
	// rate_limited
}

func ExampleSocket_Use() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.Use(func(e *socketio.Event) error {
			if e.Name() == "admin" {
				return errors.New("not for you") // OnError sees it; the event is dropped
			}
			return e.SetArgs(e.Args(), "seen by a middleware")
		})
		s.On("say", func(e *socketio.Event) { e.Ack(e.Args()) })
	})
	fmt.Println(io.Connect("/", nil).Call("say", "hi"))
	// Output: ["hi","seen by a middleware"]
}

func ExampleSocket_OnDisconnect() {
	t := new(exampleT)
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		ctx := s.Context() // for work that should end with the socket
		s.OnDisconnect(func(reason socketio.Reason) {
			var cause *socketio.DisconnectError
			fmt.Println(reason, errors.As(context.Cause(ctx), &cause))
		})
		s.Emit("welcome")
	})
	client := io.Connect("/", nil)
	client.Expect("welcome")
	client.Disconnect()
	t.end() // waits for the socket's functions
	// Output: client namespace disconnect true
}

func ExampleListener() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		var hints socketio.Listener
		hints = s.On("hint", func(e *socketio.Event) {
			s.Emit("hint", "look behind you")
			hints.Off() // one is enough
		})
	})
	client := io.Connect("/", nil)
	client.Emit("hint")
	client.Emit("hint")
	fmt.Println(client.Expect("hint").Args)
	client.Quiet()
	// Output: ["look behind you"]
}

func ExampleArgs() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.OnAny(func(e *socketio.Event) {
			args := e.Args()
			for i, v := range args.All() { // undecoded
				fmt.Printf("%s %d: %s\n", e.Name(), i, v.JSON)
			}
			var first socketio.Value
			var rest socketio.Args
			if err := args.Bind(&first, &rest); err == nil {
				fmt.Println(string(first.JSON), rest.Len())
			}
			e.Ack(args) // as it came
		})
	})
	io.Connect("/", nil).Call("log", "disk", map[string]int{"full": 97})
	// Output:
	// log 0: "disk"
	// log 1: {"full":97}
	// "disk" 1
}

func ExampleSender() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		position := s.Volatile().Compress(false) // keep it, use it again
		position.Emit("position", 1, 2)
		// On a goroutine of its own: here it would keep the socket's events waiting.
		s.Timeout(time.Second).EmitAck("version?", func(answer socketio.Args, err error) {
			fmt.Println(answer, err)
			s.Emit("thanks")
		})
	})
	client := io.Connect("/", nil)
	client.Expect("version?").Ack("4.8.4")
	client.Expect("thanks")
	// Output: ["4.8.4"] <nil>
}

func ExampleCallAll() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	voters := make([]*sockettest.Client, 3)
	for i := range voters {
		voters[i] = io.Connect("/", nil)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all socketio.Broadcaster = io.Timeout(5 * time.Second) // or io itself, or a room
		votes, err := socketio.CallAll[bool](context.Background(), all, "tea?")
		fmt.Println(votes, err)
	}()
	for _, v := range voters {
		v.Expect("tea?").Ack(true)
	}
	<-done
	// Output: [true true true] <nil>
}

func ExamplePartialError() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.Connect("/", nil) // will not answer
	_, err := io.Timeout(10*time.Millisecond).EmitWithAck(context.Background(), "anybody?")
	var partial *socketio.PartialError
	if errors.As(err, &partial) {
		fmt.Println(partial.Received, "of", partial.Expected)
	}
	fmt.Println(errors.Is(err, socketio.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	// Output:
	// 0 of 1
	// true true
}

func ExampleRemoteSocket() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.Connect("/", nil)

	ctx := context.Background()
	sockets, err := io.FetchSockets(ctx) // of all nodes
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		fmt.Println(len(s.ID()), s.Handshake().Query["EIO"], s.Join(ctx, "found"))
	}
	fmt.Println(len(io.LocalAdapter().Members("found")))
	// Output:
	// 20 4 <nil>
	// 1
}

func ExampleBroadcastOperator_SocketsJoin() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	a, b := io.Connect("/", nil), io.Connect("/", nil)

	ctx := context.Background()
	io.In(a.ID).SocketsJoin(ctx, "team") // the id of a socket is a room
	team := io.To("team")
	team.Emit("kick-off")
	fmt.Println(a.Expect("kick-off").Name)
	b.Quiet()
	// Output: kick-off
}
