package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/http/cookiejar"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/engineio/webtransport"
	"posthouse/socketio/parser"
)

func Example() {
	// The path is the namespace: "/" here.
	s, err := client.New("http://localhost:3000", &client.Options{Auth: map[string]string{"token": "abc"}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	s.On("chat", func(e *client.Event) {
		var from, text string
		if err := e.Bind(&from, &text); err != nil {
			log.Print(err)
			return
		}
		fmt.Println(from, "says", text)
	})
	s.OnDisconnect(func(reason socketio.Reason, cause error) {
		log.Println("lost:", reason, cause, "comes back:", s.Active())
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var refusal *socketio.ConnectError
	if err := s.Connect(ctx); errors.As(err, &refusal) {
		log.Fatal("the server refuses: ", refusal.Message)
	} else if err != nil {
		log.Fatal(err)
	}
	if err := s.Emit("chat", "hello"); err != nil {
		log.Fatal(err)
	}
}

// A command line tool that asks one question.
func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, "https://chat.example/admin", nil)
	if err != nil {
		log.Fatal(err) // the first error, nothing is tried again
	}
	defer s.Close()
	users, err := client.Call[[]string](ctx, s, "users", "lobby")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(users)
}

// A bot that answers the server's questions.
func ExampleHandle() {
	s, err := client.New("http://localhost:3000", nil)
	if err != nil {
		log.Fatal(err)
	}
	type question struct{ A, B int }
	var on client.Listener = client.Handle(s, "divide", func(_ context.Context, q question) (int, error) {
		if q.B == 0 {
			return 0, &socketio.EventError{Code: "division_by_zero", Message: "B must not be 0"}
		}
		return q.A / q.B, nil
	})
	defer on.Off()
}

// Two namespaces on one connection, and what happens to it.
func ExampleManager() {
	m, err := client.NewManager("https://chat.example", &client.Options{
		ReconnectAttempts: 10,
		Codec:             parser.MessagePack(nil),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	m.OnReconnectAttempt(func(attempt int) { log.Println("attempt", attempt) })
	m.OnReconnectFailed(func() { log.Println("given up") })
	lobby, admin := m.Socket("/lobby"), m.Socket("/admin")
	for _, s := range []*client.Socket{lobby, admin} {
		s.OnConnectError(func(err error) { log.Println(s.Namespace(), err) })
		if err := s.Open(); err != nil { // does not wait
			log.Fatal(err)
		}
	}
}

// Events that must not be lost: each is sent until the server has acknowledged it, in
// order. The server knows a repeat by its id.
func ExampleOptions_retries() {
	s, err := client.New("http://localhost:3000", &client.Options{
		Retries: 10, AckTimeout: 5 * time.Second, MaxBuffered: 1 << 20,
	})
	if err != nil {
		log.Fatal(err)
	}
	err = s.EmitAck("order", func(_ socketio.Args, err error) {
		if err != nil {
			log.Print("not ordered: ", err)
		}
	}, "order-4711", map[string]int{"tea": 2})
	if errors.Is(err, client.ErrBufferFull) {
		log.Print("more than 1 MiB of orders wait for the connection")
	}
}

// The modifiers of one event.
func ExampleSender() {
	s, err := client.New("http://localhost:3000", nil)
	if err != nil {
		log.Fatal(err)
	}
	var position client.Sender = s.Volatile() // dropped when it cannot leave now
	_ = position.Emit("position", 48.1, 11.6)
	_, err = s.Timeout(time.Second).EmitWithAck(context.Background(), "ping")
	if errors.Is(err, socketio.ErrTimeout) {
		log.Print("no answer within a second")
	}
}

// A network with a balancer that knows its clients by a cookie, a private authority, and
// tokens that expire.
func ExampleOptions() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	trust := &tls.Config{} // RootCAs: …
	_, err = client.New("https://chat.example", &client.Options{
		Transports:       []string{"websocket"},
		TLS:              trust,
		Jar:              jar,
		TryAllTransports: true,
		AuthFunc: func(ctx context.Context) (any, error) {
			token, err := "fetched", error(nil)
			return map[string]string{"token": token}, err
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	// WebTransport brings QUIC into the program, so it is a package of its own.
	_, err = client.New("https://chat.example", &client.Options{
		WebTransport: webtransport.Dial(&webtransport.DialOptions{TLS: trust}),
	})
	if err != nil {
		log.Fatal(err)
	}
}
