package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// newSIOClient is the fixture of the official Socket.IO client's suite.
func newSIOClient(m *member, log *slog.Logger) server {
	io := socketio.NewServer(&socketio.Options{
		Engine: engineio.Options{
			PingInterval: 2 * time.Second,
			AllowRequest: acceptLate,
			GenerateID:   m.newID(),
		},
		NewAdapter: m.newAdapter(),
		Recovery:   &socketio.Recovery{},
		Logger:     log,
	})
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		if s.Handshake().Query["fail"] != "" {
			return &socketio.ConnectError{Message: "Auth failed (main namespace)"}
		}
		return nil
	})
	io.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "Auth failed (custom namespace)"}
	})
	io.Of("/foo").OnEvent("getId", func(e *socketio.Event) { ack(e, e.Socket().ID()) })
	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		io.Of(name)
	}
	io.Of("/abc").OnConnection(func(s *socketio.Socket) { emit(s, "handshake", s.Handshake()) })
	io.OnConnection(mainNamespace)
	return io
}

// acceptLate accepts every handshake, ten milliseconds later.
func acceptLate(r *http.Request) error {
	select {
	case <-time.After(10 * time.Millisecond):
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// firstOf returns the first argument alone.
func firstOf(a socketio.Args) any {
	var v socketio.Value
	if a.Bind(&v) != nil {
		return nil
	}
	return v
}

// isoTime is what JavaScript's Date.toISOString prints.
func isoTime() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func mainNamespace(s *socketio.Socket) {
	reply := func(event, answer string, args ...any) {
		s.On(event, func(*socketio.Event) { emit(s, answer, args...) })
	}
	reply("hi", "hi")
	reply("false", "false", false)
	reply("doge", "doge", []byte("asdfasdf"))
	reply("getbin", "takebin", []byte("asdfasdf"))
	s.On("echo", func(e *socketio.Event) { ack(e, firstOf(e.Args())) })
	s.On("ack", func(*socketio.Event) {
		_ = s.EmitAck("ack", func(a socketio.Args, err error) {
			var n int
			var o struct{ Test bool }
			if err == nil && a.Bind(&n, &o) == nil && n == 5 && o.Test {
				emit(s, "got it")
			}
		})
	})
	s.On("getAckDate", func(e *socketio.Event) { ack(e, isoTime()) })
	s.On("getDate", func(*socketio.Event) { emit(s, "takeDate", isoTime()) })
	s.On("getDateObj", func(*socketio.Event) { emit(s, "takeDateObj", map[string]string{"date": isoTime()}) })
	s.On("getUtf8", func(*socketio.Event) {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			emit(s, "takeUtf8", text)
		}
	})
	s.On("getHandshake", func(e *socketio.Event) { ack(e, s.Handshake()) })
	s.On("getId", func(e *socketio.Event) { ack(e, s.ID()) })
	binaryEvents(s)
}

// binaryEvents answers the events whose arguments must be binary.
func binaryEvents(s *socketio.Socket) {
	when := func(event, answer string, fits func(*socketio.Event) bool) {
		s.On(event, func(e *socketio.Event) {
			if fits(e) {
				emit(s, answer)
			}
		})
	}
	when("buffa", "buffack", isBinary)
	when("blob", "back", isBinary)
	when("jsonbuff", "jsonbuff-ack", isMessage)
	when("jsonblob", "jsonblob-ack", isMessage)
	steps := 0 // handlers of one socket run one at a time
	s.On("abuff1", func(e *socketio.Event) { steps = progress(steps, 0, isBinary(e)) })
	when("abuff2", "abuff2-ack", func(*socketio.Event) bool { return steps == 1 })
	blobs := 0
	s.On("blob1", func(e *socketio.Event) { blobs = progress(blobs, 0, isBinary(e)) })
	s.On("blob2", func(e *socketio.Event) {
		var v string
		blobs = progress(blobs, 1, e.Bind(&v) == nil && v == "second")
	})
	when("blob3", "blob3-ack", func(e *socketio.Event) bool { return blobs == 2 && isBinary(e) })
}

func progress(now, from int, ok bool) int {
	if ok && now == from {
		return now + 1
	}
	return now
}

func isBinary(e *socketio.Event) bool {
	var v any
	if e.Bind(&v) != nil {
		return false
	}
	_, ok := v.([]byte)
	return ok
}

func isMessage(e *socketio.Event) bool {
	var m struct {
		Hello, Goodbye string
		Message        any
	}
	if e.Bind(&m) != nil {
		return false
	}
	_, ok := m.Message.([]byte)
	return ok && m.Hello == "lol" && m.Goodbye == "gotcha"
}
