package socketio_test

import (
	"context"
	"fmt"
	"log/slog"

	"posthouse/socketio"
)

func ExampleNamespace_Watch() {
	io := socketio.NewServer(nil)
	stop := io.Watch(socketio.Watcher{
		Connected:    func(s *socketio.Socket, rooms []string) { slog.Info("came", "id", s.ID(), "rooms", rooms) },
		Disconnected: func(s *socketio.Socket, reason socketio.Reason) { slog.Info("went", "id", s.ID(), "reason", reason) },
		Joined:       func(room, id string) { slog.Info("joined", "id", id, "room", room) },
		Left:         func(room, id string) { slog.Info("left", "id", id, "room", room) },
		Upgraded: func(s *socketio.Socket, transport string) {
			slog.Info("upgraded", "id", s.ID(), "transport", transport)
		},
		DataChanged: func(s *socketio.Socket) { slog.Info("other data", "id", s.ID()) },
		Received:    func(e *socketio.Event) { slog.Info("received", "event", e.Name()) },
		Sent:        func(s *socketio.Socket, event string, _ socketio.Args) { slog.Info("sent", "event", event) },
	})
	defer stop()
	// The hooks have been told of all earlier changes when the function runs.
	io.LocalAdapter().AfterRoomEvents(func() { slog.Info("up to date") })
}

func ExampleServer_AddDetail() {
	io := socketio.NewServer(nil)
	io.AddDetail("node", func(*socketio.Socket) any { return "eu-1" })
	sockets, err := io.FetchSockets(context.Background())
	for _, s := range sockets {
		fmt.Println(s.ID(), string(s.Detail("node")))
	}
	for s := range io.Sockets() { // on this node, without asking
		fmt.Println(string(s.Details().Data))
	}
	fmt.Println(len(sockets), err)
	// Output: 0 <nil>
}

func ExampleSocket_ForgetAuth() {
	io := socketio.NewServer(nil)
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		var login struct{ Password string }
		err := s.Auth(&login)
		s.ForgetAuth() // FetchSockets of other nodes does not tell it
		if err != nil || login.Password != "changeit" {
			return &socketio.ConnectError{Message: "invalid credentials"}
		}
		return nil
	})
}
