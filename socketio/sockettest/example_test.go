package sockettest_test

import (
	"context"
	"fmt"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// exampleT stands for a *testing.T: examples have none.
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

// A test of a chat: two clients, no port, no waiting for the clock.
func Example() {
	t := new(exampleT) // func TestChat(t *testing.T) {
	defer t.end()      // what the end of a test does by itself

	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("join", func(e *socketio.Event) {
			var room string
			if e.Bind(&room) == nil && s.Join(room) == nil {
				e.Ack(room)
			}
		})
		s.On("chat", func(e *socketio.Event) {
			s.To("tea").Emit("chat", e.Args())
		})
	})

	alice := io.Connect("/", nil)
	bob, carol := io.Connect("/", nil), io.Connect("/", nil)
	alice.Call("join", "tea") // waits for the acknowledgement
	bob.Call("join", "tea")

	alice.Emit("chat", "hello")
	m := bob.Expect("chat")
	var text string
	if err := m.Args.Bind(0, &text); err != nil {
		t.Fatal(err)
	}
	fmt.Println(text)
	carol.Quiet() // she is not in the room
	// Output: hello
}

func ExampleServer_TryConnect() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.Of("/admin").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "members only"}
	})
	// Over polling, as a client of Socket.IO v4 behind a proxy would.
	_, err := io.TryConnect("/admin", map[string]string{"token": "abc"}, &sockettest.DialOptions{Transport: "polling"})
	fmt.Println(err)
	// Output: socketio: connection refused: members only
}

func ExampleClient_Call() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("sum", func(e *socketio.Event) {
			var a, b int
			if e.Bind(&a, &b) == nil {
				e.Ack(a+b, []byte{1})
			}
		})
	})
	answer := io.Connect("/", nil).Call("sum", 1, 2)
	fmt.Println(answer.JSON(0), answer.Attachments)
	// Output: 3 [[1]]
}

// Dial gives the bytes on the wire, for tests of a protocol rather than of handlers.
func ExampleServer_Dial() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	wire, err := io.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	wire.SendText("0/nowhere,") // CONNECT
	fmt.Println(wire.Text())
	// Output: 4/nowhere,{"message":"Invalid namespace"}
}

func ExampleServer_Client() {
	t := new(exampleT)
	defer t.end()
	io := sockettest.NewServer(t, nil)
	response, err := io.Client().Get("http://any.host/socket.io/?EIO=4&transport=smoke-signals")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	fmt.Println(response.Status)
	// Output: 400 Bad Request
}
