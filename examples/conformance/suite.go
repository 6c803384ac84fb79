package main

import (
	"log/slog"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// newSIO5 is the fixture of the Socket.IO protocol suite.
func newSIO5(m *member, log *slog.Logger) server {
	io := socketio.NewServer(&socketio.Options{
		Engine: engineio.Options{
			PingInterval: 300 * time.Millisecond,
			PingTimeout:  200 * time.Millisecond,
			MaxPayload:   1_000_000,
			CORS:         &engineio.CORS{Origin: "*"},
			GenerateID:   m.newID(),
		},
		NewAdapter:     m.newAdapter(),
		ConnectTimeout: time.Second,
		Logger:         log,
	})
	greet := func(s *socketio.Socket) { emit(s, "auth", s.Handshake().Auth) }
	io.OnConnection(greet)
	io.OnEvent("message", func(e *socketio.Event) { emit(e.Socket(), "message-back", e.Args()) })
	io.OnEvent("message-with-ack", func(e *socketio.Event) { ack(e, e.Args()) })
	io.Of("/custom").OnConnection(greet)
	return io
}

// emit and ack ignore a client that has left: the suites leave whenever they like.
func emit(s *socketio.Socket, event string, args ...any) { _ = s.Emit(event, args...) }
func ack(e *socketio.Event, args ...any)                 { _ = e.Ack(args...) }
