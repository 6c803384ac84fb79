package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

type point struct{ X, Y int }

func TestHandleDecodesAndAcknowledges(t *testing.T) {
	srv := serve(t, nil)
	socketio.Handle(srv, "swap", func(ctx context.Context, p point) (point, error) {
		if socketio.FromContext(ctx) == nil {
			t.Error("no socket in the context")
		}
		return point{p.Y, p.X}, nil
	})
	srv.OnConnection(func(s *socketio.Socket) {
		socketio.Handle(s, "hash", func(_ context.Context, data []byte) ([]byte, error) { return append(data, 0xff), nil })
		socketio.Handle(s, "told", func(context.Context, struct{}) (int, error) {
			return 0, &socketio.EventError{Code: "rate_limited", Message: "slow down", Data: map[string]any{"retryAfter": 3}}
		})
		socketio.Handle(s, "internal", func(context.Context, struct{}) (int, error) {
			return 0, errors.New("dial 10.0.0.7: refused")
		})
		socketio.Handle(s, "any", func(_ context.Context, v any) (any, error) { return v, nil })
		socketio.Handle(s, "unencodable", func(context.Context, any) (func(), error) { return func() {}, nil })
	})
	c := srv.Connect("/", nil)
	want(t, c.Call("swap", point{1, 2}).String(), `[{"X":2,"Y":1}]`)
	want(t, c.Call("swap").String(), `[{"X":0,"Y":0}]`)
	want(t, c.Call("swap", "text").String(), `[{"error":{"code":"bad_request","message":"the arguments do not fit"}}]`)
	got := c.Call("hash", []byte{1})
	want(t, string(got.Attachments[0]), "\x01\xff")
	want(t, c.Call("told").String(), `[{"error":{"code":"rate_limited","message":"slow down","retryAfter":3}}]`)
	want(t, c.Call("internal").String(), `[{"error":{"code":"internal","message":"internal error"}}]`)
	want(t, c.Call("any", map[string]any{"a": []byte{1}}).String(), `[{"a":{"_placeholder":true,"num":0}}]`)
	want(t, c.Call("unencodable").String(), `[{"error":{"code":"internal","message":"internal error"}}]`)
	c.Emit("swap", "text") // no acknowledgement asked for: nothing happens
	c.Quiet()
}

func TestCallDecodesTheAnswer(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	done := make(chan error, 1)
	go func() {
		p, err := socketio.Call[point](bg, srv.Socket(c.ID), "where", "are you")
		if err == nil && p != (point{3, 4}) {
			err = errors.New("wrong answer")
		}
		done <- err
	}()
	c.Expect("where").Ack(point{3, 4})
	noError(t, receive(t, done))
	go func() {
		_, err := socketio.Call[point](bg, srv.Socket(c.ID), "where")
		done <- err
	}()
	c.Expect("where").Ack("nowhere")
	if err := receive(t, done); !errors.Is(err, socketio.ErrArgs) {
		t.Errorf("got %v", err)
	}
}

func TestBind(t *testing.T) {
	srv := serve(t, nil)
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("bind", func(e *socketio.Event) {
			var name string
			var o struct {
				Deep []struct{ Data []byte }
			}
			var optional *int
			noError(t, e.Bind(&name, &o, &optional))
			if name != "a" || string(o.Deep[0].Data) != "\x07" || optional != nil {
				t.Errorf("%s %v %v", name, o, optional)
			}
			var rest socketio.Args
			var v socketio.Value
			noError(t, e.Bind(&name, &rest))
			if rest.Len() != 1 || rest.Bind(&v) != nil || len(v.Attachments) != 1 {
				t.Errorf("rest %v", rest)
			}
			var n int
			if err := e.Bind(&n); !errors.Is(err, socketio.ErrArgs) {
				t.Errorf("wrong type: %v", err)
			}
			if err := e.Bind(&name, &o, &n); !errors.Is(err, socketio.ErrArgs) {
				t.Errorf("missing: %v", err)
			}
			noError(t, e.Ack(e.Args().Slice(1), "and", e.Args()))
		})
	})
	c := srv.Connect("/", nil)
	got := c.Call("bind", "a", map[string]any{"deep": []any{map[string]any{"data": []byte{7}}}})
	want(t, got.String(), `[{"deep":[{"data":{"_placeholder":true,"num":0}}]},"and","a",{"deep":[{"data":{"_placeholder":true,"num":1}}]}]`)
}

func TestEmptyArgsTakeNoPlace(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	noError(t, s.Emit("a", socketio.Args{}))
	noError(t, s.Emit("b", socketio.Args{}, 1))
	noError(t, s.Emit("c", 1, socketio.Args{}))
	noError(t, s.Emit("d", nil, "quote\" and <html> é\u2028"))
	want(t, c.Next().Args.String(), `[]`)
	want(t, c.Next().Args.String(), `[1]`)
	want(t, c.Next().Args.String(), `[1]`)
	want(t, c.Next().Args.String(), "[null,\"quote\\\" and <html> é\u2028\"]")
	if err := s.Emit("e", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
	if err := srv.Emit("e", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
	c.Quiet()
}

var (
	nameKey  = socketio.NewKey[string]("name")
	pointKey = socketio.NewKey[point]("point")
	badKey   = socketio.NewKey[chan int]("bad")
)

func TestDataWithTypedKeys(t *testing.T) {
	srv := serve(t, nil)
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	if _, ok := nameKey.Of(s); ok {
		t.Error("a value that nobody set")
	}
	nameKey.Set(s, "ada")
	pointKey.Set(s, point{1, 2})
	badKey.Set(s, make(chan int)) // stays here, travels nowhere
	if v, ok := nameKey.Of(s); !ok || v != "ada" {
		t.Errorf("got %q", v)
	}
	sockets, err := srv.FetchSockets(bg)
	noError(t, err)
	if !json.Valid(sockets[0].Data()) {
		t.Errorf("data %s", sockets[0].Data())
	}
	if p, ok := pointKey.In(sockets[0]); !ok || p != (point{1, 2}) {
		t.Errorf("remote %v", p)
	}
	if _, ok := badKey.In(sockets[0]); ok {
		t.Error("a channel came over")
	}
	nameKey.Delete(s)
	if _, ok := nameKey.Of(s); ok {
		t.Error("deleted value")
	}
}

type userKey struct{}

func TestHandshakeAndConnContext(t *testing.T) {
	srv := serve(t, &socketio.Options{
		ConnContext: func(ctx context.Context, r *http.Request) context.Context {
			return context.WithValue(ctx, userKey{}, r.Header.Get("X-User"))
		},
		ClientAddress: func(r *http.Request) string { return r.Header.Get("X-Real-Ip") },
	})
	checked := make(chan struct{})
	srv.OnConnection(func(s *socketio.Socket) {
		defer close(checked)
		if got := s.Context().Value(userKey{}); got != "ada" {
			t.Errorf("user %v", got)
		}
		h := s.Handshake()
		if h.Address != "192.0.2.1" || !h.XDomain || h.Headers["x-many"] != "a, b" || h.Query["q"] != "a b&c" || h.Query["transport"] != "websocket" ||
			!strings.HasPrefix(h.URL, "/socket.io/?") || !strings.Contains(h.Time, "GMT+0000") || h.Headers["host"] == "" {
			t.Errorf("handshake %+v", h)
		}
		if s.Header("x-USER") != "ada" {
			t.Errorf("header %q", s.Header("x-USER"))
		}
		var auth struct{ Token string }
		noError(t, s.Auth(&auth))
		want(t, auth.Token, "t")
	})
	_, err := srv.TryConnect("/", map[string]string{"token": "t"}, &sockettest.DialOptions{
		Query: map[string][]string{"q": {"first", "a b&c"}},
		Header: http.Header{"X-User": {"ada"}, "X-Real-Ip": {"192.0.2.1"}, "X-Many": {"a", "b"},
			"Origin": {"http://memory"}},
	})
	noError(t, err)
	receive(t, checked)
}
