package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/zishang520/socket.io/parsers/engine/v3/packet"
	"github.com/zishang520/socket.io/servers/engine/v3"
	"github.com/zishang520/socket.io/servers/engine/v3/config"
	"github.com/zishang520/socket.io/servers/engine/v3/transports"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

// short are the options of the public suites.
func short() *config.ServerOptions {
	o := config.DefaultServerOptions()
	o.SetPingInterval(300 * time.Millisecond)
	o.SetPingTimeout(200 * time.Millisecond)
	o.SetMaxHttpBufferSize(1_000_000)
	o.SetCors(&types.Cors{Origin: "*"})
	return o
}

// newEcho is the fixture of the Engine.IO suites.
func newEcho(revision3 bool) http.Handler {
	o := short()
	o.SetAllowEIO3(revision3)
	server := engine.NewServer(o)
	onConnection(server, func(s engine.Socket) {
		onMessage(s, func(m types.BufferInterface) { s.Send(m, nil, nil) })
	})
	return server
}

func onConnection(server engine.Server, accept func(engine.Socket)) {
	must(server.On("connection", func(args ...any) { accept(args[0].(engine.Socket)) }))
}

func onMessage(s engine.Socket, receive func(types.BufferInterface)) {
	must(s.On("message", func(args ...any) {
		if m, ok := args[0].(types.BufferInterface); ok {
			receive(m)
		}
	}))
}

func sendText(s engine.Socket, texts ...string) {
	for _, t := range texts {
		s.Send(types.NewStringBufferString(t), nil, nil)
	}
}

// newEIOClient is the fixture of the official Engine.IO client's suite.
func newEIOClient() http.Handler {
	o := config.DefaultServerOptions()
	o.SetPingInterval(500 * time.Millisecond)
	o.SetMaxHttpBufferSize(100)
	o.SetAllowRequest(func(ctx *types.HttpContext) error {
		if ctx.Query().Has("deny") {
			return errors.New("Forbidden")
		}
		return nil
	})
	server := engine.NewServer(o)
	var mu sync.Mutex
	headers := map[string]http.Header{} // by session: of its last POST
	server.Use(func(ctx *types.HttpContext, next func(error)) {
		if r := ctx.Request(); r.Method == http.MethodPost {
			mu.Lock()
			headers[ctx.Query().Peek("sid")] = r.Header
			mu.Unlock()
		}
		next(nil)
	})
	must(server.On("initial_headers", func(args ...any) {
		h := args[0].(*types.ParameterBag)
		for _, c := range []string{"1=1; Max-Age=86400", "2=2; Path=/; HttpOnly; Secure; SameSite=Strict", "3=3; Max-Age=0",
			"4=4; Expires=" + time.Now().UTC().Format(http.TimeFormat)} {
			h.Add("Set-Cookie", c)
		}
	}))
	onConnection(server, func(s engine.Socket) {
		sendText(s, "hi")
		onMessage(s, func(m types.BufferInterface) {
			switch m.String() {
			case "give binary":
				s.Send(types.NewBytesBuffer([]byte{0, 1, 2, 3, 4}), nil, nil)
			case "give utf8":
				sendText(s, "пойду спать всем спокойной ночи")
			case "sendHeaders":
				mu.Lock()
				flat := map[string]string{}
				for name, values := range headers[s.Id()] {
					separator := ", "
					if name == "Cookie" {
						separator = "; "
					}
					flat[strings.ToLower(name)] = strings.Join(values, separator)
				}
				mu.Unlock()
				data, _ := json.Marshal(flat) // strings only
				sendText(s, string(data))
			default:
				s.Send(m, nil, nil)
			}
		})
	})
	return server
}

// journalled makes an engine whose sessions log what happens to them and answer the
// messages of behaviours.js.
func (j *journal) journalled(o *config.ServerOptions) engine.Server {
	server := engine.NewServer(o)
	onConnection(server, func(s engine.Socket) {
		query := s.Request().Query()
		tag := query.Peek("tag")
		if query.Has("greet") {
			sendText(s, "greeting")
		}
		must(s.On("close", func(args ...any) { j.add(tag, "closed %v", args[0]) }))
		must(s.On("upgrade", func(args ...any) { j.add(tag, "upgraded %s", args[0].(transports.Transport).Name()) }))
		onMessage(s, func(m types.BufferInterface) { j.receive(s, tag, m) })
	})
	return server
}

func (j *journal) receive(s engine.Socket, tag string, m types.BufferInterface) {
	switch m.String() {
	case "big":
		sendText(s, strings.Repeat("a", 3000))
	case "big, uncompressed":
		s.Send(types.NewStringBufferString(strings.Repeat("a", 3000)), packet.NewOptions(false), nil)
	case "close":
		sendText(s, "a", "b", "c")
		s.Close(false)
		sendText(s, "late")
	case "discard":
		sendText(s, "a")
		s.Close(true)
	case "callbacks":
		for _, t := range []string{"m1", "m2", "m3"} {
			s.Send(types.NewStringBufferString(t), nil, func(transports.Transport) { j.add(tag, "sent %s", t) })
		}
	default:
		j.add(tag, "got %s", m)
		s.Send(m, nil, nil)
	}
}

// newHooks has every hook, a cookie, CORS for one origin and a short upgrade.
func (j *journal) newHooks() http.Handler {
	o := config.DefaultServerOptions()
	o.SetUpgradeTimeout(300 * time.Millisecond)
	o.SetCookie(&http.Cookie{Name: "io", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	o.SetCors(&types.Cors{Origin: "https://app.example", Credentials: true})
	o.SetAllowRequest(func(ctx *types.HttpContext) error {
		j.add(ctx.Query().Peek("tag"), "allowRequest")
		if why := ctx.Query().Peek("refuse"); why != "" {
			return errors.New(why)
		}
		return nil
	})
	server := j.journalled(o)
	server.Use(func(ctx *types.HttpContext, next func(error)) {
		switch ctx.Query().Peek("mw") {
		case "fail":
			next(errors.New("wrong"))
		case "end":
			_ = ctx.SetStatusCode(http.StatusServiceUnavailable)
			_, _ = ctx.Write(nil)
		default:
			next(nil)
		}
	})
	must(server.On("initial_headers", func(args ...any) {
		j.add(args[1].(*types.HttpContext).Query().Peek("tag"), "initial_headers")
		args[0].(*types.ParameterBag).Set("X-Initial", "1")
	}))
	must(server.On("headers", func(args ...any) { args[0].(*types.ParameterBag).Set("X-Each", "1") }))
	must(server.On("connection_error", func(args ...any) {
		e := args[0].(*types.ErrorMessage)
		j.add(e.Req.Query().Peek("tag"), "%d %s %v", e.Code, e.Message, e.Context["name"])
	}))
	return server
}

func (j *journal) newDeflate() http.Handler {
	o := config.DefaultServerOptions()
	o.SetPerMessageDeflate(&types.PerMessageDeflate{Threshold: 10})
	return j.journalled(o)
}

func (j *journal) newJSONP() http.Handler {
	o := config.DefaultServerOptions()
	o.SetAllowEIO3(true)
	return j.journalled(o)
}

func (j *journal) newInitial() http.Handler {
	o := config.DefaultServerOptions()
	o.SetInitialPacket(io.Reader(types.NewStringBufferString("welcome")))
	return j.journalled(o)
}

func (j *journal) newPollingOnly() http.Handler {
	o := config.DefaultServerOptions()
	o.SetAllowUpgrades(false)
	o.SetTransports(types.NewSet(engine.Polling))
	return j.journalled(o)
}
