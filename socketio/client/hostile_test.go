package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/parser"
)

const open = `0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// rawServer opens the engine's session, waits for CONNECT, and writes frames: those that
// begin with "b:" are binary. Then it reads to the end.
func rawServer(t testing.TB, frames ...string) string {
	t.Helper()
	return rawServerOf(t, open, frames...)
}

// rawServerOf is rawServer with an open packet of the test's own.
func rawServerOf(t testing.TB, open string, frames ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		if c.Write(r.Context(), websocket.MessageText, []byte(open)) != nil {
			return
		}
		if _, _, err := c.Read(r.Context()); err != nil {
			return
		}
		for _, f := range frames {
			kind := websocket.MessageText
			if rest, ok := strings.CutPrefix(f, "b:"); ok {
				kind, f = websocket.MessageBinary, rest
			}
			if c.Write(r.Context(), kind, []byte(f)) != nil {
				return
			}
		}
		for err == nil {
			_, _, err = c.Read(r.Context())
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const joined = `40{"sid":"s"}`

func TestSocket_HostilePackets_ParseError(t *testing.T) {
	t.Parallel()
	large := "b:" + strings.Repeat("x", 600_000)
	for name, frames := range map[string][]string{
		"CONNECT twice":                {joined, `40{"sid":"s2"}`},
		"CONNECT with an array":        {`40[]`},
		"CONNECT with a number as sid": {`40{"sid":1}`},
		"CONNECT_ERROR when connected": {joined, `44{"message":"no"}`},
		"unknown type":                 {joined, "49"},
		"empty message":                {joined, "4"},
		"JSON cut off":                 {joined, `42["a",{"b":`},
		"rubbish behind JSON":          {joined, `42["a"]x`},
		"no array":                     {joined, `42{"a":1}`},
		"reserved name":                {joined, `42["disconnect"]`},
		"name an object":               {joined, `42[{"toString":"x"}]`},
		"binary without a packet":      {joined, "b:abc"},
		"text among attachments":       {joined, `451-["a",{"_placeholder":true,"num":0}]`, `42["b"]`},
		"placeholder out of range":     {joined, `451-["a",{"_placeholder":true,"num":1}]`, "b:x"},
		"placeholder negative":         {joined, `451-["a",{"_placeholder":true,"num":-1}]`, "b:x"},
		"placeholder text":             {joined, `451-["a",{"_placeholder":true,"num":"0"}]`, "b:x"},
		"attachment without place":     {joined, `451-["a"]`, "b:x"},
		"too many attachments":         {joined, `4599999999-["a"]`},
		"a million attachments":        {joined, `451000000-["a",{"_placeholder":true,"num":0}]`},
		"eleven attachments":           {joined, `4511-["a"` + strings.Repeat(`,{"_placeholder":true,"num":0}`, 11) + "]"},
		"attachments too large":        {joined, `453-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`, large, large, large},
		"attachments of no number":     {joined, `45-["a"]`},
		"attachments of a long number": {joined, "45" + strings.Repeat("9", 500_000) + `-["a"]`},
		"CONNECT as binary":            {"b:0"},
		"CONNECT_ERROR not JSON":       {"44{"},
		"namespace without end":        {joined, "42/" + strings.Repeat("n", 500_000)},
		"ack id beyond 2^53":           {joined, `429007199254740993["a"]`},
		"digits without end":           {joined, "42" + strings.Repeat("1", 500_000)},
		"depth":                        {joined, `42["a",` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "]"},
		"DISCONNECT with data":         {joined, `41{}`},
		"ack no array":                 {joined, `430{}`},
		"events before CONNECT":        {`42["a","` + strings.Repeat("x", 60_000) + `"]`, `42["a","` + strings.Repeat("x", 60_000) + `"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := rawServer(t, frames...)
			s := newClient(t, url, &client.Options{Transports: []string{"websocket"}, NoReconnect: true, MaxQueued: 100_000, MaxPayload: 1_000_000})
			ended := make(chan string, 1)
			s.OnDisconnect(func(reason socketio.Reason, _ error) { ended <- string(reason) })
			err := s.Connect(soon(t))
			var reason string
			if err == nil {
				reason = wait(t, "the end", ended)
			} else {
				reason = err.Error()
			}
			if !strings.Contains(reason, string(client.ReasonParseError)) {
				t.Errorf("ended with %q, want parse error", reason)
			}
		})
	}
}

// Packets that a server may send and the client has no use for change nothing.
func TestSocket_OddPackets_AreIgnored(t *testing.T) {
	t.Parallel()
	url := rawServer(t, `42["early"]`, joined, `42/other,["a"]`, `40/other,{"sid":"x"}`, `41/other,`, `4312345["unknown ack"]`, `43`, `42`,
		`42[7,1]`, `6`, `3`, `42["__proto__",{"constructor":1}]`, `42["end"]`)
	s := newClient(t, url, &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
	names := make(chan string, 10)
	s.OnAny(func(e *client.Event) { names <- e.Name() })
	connect(t, s)
	for _, want := range []string{"early", "7", "__proto__", "end"} {
		if got := wait(t, want, names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConnect_AnswerWithoutID_ErrOldServer(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"40", "40{}"} {
		_, err := client.Dial(soon(t), rawServer(t, answer), &client.Options{Transports: []string{"websocket"}})
		if !errors.Is(err, client.ErrOldServer) {
			t.Error(err)
		}
	}
}

// A server that answers none of the questions, and one that asks without end.
func TestSocket_HostileServer_MemoryIsBounded(t *testing.T) {
	const max = 1 << 20
	frames := []string{joined}
	event := `42["flood","` + strings.Repeat("x", 1000) + `"]`
	for range 20_000 {
		frames = append(frames, event)
	}
	s := newClient(t, rawServer(t, frames...), &client.Options{Transports: []string{"websocket"}, MaxQueued: max, NoReconnect: true})
	release, full := make(chan struct{}), make(chan struct{}, 1)
	s.On("flood", func(*client.Event) {
		select {
		case full <- struct{}{}:
		default:
		}
		<-release
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	connect(t, s)
	wait(t, "an event", full)
	for range 20 {
		runtime.GC()
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 6*max {
		t.Errorf("%d bytes are kept, MaxQueued is %d", grown, max)
	}
	close(release)
}

// FuzzReceive feeds a socket whatever a server may send.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{`40{"sid":"a","pid":"b"}`, `42["a",1,"offset"]`, `451-["a",{"_placeholder":true,"num":0}]` + "\x00bx", `421["q"]`,
		`430["a"]`, `41`, `44{"message":"x","data":[1]}`, `44"text"`, `40/chat,{"sid":"c"}`} {
		f.Add(joined+"\x00"+s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, script string, old bool) {
		frames := strings.Split(script, "\x00")
		for i, frame := range frames {
			if rest, ok := strings.CutPrefix(frame, "b"); ok {
				frames[i] = "b:" + rest
			} else {
				frames[i] = strings.ToValidUTF8(frame, "?")
			}
		}
		o := &client.Options{Transports: []string{"websocket"}, NoReconnect: true, MaxPayload: 1 << 16, Codec: parser.Default(nil)}
		if old {
			o.EIO = 3
		}
		m, err := client.NewManager(rawServer(t, append(frames, "1")...), o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		done := make(chan struct{})
		for _, namespace := range []string{"/", "/chat"} {
			s := m.Socket(namespace)
			s.OnAny(func(e *client.Event) {
				_ = e.Args().String()
				if e.WantsAck() {
					_ = e.Ack(e.Args())
				}
			})
			s.OnConnectError(func(err error) { _ = fmt.Sprint(err) })
			s.OnDisconnect(func(socketio.Reason, error) {})
			s.EmitAck("question", func(socketio.Args, error) {}, 1)
		}
		go func() {
			defer close(done)
			_ = m.Socket("/chat").Open()
			_ = m.Socket("/").Connect(ctx)
		}()
		<-done
		if ctx.Err() != nil {
			t.Fatal("nothing ends it")
		}
	})
}
