package socketio_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/sockettest"
)

// TestNodeTranscripts sends what testdata/record.js sent to the Node server, and
// wants its answers byte by byte; random ids apart.
func TestNodeTranscripts(t *testing.T) {
	text, err := os.ReadFile("testdata/transcripts.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Transcripts map[string][]string }
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Transcripts) < 30 {
		t.Fatalf("%d transcripts", len(recorded.Transcripts))
	}
	for name, steps := range recorded.Transcripts {
		t.Run(name, func(t *testing.T) { replay(t, steps) })
	}
}

var anyID = regexp.MustCompile(`"sid":"[^"]{20}"`)

func replay(t *testing.T, steps []string) {
	srv := serve(t, withEIO3())
	nodeFixture(srv)
	o := &sockettest.DialOptions{}
	if steps[0] == "v3" {
		o.Protocol = 3
		steps = steps[1:]
	}
	c := dial(t, srv, o)
	for i, step := range steps {
		switch {
		case strings.HasPrefix(step, "> "):
			if err := c.Send(engineio.Message{Data: []byte(step[3:])}); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(step, ">b "):
			data, err := hex.DecodeString(step[3:])
			if err == nil {
				err = c.Send(engineio.Message{Data: data, Binary: true})
			}
			if err != nil {
				t.Fatal(err)
			}
		default:
			if got := nextStep(c); got != step {
				t.Fatalf("step %d: got %s, Node sent %s", i, got, step)
			}
		}
	}
}

func nextStep(c *sockettest.Conn) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	m, err := c.Next(ctx)
	switch {
	case errors.Is(err, sockettest.ErrClosed):
		return "close"
	case err != nil:
		return "nothing"
	case m.Binary:
		return "<b " + hex.EncodeToString(m.Data)
	}
	return anyID.ReplaceAllString("< 4"+string(m.Data), `"sid":"<id>"`)
}

// nodeFixture is the fixture of record.js.
func nodeFixture(srv *sockettest.Server) {
	srv.OnConnection(func(s *socketio.Socket) {
		on := func(event string, fn func(e *socketio.Event)) { s.On(event, fn) }
		on("echo", func(e *socketio.Event) { _ = s.Emit("echo", e.Args()) })
		on("ack", func(e *socketio.Event) { _ = e.Ack(e.Args()) })
		on("ack none", func(e *socketio.Event) { _ = e.Ack() })
		on("ack twice", func(e *socketio.Event) { _ = e.Ack(1); _ = e.Ack(2) })
		on("values", func(*socketio.Event) {
			_ = s.Emit("values", 1, -1.5, 1e21, 1e-7, "a\"b\\c\n\u2028é😀<&>", nil, true, []int{}, map[string]int{}, struct {
				B int   `json:"b"`
				A []int `json:"a"`
			}{1, []int{2}})
		})
		on("binary", func(*socketio.Event) {
			_ = s.Emit("binary", []byte{1, 2}, map[string]any{"deep": []any{[]byte{3}}}, "x")
		})
		on("ask", func(*socketio.Event) {
			_ = s.EmitAck("question", func(a socketio.Args, err error) {
				var first any
				if err == nil {
					_ = a.Bind(&first) // nothing answered is null
					_ = s.Emit("answered", first)
				}
			}, 1)
		})
		on("kick", func(*socketio.Event) { s.Disconnect(false) })
		on("kick all", func(*socketio.Event) { s.Disconnect(true) })
		on("join", func(e *socketio.Event) {
			var room string
			if e.Bind(&room) == nil && s.Join(room) == nil {
				_ = srv.To(room).Emit("joined", room)
			}
		})
		on("many", func(*socketio.Event) { _ = s.Emit("one"); _ = srv.Emit("two"); _ = s.Emit("three") })
	})
	chat := srv.Of("/chat")
	chat.OnConnection(func(s *socketio.Socket) { _ = s.Emit("welcome", s.Namespace().Name()) })
	chat.OnEvent("ack", func(e *socketio.Event) { _ = e.Ack(e.Args()) })
	srv.Of("/no").Use(func(context.Context, *socketio.Socket) error { return &socketio.ConnectError{Message: "refused"} })
	srv.Of("/data").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "refused", Data: map[string]int{"code": 7}}
	})
	srv.Of("/auth").OnConnection(func(s *socketio.Socket) { _ = s.Emit("auth", s.Handshake().Auth) })
	srv.OfRegexp(regexp.MustCompile(`^/dyn-\d+$`)).OnConnection(func(s *socketio.Socket) {
		_ = s.Emit("hello from", s.Namespace().Name())
	})
}
