package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/sockettest"
)

// FuzzClientMessages sends whatever to a server with handlers of every kind. The
// messages are separated by newlines; one that begins with "b" is binary. The
// server must neither panic nor hang, and stays usable for others.
func FuzzClientMessages(f *testing.F) {
	for _, seed := range []string{
		"0", "0/chat,{\"a\":1}", "0\n2[\"echo\",1]", "0\n21[\"echo\",{\"a\":[1]}]", "0\n1\n0\n2[\"echo\"]",
		"0\n52-1[\"echo\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\nb1\nb2",
		"0\n2[\"ask\"]\n30[1]\n30[1]", "0/dyn-1\n0/dyn-2\n0/nope", "0\n0", "2[\"x\"]", "0\n2[\"typed\",{\"N\":\"x\"}]",
		"0\n2[1,2]", "0\n2", "0{\"pid\":\"x\",\"offset\":\"y\"}", "0\n2[\"kick\"]\n2[\"echo\"]", "4{\"message\":\"x\"}",
	} {
		f.Add(seed)
	}
	srv := serve(f, &socketio.Options{Recovery: &socketio.Recovery{}})
	srv.OfFunc(func(_ context.Context, name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "/dyn") })
	srv.Of("/chat")
	srv.OnAny(func(e *socketio.Event) {
		var v any
		var s string
		var n struct{ N int }
		_ = e.Bind(&v)
		_ = e.Bind(&s, &n)
		_ = e.Name() + e.Args().String()
		_ = e.Args().Clone().Slice(1).JSON(0)
	})
	srv.OnEvent("echo", func(e *socketio.Event) { _ = e.Ack(1, e.Args()); _ = e.Socket().Emit("echo", e.Args(), e.Args()) })
	srv.OnEvent("ask", func(e *socketio.Event) { _ = e.Socket().EmitAck("q", func(socketio.Args, error) {}) })
	srv.OnEvent("kick", func(e *socketio.Event) { e.Socket().Disconnect(false) })
	socketio.Handle(srv, "typed", func(_ context.Context, in struct{ N int }) (int, error) { return in.N, nil })
	f.Fuzz(func(t *testing.T, script string) {
		c, err := srv.For(t).Dial(&sockettest.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq([]byte(script), []byte("\n")) {
			m := engineio.Message{Data: line}
			if len(line) > 0 && line[0] == 'b' {
				m = engineio.Message{Data: line[1:], Binary: true}
			}
			if c.Send(m) != nil {
				break
			}
		}
		c.Close()
	})
}
