package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// journal keeps by tag what the servers saw, for GET /log?tag=….
type journal struct {
	mu      sync.Mutex
	entries map[string][]string
}

func (j *journal) add(tag, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[tag] = append(j.entries[tag], fmt.Sprintf(format, args...))
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = json.NewEncoder(w).Encode(append([]string{}, j.entries[r.URL.Query().Get("tag")]...))
}

// startExtras serves what the fixtures of the public suites have no room for:
// hooks, cookies, compression, the events of behaviours.js. testdata/twin_extras.js
// is the same on Node.
func startExtras(t *testing.T) urls {
	t.Helper()
	j := &journal{entries: map[string][]string{}}
	found := urls{}
	serve := func(name, path string, h http.Handler, shutdown func(context.Context) error) {
		mux := http.NewServeMux()
		mux.Handle("/log", j)
		mux.Handle(path, h)
		ts := httptest.NewServer(mux)
		found[name] = ts.URL
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := shutdown(ctx); err != nil {
				t.Error(err)
			}
			ts.Close()
		})
	}
	engine := func(name string, o engineio.Options) {
		o.Accept = j.acceptEngine
		o.Logger = slog.New(slog.DiscardHandler)
		srv := engineio.NewServer(&o)
		serve(name, "/engine.io/", srv, srv.Shutdown)
	}
	engine("hooks", engineio.Options{
		UpgradeTimeout: 300 * time.Millisecond,
		Cookie:         &http.Cookie{},
		CORS:           &engineio.CORS{Origin: "https://app.example", Credentials: true},
		Middlewares:    []func(http.Handler) http.Handler{middleware},
		AllowRequest: func(r *http.Request) error {
			j.add(r.URL.Query().Get("tag"), "allowRequest")
			if why := r.URL.Query().Get("refuse"); why != "" {
				return errors.New(why)
			}
			return nil
		},
		OnInitialHeaders: func(h http.Header, r *http.Request) {
			j.add(r.URL.Query().Get("tag"), "initial_headers")
			h.Set("X-Initial", "1")
		},
		OnHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Each", "1") },
		OnConnectionError: func(e *engineio.ConnectionError) {
			j.add(e.Request.URL.Query().Get("tag"), "%d %s %v", e.Code, e.Message, e.Context["name"])
		},
	})
	engine("deflate", engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 10}})
	engine("jsonp", engineio.Options{AllowEIO3: true, JSONP: true})
	engine("initial", engineio.Options{InitialPacket: &engineio.Message{Data: []byte("welcome")}})
	engine("noupgrade", engineio.Options{DisallowUpgrades: true, Transports: []string{"polling"}})
	sio := func(name string, o socketio.Options) {
		o.Logger = slog.New(slog.DiscardHandler)
		io := socketio.NewServer(&o)
		j.events(io)
		serve(name, "/socket.io/", io, io.Shutdown)
	}
	sio("sio", socketio.Options{})
	sio("siov2", socketio.Options{Engine: engineio.Options{AllowEIO3: true}})
	sio("recovery", socketio.Options{Recovery: &socketio.Recovery{}})
	return found
}

// middleware refuses or answers what asks for it.
func middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("mw") {
		case "fail":
			engineio.RefuseRequest(w, r, errors.New("wrong"))
		case "end":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (j *journal) acceptEngine(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
	e := &engineSession{j, r.URL.Query().Get("tag"), s}
	if r.URL.Query().Has("greet") {
		_ = s.SendMessages(text("greeting"))
	}
	return e, nil
}

type engineSession struct {
	j   *journal
	tag string
	s   *engineio.Session
}

func text(s string) engineio.Message { return engineio.Message{Data: []byte(s)} }

func (e *engineSession) Receive(m engineio.Message) error {
	s := e.s
	send := func(texts ...string) {
		for _, t := range texts {
			_ = s.SendMessages(text(t))
		}
	}
	switch string(m.Data) {
	case "big":
		send(strings.Repeat("a", 3000))
	case "big, uncompressed":
		_ = s.Send(engineio.NewFrame(text(strings.Repeat("a", 3000)), false))
	case "close":
		send("a", "b", "c")
		s.Close()
		send("late")
	case "discard":
		send("a")
		s.Discard()
	case "callbacks":
		for _, t := range []string{"m1", "m2", "m3"} {
			send(t)
			s.AfterFlush(func() { e.j.add(e.tag, "sent %s", t) })
		}
	default:
		e.j.add(e.tag, "got %s", m.Data)
		_ = s.SendMessages(m)
	}
	return nil
}

func (e *engineSession) Closed(r engineio.Reason, _ error) { e.j.add(e.tag, "closed %s", r) }
func (e *engineSession) Upgraded(name string)              { e.j.add(e.tag, "upgraded %s", name) }

// tagOf is the tag that a socket's auth names.
func tagOf(s *socketio.Socket) string {
	var auth struct{ Tag string }
	_ = s.Auth(&auth)
	return auth.Tag
}

// events are what behaviours.js asks a Socket.IO server for.
func (j *journal) events(io *socketio.Server) {
	late := io.Of("/late")
	late.Use(func(ctx context.Context, s *socketio.Socket) error {
		_ = s.Join("waiting")
		select {
		case <-time.After(150 * time.Millisecond):
		case <-ctx.Done():
		}
		var auth struct{ Fail bool }
		if _ = s.Auth(&auth); auth.Fail {
			return &socketio.ConnectError{Message: "no", Data: map[string]int{"a": 1}}
		}
		return nil
	})
	late.OnConnection(func(s *socketio.Socket) { j.add(tagOf(s), "connected") })
	io.Of("/refuse").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "refused", Data: map[string]int{"code": 7}}
	})
	io.OfRegexp(regexp.MustCompile(`^/dyn-\w+$`)).OnConnection(func(s *socketio.Socket) { _ = s.Emit("in", s.Namespace().Name()) })
	io.OnNamespace(func(n *socketio.Namespace) { j.add(n.Name(), "new") })
	io.OnConnection(func(s *socketio.Socket) { j.connection(io, s) })
}

func (j *journal) connection(io *socketio.Server, s *socketio.Socket) {
	tag := tagOf(s)
	_ = s.Emit("welcome")
	rooms := func() []string {
		list := slices.DeleteFunc(s.Rooms(), func(r string) bool { return r == s.ID() })
		slices.Sort(list)
		return append([]string{}, list...)
	}
	s.OnDisconnecting(func(r socketio.Reason) { j.add(tag, "disconnecting %s %d", r, len(rooms())) })
	s.OnDisconnect(func(r socketio.Reason) {
		_ = s.Join("after")
		if tag == "nobody" {
			_ = s.Emit("nobody")
		}
		j.add(tag, "disconnect %s %d", r, len(rooms()))
	})
	s.OnError(func(error) { j.add(tag, "error") })
	s.On("join", func(e *socketio.Event) {
		var list []string
		if e.Bind(&list) == nil {
			_ = s.Join(list...)
			_ = e.Ack(rooms())
		}
	})
	s.On("leave", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			s.Leave(room)
			_ = e.Ack(rooms())
		}
	})
	s.On("to", func(e *socketio.Event) {
		var to, except []string
		var what socketio.Value
		if e.Bind(&to, &except, &what) == nil {
			_ = io.To(to...).Except(except...).Emit("hit", what)
			_ = e.Ack()
		}
	})
	s.On("others", func(e *socketio.Event) {
		_ = s.Broadcast().Emit("hit", "others")
		_ = e.Ack()
	})
	s.On("reuse", func(e *socketio.Event) {
		var a, b string
		if e.Bind(&a, &b) == nil {
			op := io.To(a)
			_ = op.To(b).Emit("hit", "both")
			_ = op.Emit("hit", "first")
			_ = e.Ack()
		}
	})
	s.On("volatile", func(*socketio.Event) {
		_ = s.Volatile().Emit("v", 1)
		_ = s.Volatile().Emit("v", 2)
		_ = s.Emit("r")
	})
	s.On("volatile binary", func(*socketio.Event) {
		_ = s.Volatile().Emit("v", []byte{1}, []byte{2})
		_ = s.Volatile().Emit("v", []byte{3}, []byte{4})
		_ = s.Emit("r", []byte{5})
	})
	s.On("storm", func(*socketio.Event) {
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() { _ = s.Emit("bin", i, []byte{byte(i), 0}, []byte{byte(i), 1}) })
		}
		all.Wait()
		_ = s.Emit("done")
	})
	s.On("ack twice", func(e *socketio.Event) {
		_ = e.Ack(1)
		_ = e.Ack(2)
	})
	s.On("ack late", func(e *socketio.Event) {
		go func() {
			<-time.After(50 * time.Millisecond)
			_ = e.Ack("late", []byte{1})
		}()
	})
	s.On("ask room", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) != nil {
			return
		}
		go func() {
			answers, err := io.To(room).Timeout(300*time.Millisecond).EmitWithAck(context.Background(), "question")
			list := []json.RawMessage{}
			for _, a := range answers {
				list = append(list, a.JSON(0))
			}
			_ = e.Ack(err != nil, list)
		}()
	})
	s.On("ask me", func(e *socketio.Event) {
		_ = s.Timeout(100*time.Millisecond).EmitAck("question", func(a socketio.Args, err error) {
			if err != nil {
				_ = s.Emit("asked", strings.TrimPrefix(err.Error(), "socketio: "))
				return
			}
			_ = s.Emit("asked", nil, a.JSON(0))
		})
	})
	s.On("kick", func(e *socketio.Event) {
		var all bool
		if e.Bind(&all) == nil {
			s.Disconnect(all)
		}
	})
	s.On("slow", func(e *socketio.Event) {
		var n int
		if e.Bind(&n) == nil {
			<-time.After(20 * time.Millisecond)
			_ = s.Emit("slow", n)
		}
	})
	s.On("waiting", func(e *socketio.Event) { _ = e.Ack(io.Of("/late").LocalAdapter().HasRoom("waiting")) })
	s.On("fetch", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			list, _ := io.In(room).FetchSockets(context.Background())
			_ = e.Ack(len(list))
		}
	})
	s.On("flush", func(*socketio.Event) { _ = s.Emit("flush") })
}
