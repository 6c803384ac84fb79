package main

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

// split takes the acknowledgement off the end of an event's arguments; without one
// it returns a function that does nothing.
func split(args []any) (ack func(...any), rest []any) {
	if n := len(args); n > 0 {
		if fn, ok := args[n-1].(socket.Ack); ok {
			return func(answer ...any) { fn(answer, nil) }, args[:n-1]
		}
	}
	return func(...any) {}, args
}

func arg(args []any, i int) any {
	if i < len(args) {
		return args[i]
	}
	return nil
}

func accept(nsp socket.Namespace, fn func(*socket.Socket)) {
	must(nsp.On("connection", func(args ...any) { fn(args[0].(*socket.Socket)) }))
}

// on registers a handler that gets the acknowledgement apart.
func on(s *socket.Socket, event string, fn func(ack func(...any), args []any)) {
	must(s.On(event, func(args ...any) { fn(split(args)) }))
}

// newSIO5 is the fixture of the Socket.IO protocol suite.
func newSIO5() http.Handler {
	o := socket.DefaultServerOptions()
	o.SetPingInterval(300 * time.Millisecond)
	o.SetPingTimeout(200 * time.Millisecond)
	o.SetMaxHttpBufferSize(1_000_000)
	o.SetConnectTimeout(time.Second)
	o.SetCors(&types.Cors{Origin: "*"})
	io := socket.NewServer(nil, o)
	greet := func(s *socket.Socket) { _ = s.Emit("auth", s.Handshake().Auth) }
	accept(io.Sockets(), func(s *socket.Socket) {
		greet(s)
		must(s.On("message", func(args ...any) { _ = s.Emit("message-back", args...) }))
		on(s, "message-with-ack", func(ack func(...any), args []any) { ack(args...) })
	})
	accept(io.Of("/custom", nil), greet)
	return io.ServeHandler(o)
}

// newSIOClient is the fixture of the official Socket.IO client's suite.
func newSIOClient() http.Handler {
	o := socket.DefaultServerOptions()
	o.SetPingInterval(2 * time.Second)
	o.SetConnectionStateRecovery(socket.DefaultConnectionStateRecovery())
	o.SetAllowRequest(func(*types.HttpContext) error {
		<-time.After(10 * time.Millisecond)
		return nil
	})
	io := socket.NewServer(nil, o)
	io.Use(func(s *socket.Socket, next func(*socket.ExtendedError)) {
		if s.Handshake().Query.Query().Get("fail") != "" {
			next(socket.NewExtendedError("Auth failed (main namespace)", nil))
			return
		}
		next(nil)
	})
	io.Of("/no", nil).Use(func(_ *socket.Socket, next func(*socket.ExtendedError)) {
		next(socket.NewExtendedError("Auth failed (custom namespace)", nil))
	})
	accept(io.Of("/foo", nil), func(s *socket.Socket) {
		on(s, "getId", func(ack func(...any), _ []any) { ack(s.Id()) })
	})
	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		io.Of(name, nil)
	}
	accept(io.Of("/abc", nil), func(s *socket.Socket) { _ = s.Emit("handshake", s.Handshake()) })
	accept(io.Sockets(), mainNamespace)
	return io.ServeHandler(o)
}

func isoTime() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func isBinary(v any) bool {
	_, text := v.(*types.StringBuffer)
	_, buffer := v.(types.BufferInterface)
	_, bytes := v.([]byte)
	return bytes || buffer && !text
}

func isMessage(v any) bool {
	m, ok := v.(map[string]any)
	return ok && m["hello"] == "lol" && m["goodbye"] == "gotcha" && isBinary(m["message"])
}

func mainNamespace(s *socket.Socket) {
	emit := func(event string, args ...any) { _ = s.Emit(event, args...) }
	reply := func(event, answer string, args ...any) {
		must(s.On(event, func(...any) { emit(answer, args...) }))
	}
	when := func(event, answer string, fits func(args []any) bool) {
		on(s, event, func(_ func(...any), args []any) {
			if fits(args) {
				emit(answer)
			}
		})
	}
	reply("hi", "hi")
	reply("false", "false", false)
	reply("doge", "doge", []byte("asdfasdf"))
	reply("getbin", "takebin", []byte("asdfasdf"))
	on(s, "echo", func(ack func(...any), args []any) { ack(arg(args, 0)) })
	must(s.On("ack", func(...any) {
		s.EmitWithAck("ack")(func(answer []any, err error) {
			o, _ := arg(answer, 1).(map[string]any)
			if err == nil && arg(answer, 0) == 5.0 && o["test"] == true {
				emit("got it")
			}
		})
	}))
	on(s, "getAckDate", func(ack func(...any), _ []any) { ack(isoTime()) })
	must(s.On("getDate", func(...any) { emit("takeDate", isoTime()) }))
	must(s.On("getDateObj", func(...any) { emit("takeDateObj", map[string]string{"date": isoTime()}) }))
	must(s.On("getUtf8", func(...any) {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			emit("takeUtf8", text)
		}
	}))
	on(s, "getHandshake", func(ack func(...any), _ []any) { ack(s.Handshake()) })
	on(s, "getId", func(ack func(...any), _ []any) { ack(s.Id()) })
	when("buffa", "buffack", func(a []any) bool { return isBinary(arg(a, 0)) })
	when("blob", "back", func(a []any) bool { return isBinary(arg(a, 0)) })
	when("jsonbuff", "jsonbuff-ack", func(a []any) bool { return isMessage(arg(a, 0)) })
	when("jsonblob", "jsonblob-ack", func(a []any) bool { return isMessage(arg(a, 0)) })
	// The first arrival must be handled first; the counters do not wait for it.
	var steps, blobs atomic.Int32
	on(s, "abuff1", func(_ func(...any), args []any) { advance(&steps, 0, isBinary(arg(args, 0))) })
	when("abuff2", "abuff2-ack", func([]any) bool { return steps.Load() == 1 })
	on(s, "blob1", func(_ func(...any), args []any) { advance(&blobs, 0, isBinary(arg(args, 0))) })
	on(s, "blob2", func(_ func(...any), args []any) { advance(&blobs, 1, arg(args, 0) == "second") })
	when("blob3", "blob3-ack", func(a []any) bool { return blobs.Load() == 2 && isBinary(arg(a, 0)) })
}

func advance(step *atomic.Int32, from int32, fits bool) {
	if fits {
		step.CompareAndSwap(from, from+1)
	}
}
