package socketio_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
	"posthouse/socketio/sockettest"
)

func withEIO3() *socketio.Options {
	return &socketio.Options{Engine: engineio.Options{AllowEIO3: true}}
}

// echoes registers what the fixture of the public suite registers.
func echoes(s *sockettest.Server) {
	s.OnEvent("message", func(e *socketio.Event) { _ = e.Socket().Emit("message-back", e.Args()) })
	s.OnEvent("message-with-ack", func(e *socketio.Event) { _ = e.Ack(e.Args()) })
}

func TestWireTextIsEchoedByteByByte(t *testing.T) {
	srv := serve(t, nil)
	echoes(srv)
	c := joined(t, srv, nil, "0")
	c.SendText(`2["message",1,"2",{"3":[true]},1e+21,-0.5]`)
	want(t, c.Text(), `2["message-back",1,"2",{"3":[true]},1e+21,-0.5]`)
	c.SendText(`2456["message-with-ack",1,"2",{"3":[false]}]`)
	want(t, c.Text(), `3456[1,"2",{"3":[false]}]`)
	c.SendText(`20["message-with-ack"]`)
	want(t, c.Text(), `30[]`)
	c.SendText(`2007["message-with-ack",null,7]`)
	want(t, c.Text(), `37[null,7]`)
}

func TestWireBinaryIsEchoed(t *testing.T) {
	srv := serve(t, nil)
	echoes(srv)
	c := joined(t, srv, nil, "0")
	noError(t, c.Send(
		engineio.Message{Data: []byte(`52-789["message-with-ack",{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]`)},
		engineio.Message{Data: []byte{1, 2, 3}, Binary: true},
		engineio.Message{Data: []byte{4, 5}, Binary: true}))
	want(t, c.Text(), `62-789[{"_placeholder":true,"num":0},{"a":{"_placeholder":true,"num":1}}]`)
	for _, wanted := range []string{"\x01\x02\x03", "\x04\x05"} {
		m, err := c.Next(bg)
		noError(t, err)
		if !m.Binary || string(m.Data) != wanted {
			t.Errorf("attachment is %x", m.Data)
		}
	}
}

func TestWireConnectAnswers(t *testing.T) {
	srv := serve(t, nil)
	srv.Of("/chat")
	srv.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "Auth failed", Data: map[string]int{"code": 7}}
	})
	srv.Of("/internal").Use(func(context.Context, *socketio.Socket) error {
		return fmt.Errorf("connect to 10.0.0.7: refused")
	})
	c := dial(t, srv, nil)
	c.SendText("0")
	if got := c.Text(); !strings.HasPrefix(got, `0{"sid":"`) || len(got) != len(`0{"sid":""}`)+20 {
		t.Errorf("answer %s", got)
	}
	c.SendText("0/chat")
	if got := c.Text(); !strings.HasPrefix(got, `0/chat,{"sid":"`) {
		t.Errorf("answer %s", got)
	}
	c.SendText(`0/no,{"token":"x"}`)
	want(t, c.Text(), `4/no,{"message":"Auth failed","data":{"code":7}}`)
	c.SendText("0/internal,")
	want(t, c.Text(), `4/internal,{"message":"connection refused"}`)
	c.SendText("0/nope,")
	want(t, c.Text(), `4/nope,{"message":"Invalid namespace"}`)
}

// docs/protocol.md §2.2, by the bytes.
func TestWireRevision3(t *testing.T) {
	srv := serve(t, withEIO3())
	chat := srv.Of("/chat")
	auths := make(chan string, 4)
	for _, n := range []*socketio.Namespace{srv.Namespace, chat} {
		n.OnConnection(func(s *socketio.Socket) {
			auths <- s.ID() + " " + string(s.Handshake().Auth)
			s.On("hi", func(e *socketio.Event) { noError(t, e.Ack("ok")) })
		})
	}
	srv.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "no way"}
	})
	srv.Of("/data").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "no way", Data: []int{1}}
	})
	c := dial(t, srv, &sockettest.DialOptions{Protocol: 3})
	want(t, c.Text(), "0")
	want(t, receive(t, auths), c.SID+" {}")
	c.SendText("0/chat?token=abc&x=1,")
	want(t, c.Text(), "0/chat,")
	want(t, receive(t, auths), "/chat#"+c.SID+` {"token":"abc","x":"1"}`)
	c.SendText(`2/chat?token=abc,1["hi"]`)
	want(t, c.Text(), `3/chat,1["ok"]`)
	c.SendText(`21["hi"]`)
	want(t, c.Text(), `31["ok"]`)
	c.SendText("0/no")
	want(t, c.Text(), `4/no,"no way"`)
	c.SendText("0/data")
	want(t, c.Text(), `4/data,[1]`)
	c.SendText("0/nope")
	want(t, c.Text(), `4/nope,{"message":"Invalid namespace"}`)
	c.SendText("0") // the main namespace is joined already
	c.Closed()
}

func TestWireRevision3MainNamespaceRefused(t *testing.T) {
	srv := serve(t, withEIO3())
	srv.Use(func(context.Context, *socketio.Socket) error { return &socketio.ConnectError{Message: "msg"} })
	c := dial(t, srv, &sockettest.DialOptions{Protocol: 3})
	want(t, c.Text(), `4"msg"`)
}

func TestWireStateErrorsCloseTheConnection(t *testing.T) {
	for _, test := range []struct {
		name string
		send []string
	}{
		{"event before connect", []string{`2["hi"]`}},
		{"connect twice", []string{"0", "wait", "0"}},
		{"event for a namespace that is not joined", []string{"0", "wait", `2/chat,["hi"]`}},
		{"ack for a namespace that is not joined", []string{"0", "wait", `3/chat,1[]`}},
		{"disconnect of a namespace that is not joined", []string{"0", "wait", `1/chat,`}},
		{"event after disconnect", []string{"0", "wait", "1", `2["hi"]`}},
		{"CONNECT_ERROR from a client", []string{"0", "wait", `4{"message":"x"}`}},
		{"object as event name", []string{"0", "wait", `2[{"toString":"x"}]`}},
		{"empty event", []string{"0", "wait", `2[]`}},
		{"reserved event name", []string{"0", "wait", `2["disconnecting"]`}},
		{"unknown packet type", []string{"0", "wait", `7`}},
		{"auth that is an array", []string{`0[]`}},
		{"text while an attachment is missing", []string{"0", "wait", `51-["a",{"_placeholder":true,"num":0}]`, `2["x"]`}},
		{"too many attachments", []string{"0", "wait", `511-["x"]`}},
		{"attachment number out of range", []string{"0", "wait", `51-["e",{"_placeholder":true,"num":1}]`, "bin"}},
		{"depth bomb", []string{"0", "wait", `2["e",` + strings.Repeat("[", 50000)}},
		{"million digits", []string{"0", "wait", "2" + strings.Repeat("1", 100000)}},
		{"long namespace", []string{"0/" + strings.Repeat("n", 300)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := serve(t, nil)
			srv.Of("/chat")
			called := false
			srv.OnAny(func(*socketio.Event) { called = true })
			c := dial(t, srv, nil)
			for _, text := range test.send {
				switch text {
				case "wait":
					c.Text()
				case "bin":
					_ = c.Send(engineio.Message{Data: []byte{1}, Binary: true})
				default:
					_ = c.Send(engineio.Message{Data: []byte(text)}) // may find it closed already
				}
			}
			c.Closed()
			if called {
				t.Error("a handler was called")
			}
		})
	}
}

func TestWireOddPacketsThatAreAccepted(t *testing.T) {
	srv := serve(t, nil)
	names := make(chan string, 8)
	srv.OnAny(func(e *socketio.Event) { names <- e.Name() + e.Args().String() })
	c := joined(t, srv, nil, "0")
	for _, text := range []string{`2`, `3`, `31`, `39["a"]`, `2[1,2]`, `2["error"]`, `2["__proto__",{"constructor":1}]`} {
		c.SendText(text)
	}
	want(t, receive(t, names), "1[2]")
	want(t, receive(t, names), "error[]")
	want(t, receive(t, names), `__proto__[{"constructor":1}]`)
}

func TestWireAfterClientDisconnectTheConnectionStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, nil)
		reasons := make(chan socketio.Reason, 1)
		srv.OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
		c := joined(t, srv, nil, "0")
		c.SendText("1")
		want(t, string(receive(t, reasons)), "client namespace disconnect")
		time.Sleep(2 * time.Minute) // several pings
		c.SendText("0")
		if got := c.Text(); !strings.HasPrefix(got, `0{"sid"`) {
			t.Errorf("answer %s", got)
		}
	})
}

func TestWireMsgpackOrOtherCodec(t *testing.T) {
	srv := serve(t, &socketio.Options{Codec: prefixed{parser.Default(nil)}})
	echoes(srv)
	c := srv.Connect("/", nil)
	want(t, c.Call("message-with-ack", 1, []byte{7}).String(), `[1,{"_placeholder":true,"num":0}]`)
	c.Emit("message", "x")
	want(t, c.Expect("message-back").Args.String(), `["x"]`)
}

// prefixed is a codec that is not the default one.
type prefixed struct{ parser.Codec }

func (p prefixed) Encode(dst []engineio.Message, k *parser.Packet) ([]engineio.Message, error) {
	ms, err := p.Codec.Encode(nil, k)
	for _, m := range ms {
		if !m.Binary {
			m.Data = append([]byte("~"), m.Data...)
		}
		dst = append(dst, m)
	}
	return dst, err
}

func (p prefixed) NewDecoder() parser.Decoder { return stripping{p.Codec.NewDecoder()} }

type stripping struct{ parser.Decoder }

func (s stripping) Add(m engineio.Message) (*parser.Packet, error) {
	if !m.Binary {
		m.Data = m.Data[1:]
	}
	return s.Decoder.Add(m)
}

// A revision 3 client's namespace is a URL to the reference (docs/protocol.md §2.2).
func TestWireRevision3NamespaceIsNormalised(t *testing.T) {
	srv := serve(t, withEIO3())
	for _, name := range []string{"/chat", "/a%20b", "/caf%C3%A9"} {
		srv.Of(name)
	}
	c := joined(t, srv, &sockettest.DialOptions{Protocol: 3}, "")
	for sent, name := range map[string]string{"/x/../chat?a=1": "/chat", "/a b": "/a%20b", "/café#frag": "/caf%C3%A9"} {
		c.SendText("0" + sent)
		want(t, c.Text(), "0"+name+",")
	}
}
