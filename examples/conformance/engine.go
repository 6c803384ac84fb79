package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"posthouse/socketio/engineio"
)

func suiteOptions(m *member, log *slog.Logger) engineio.Options {
	return engineio.Options{
		Path:         "/engine.io/",
		PingInterval: 300 * time.Millisecond,
		PingTimeout:  200 * time.Millisecond,
		MaxPayload:   1_000_000,
		CORS:         &engineio.CORS{Origin: "*"},
		GenerateID:   m.newID(),
		Logger:       log,
	}
}

func newEIO4(m *member, log *slog.Logger) server {
	o := suiteOptions(m, log)
	o.Accept = acceptEcho
	return engineio.NewServer(&o)
}

func newEIO3(m *member, log *slog.Logger) server {
	o := suiteOptions(m, log)
	o.AllowEIO3 = true
	o.Accept = acceptEcho
	return engineio.NewServer(&o)
}

// echo sends every message back.
type echo struct{ session *engineio.Session }

func acceptEcho(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
	return echo{s}, nil
}

func (e echo) Receive(m engineio.Message) error { return e.session.SendMessages(m) }
func (echo) Closed(engineio.Reason, error)      {}

// eioClient is the fixture of the official Engine.IO client's suite.
type eioClient struct {
	mu      sync.Mutex             // guards what follows
	headers map[string]http.Header // by session: of the POST being read
}

func newEIOClient(m *member, log *slog.Logger) server {
	f := &eioClient{headers: map[string]http.Header{}}
	return engineio.NewServer(&engineio.Options{
		Path:         "/engine.io/",
		PingInterval: 500 * time.Millisecond,
		MaxPayload:   100,
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Has("deny") {
				return errors.New("Forbidden")
			}
			return nil
		},
		Middlewares: []func(http.Handler) http.Handler{f.remember},
		OnInitialHeaders: func(h http.Header, _ *http.Request) {
			h.Add("Set-Cookie", "1=1; Max-Age=86400")
			h.Add("Set-Cookie", "2=2; Path=/; HttpOnly; Secure; SameSite=Strict")
			h.Add("Set-Cookie", "3=3; Max-Age=0")
			h.Add("Set-Cookie", "4=4; Expires="+time.Now().UTC().Format(http.TimeFormat))
		},
		Accept:     f.accept,
		GenerateID: m.newID(),
		Logger:     log,
	})
}

// remember keeps the headers of a POST while its packets are handled.
func (f *eioClient) remember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		sid := r.URL.Query().Get("sid")
		f.mu.Lock()
		f.headers[sid] = r.Header
		f.mu.Unlock()
		next.ServeHTTP(w, r)
		f.mu.Lock()
		delete(f.headers, sid)
		f.mu.Unlock()
	})
}

func (f *eioClient) accept(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
	return &eioClientSession{f, s}, text(s, "hi")
}

type eioClientSession struct {
	fixture *eioClient
	session *engineio.Session
}

func text(s *engineio.Session, t string) error {
	return s.SendMessages(engineio.Message{Data: []byte(t)})
}

func (c *eioClientSession) Receive(m engineio.Message) error {
	if m.Binary {
		return c.session.SendMessages(m)
	}
	switch string(m.Data) {
	case "give binary":
		return c.session.SendMessages(engineio.Message{Data: []byte{0, 1, 2, 3, 4}, Binary: true})
	case "give utf8":
		return text(c.session, "пойду спать всем спокойной ночи")
	case "sendHeaders":
		return c.sendHeaders()
	default:
		return c.session.SendMessages(m)
	}
}

func (c *eioClientSession) sendHeaders() error {
	c.fixture.mu.Lock()
	defer c.fixture.mu.Unlock()
	flat := map[string]string{}
	for name, values := range c.fixture.headers[c.session.ID()] {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		flat[strings.ToLower(name)] = strings.Join(values, separator)
	}
	data, err := json.Marshal(flat)
	if err != nil {
		return err
	}
	return text(c.session, string(data))
}

func (*eioClientSession) Closed(engineio.Reason, error) {}
