package client_test

import (
	"context"
	"fmt"

	"posthouse/socketio/client"
)

// A bot that answers greetings until ctx ends.
func bot(ctx context.Context, url string) error {
	s, err := client.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer s.Manager().Close()
	var greetings client.Listener = s.On("greet", func(e *client.Event) {
		var name string
		if e.Bind(&name) == nil {
			_ = e.Ack("hello " + name) // the server may not have asked for it
		}
	})
	defer greetings.Off()
	client.Handle(s, "add", func(_ context.Context, in [2]int) (int, error) { return in[0] + in[1], nil })
	members, err := client.Call[[]string](ctx, s, "join", "lobby")
	fmt.Println(members, err)
	<-ctx.Done()
	return nil
}

func Example() {
	fmt.Println(bot(context.Background(), "ftp://localhost/") != nil)
	// Output: true
}

// Several namespaces share one connection.
func ExampleManager() {
	manager, err := client.NewManager("http://localhost:3000", &client.Options{})
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	var chat *client.Socket = manager.Socket("/chat")
	fmt.Println(chat.Namespace(), chat.Connected())
	// Output: /chat false
}

func ExampleSender() {
	s, err := client.New("http://localhost:3000/app", nil)
	if err != nil {
		panic(err)
	}
	defer s.Manager().Close()
	var volatile client.Sender = s.Volatile()
	_ = volatile.Emit("position", 1, 2) // not connected: left out
	fmt.Println(s.Connected())
	// Output: false
}
