package hook_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type obj = map[string]any

// backend answers requests in the place of a network.
type backend struct {
	answer func(r *http.Request, in request) (*http.Response, error)

	mu       sync.Mutex // guards what follows
	requests []request
	headers  []http.Header
}

// request is a body as a back end reads it.
type request struct {
	Type, ID, Namespace, Socket, User, Event, Reason, Replica, Address, Time string
	Claims, Data                                                             any
	Rooms                                                                    []string
	Args                                                                     []json.RawMessage
	Ack                                                                      *bool
	Auth                                                                     obj
	Headers                                                                  map[string]string
}

func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in request
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.requests = append(b.requests, in)
	b.headers = append(b.headers, r.Header)
	b.mu.Unlock()
	if b.answer == nil {
		return respond(204, ""), nil
	}
	return b.answer(r, in)
}

func (b *backend) got() []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]request(nil), b.requests...)
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

var secrets = func() []hook.Secret {
	s, err := hook.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	return s
}()

// attached is a server whose namespace /app hands everything to b, at a URL of its own
// and without a log unless o has them.
func attached(t *testing.T, b *backend, o *hook.Options) (*sockettest.Server, *hook.Client) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	o.URL, o.Secrets, o.Transport, o.Logger = cmp.Or(o.URL, "http://backend.example/hook"), secrets, b, cmp.Or(o.Logger, quiet)
	client, err := hook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet})
	client.Attach(srv.Of("/app"))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = client.Shutdown(ctx) // a test that wants to know calls it itself
	})
	return srv, client
}

func TestClient_Connect_TheBodyAndWhatTheAnswerSets(t *testing.T) {
	b := &backend{}
	b.answer = func(_ *http.Request, in request) (*http.Response, error) {
		if in.Type == "connect" {
			return respond(200, `{"user":"ada","rooms":["a","b"],"data":{"plan":"pro"}}`), nil
		}
		return respond(204, ""), nil
	}
	srv, _ := attached(t, b, &hook.Options{Replica: "gw1", Headers: []string{"x-tenant", "x-missing"}})
	c, err := srv.TryConnect("/app", obj{"token": "secret", "lang": "zh"}, &sockettest.DialOptions{Header: http.Header{"X-Tenant": {"t1"}, "Authorization": {"secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Emit("say", "hello")
	c.Call("ask")
	got := b.got()
	if len(got) != 3 {
		t.Fatalf("%d requests", len(got))
	}
	in := got[0]
	if in.Type != "connect" || !strings.HasPrefix(in.ID, "msg_") || in.Namespace != "/app" || in.Socket != c.ID || in.Replica != "gw1" || len(in.Rooms) != 0 || in.Ack != nil {
		t.Errorf("connect: %+v", in)
	}
	if len(in.Auth) != 1 || in.Auth["lang"] != "zh" || len(in.Headers) != 1 || in.Headers["x-tenant"] != "t1" {
		t.Errorf("auth %v, headers %v", in.Auth, in.Headers)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.000Z", in.Time); err != nil || time.Since(at) > time.Minute {
		t.Errorf("time %q", in.Time)
	}
	if in = got[1]; in.Type != "event" || in.Event != "say" || in.User != "ada" || fmt.Sprint(in.Rooms) != "[a b]" || fmt.Sprint(in.Data) != "map[plan:pro]" || *in.Ack || string(in.Args[0]) != `"hello"` {
		t.Errorf("event: %+v", in)
	}
	if in.Address == "" || in.Socket != c.ID || in.Namespace != "/app" || in.Replica != "gw1" || in.ID == got[0].ID {
		t.Errorf("event: %+v", in)
	}
	if in = got[2]; !*in.Ack || len(in.Args) != 0 {
		t.Errorf("event with ack: %+v", in)
	}
	for _, h := range b.headers {
		for name, values := range h {
			if strings.Contains(strings.Join(values, " "), "secret") {
				t.Errorf("the header %s holds the token", name)
			}
		}
	}
}

func TestClient_Connect_Refusals(t *testing.T) {
	for _, test := range []struct {
		name     string
		status   int
		body     string
		fail     error
		failOpen bool
		message  string // "": let in
		data     string
	}{
		{"200", 200, `{}`, nil, false, "", ""},
		{"204", 204, ``, nil, false, "", ""},
		{"401", 401, `{}`, nil, false, "unauthorized", `{"code":"unauthorized"}`},
		{"403 with words", 403, `{"message":"no seats","data":{"left":0}}`, nil, false, "no seats", `{"left":0}`},
		{"404", 404, `{}`, nil, false, "unavailable", `{"code":"unavailable"}`},
		{"500", 500, `{}`, nil, false, "unavailable", `{"code":"unavailable"}`},
		{"redirect", 302, `{}`, nil, false, "unavailable", `{"code":"unavailable"}`},
		{"no JSON", 200, `<html>`, nil, false, "unavailable", `{"code":"unavailable"}`},
		{"no connection", 0, ``, errors.New("refused"), false, "unavailable", `{"code":"unavailable"}`},
		{"no connection, open", 0, ``, errors.New("refused"), true, "", ""},
		{"403, open", 403, `{}`, nil, true, "unauthorized", `{"code":"unauthorized"}`},
		{"404, open", 404, `{}`, nil, true, "", ""},
		{"500, open", 500, `{}`, nil, true, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
				return respond(test.status, test.body), test.fail
			}}
			srv, _ := attached(t, b, &hook.Options{FailOpen: test.failOpen, Events: []string{"connect"}})
			_, err := srv.TryConnect("/app", nil, nil)
			var refusal *socketio.ConnectError
			switch {
			case test.message == "" && err != nil:
				t.Error(err)
			case test.message != "" && (!errors.As(err, &refusal) || refusal.Message != test.message || string(refusal.Data.(json.RawMessage)) != test.data):
				t.Errorf("%v", err)
			}
		})
	}
}

func TestClient_Event_Answers(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		header string
		ack    string
	}{
		{"204", 204, ``, "", `[]`},
		{"nothing said", 200, `{}`, "", `[]`},
		{"arguments", 200, `{"ack":["a",{"b":[1]},null]}`, "", `["a",{"b":[1]},null]`},
		{"4xx", 422, `{"error":{"code":"too_long","max":7}}`, "", `[{"error":{"code":"too_long","max":7}}]`},
		{"4xx without a word", 400, `{}`, "", `[{"error":{"code":"bad_request"}}]`},
		{"5xx", 503, `{"ack":["a"]}`, "", "unavailable"},
		{"redirect", 307, `{}`, "", "unavailable"},
		{"half", 200, `{"ack":["a"`, "", "unavailable"},
		{"another type", 200, `{"ack":"a"}`, "", "unavailable"},
		{"HTML", 200, `{"ack":["a"]}`, "text/html", "unavailable"},
		{"huge", 200, `{"ack":["` + strings.Repeat("a", 1<<20) + `"]}`, "", "unavailable"},
		{"a number out of range", 200, `{"ack":[1e999]}`, "", "unavailable"},
		{"not UTF-8", 200, "{\"ack\":[\"\xff\"]}", "", "unavailable"},
		{"4xx in HTML", 404, `<h1>`, "text/html", "unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
				w := respond(test.status, test.body)
				if test.header != "" {
					w.Header.Set("Content-Type", test.header)
				}
				return w, nil
			}}
			srv, client := attached(t, b, &hook.Options{Events: []string{"*"}})
			c := srv.Connect("/app", nil)
			got := c.Call("do").String()
			want := test.ack
			if want == "unavailable" {
				want = `[{"error":{"code":"unavailable","message":"the back end cannot be reached"}}]`
			}
			if got != want {
				t.Errorf("ack %s, want %s", got, want)
			}
			if failed := client.Stats().Failed; (test.ack == "unavailable") != (failed == 1) {
				t.Errorf("%d failures", failed)
			}
		})
	}
}

func TestClient_Event_TheAnswerIsDone(t *testing.T) {
	b := &backend{answer: func(_ *http.Request, in request) (*http.Response, error) {
		switch in.Event {
		case "enter":
			return respond(200, `{"join":["room","other"],"data":{"n":1},"ack":[{"$binary":"aGk="}],
				"emit":[{"to":["room"],"event":"entered","args":[{"$binary":"AQI="},{"$object":{"$binary":"x"}}]},{"namespace":"/none","event":"lost"},{"event":"all","args":[1]}]}`), nil
		case "leave":
			return respond(200, `{"leave":["other"],"disconnect":true}`), nil
		}
		return respond(204, ""), nil
	}}
	srv, client := attached(t, b, &hook.Options{Events: []string{"*", "disconnect"}})
	queued := make(chan struct{}, 2)
	srv.Of("/app").OnDisconnect(func(*socketio.Socket, socketio.Reason) { queued <- struct{}{} }) // behind the hook's own
	other := srv.Connect("/app", nil)
	c := srv.Connect("/app", nil)
	ack := c.Call("enter", []byte{1, 2, 3}, obj{"$binary": "mine"})
	if len(ack.Attachments) != 1 || string(ack.Attachments[0]) != "hi" {
		t.Errorf("ack %s %q", ack, ack.Attachments)
	}
	m := c.Expect("entered")
	if len(m.Args.Attachments) != 1 || string(m.Args.Attachments[0]) != "\x01\x02" || m.Args.JSON(1) != `{"$binary":"x"}` {
		t.Errorf("entered %s %q", m.Args, m.Args.Attachments)
	}
	other.Expect("all")
	in := b.got()[0]
	if string(in.Args[0]) != `{"$binary":"AQID"}` || string(in.Args[1]) != `{"$object":{"$binary":"mine"}}` {
		t.Errorf("args %s", in.Args)
	}
	c.Call("look")
	if in := b.got()[1]; fmt.Sprint(in.Rooms) != "[room other]" && fmt.Sprint(in.Rooms) != "[other room]" || fmt.Sprint(in.Data) != "map[n:1]" {
		t.Errorf("rooms %v, data %v", in.Rooms, in.Data)
	}
	c.Emit("leave")
	c.Disconnected()
	<-queued
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	last := b.got()[3]
	if last.Type != "disconnect" || last.Reason != string(socketio.ReasonServerNamespace) || last.Socket != c.ID {
		t.Errorf("%+v", last)
	}
}

// One event of a socket at a time, in order; other sockets do not wait for it; beyond
// the concurrency the answer is there at once.
func TestClient_Event_OrderAndConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(r *http.Request, in request) (*http.Response, error) {
			select {
			case <-time.After(time.Second):
				return respond(200, `{"ack":[`+string(in.Args[0])+`]}`), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Concurrency: 2})
		one, two, three := srv.Connect("/app", nil), srv.Connect("/app", nil), srv.Connect("/app", nil)
		began := time.Now()
		for i := range 3 {
			one.Emit("n", i)
		}
		two.Emit("n", 10)
		synctest.Wait()
		if n := len(b.got()); n != 2 {
			t.Errorf("%d requests are under way, want one for each socket", n)
		}
		if got := three.Call("n", 20).String(); !strings.Contains(got, "unavailable") || time.Since(began) > 0 {
			t.Errorf("beyond the concurrency: %s after %v", got, time.Since(began))
		}
		if got := one.Call("n", 3).String(); got != "[3]" || time.Since(began) != 4*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		var order []string
		for _, in := range b.got() {
			if in.Socket == one.ID {
				order = append(order, string(in.Args[0]))
			}
		}
		if fmt.Sprint(order) != "[0 1 2 3]" {
			t.Errorf("order %v", order)
		}
		if s := client.Stats(); s.Refused != 1 || s.Failed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A dead back end is asked five times, then spared for five seconds, then asked once.
func TestClient_Breaker_SparesADeadBackEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
			if well.Load() {
				return respond(204, ""), nil
			}
			<-r.Context().Done() // it hangs
			return nil, r.Context().Err()
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Timeout: time.Second})
		c := srv.Connect("/app", nil)
		began := time.Now()
		for range 5 {
			c.Call("x")
		}
		if time.Since(began) != 5*time.Second {
			t.Errorf("five requests took %v", time.Since(began))
		}
		for range 20 {
			if got := c.Call("x").String(); !strings.Contains(got, "unavailable") {
				t.Errorf("ack %s", got)
			}
		}
		if n := len(b.got()); n != 5 || time.Since(began) != 5*time.Second {
			t.Errorf("%d requests after %v", n, time.Since(began))
		}
		time.Sleep(5*time.Second + time.Millisecond)
		well.Store(true)
		if got := c.Call("x").String(); got != "[]" {
			t.Errorf("ack %s", got)
		}
		if s := client.Stats(); s.Posted != 6 || s.Failed != 5 || s.Refused != 20 {
			t.Errorf("%+v", s)
		}
	})
}

// A repeat has the id of the first try, and a signature of its own time.
func TestClient_Retries_KeepTheWebhookID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
			if tries++; tries < 3 {
				return respond(500, ""), nil
			}
			return respond(200, `{"ack":[1]}`), nil
		}}
		srv, _ := attached(t, b, &hook.Options{Events: []string{"*"}, Retries: 2})
		c := srv.Connect("/app", nil)
		if got := c.Call("x").String(); got != "[1]" {
			t.Errorf("ack %s", got)
		}
		got := b.got()
		if len(got) != 3 || got[0].ID != got[2].ID || b.headers[0].Get("Webhook-Id") != got[0].ID {
			t.Errorf("%+v", got)
		}
		if tries = 0; c.Call("y").String() != "[1]" || b.got()[3].ID == got[0].ID {
			t.Error("another event has the same id")
		}
	})
}

// A disconnect is tried again, first within five seconds and for ten minutes, with the
// same id.
func TestClient_Disconnect_IsRepeatedForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		began := time.Now()
		var down atomic.Bool
		down.Store(true)
		b := &backend{}
		b.answer = func(*http.Request, request) (*http.Response, error) {
			mu.Lock()
			at = append(at, time.Since(began))
			mu.Unlock()
			if down.Load() {
				return nil, errors.New("refused")
			}
			return respond(204, ""), nil
		}
		srv, client := attached(t, b, &hook.Options{Events: []string{"disconnect"}})
		c := srv.Connect("/app", nil)
		c.Disconnect()
		time.Sleep(time.Minute)
		mu.Lock()
		if len(at) < 3 || at[0] > 0 || at[1] > 5*time.Second {
			t.Errorf("tries at %v", at)
		}
		mu.Unlock()
		if s := client.Stats(); s.Disconnects != 1 {
			t.Errorf("%+v", s)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		if s := client.Stats(); s.Disconnects != 0 || s.Dropped != 0 {
			t.Errorf("%+v", s)
		}
		for _, in := range b.got() {
			if in.ID != b.got()[0].ID || in.Type != "disconnect" || in.Reason != string(socketio.ReasonClientNamespace) {
				t.Errorf("%+v", in)
			}
		}
		down.Store(true)
		srv.Connect("/app", nil).Disconnect()
		time.Sleep(11 * time.Minute)
		if s := client.Stats(); s.Disconnects != 0 || s.Dropped != 1 {
			t.Errorf("after ten minutes: %+v", s)
		}
	})
}

// The queue of disconnects is bounded: the oldest fall out and are counted.
func TestClient_Disconnect_TheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"disconnect"}})
		const n = 10_100
		ns := srv.Of("/app")
		for range n {
			c := srv.Connect("/app", nil)
			ns.Socket(c.ID).Disconnect(true)
			c.Close()
		}
		synctest.Wait()
		s := client.Stats()
		if s.Disconnects > 10_000+8 || s.Disconnects+s.Dropped != n {
			t.Errorf("%+v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Shutdown(ctx); err == nil {
			t.Error("no error although notices were dropped")
		}
		if s := client.Stats(); s.Disconnects != 0 || s.Dropped != n {
			t.Errorf("after the shutdown: %+v", s)
		}
	})
}

func TestNew_RefusesWrongOptions(t *testing.T) {
	for want, o := range map[string]hook.Options{
		"URL":     {URL: "ftp://x/", Secrets: secrets},
		"whole":   {URL: "/hook", Secrets: secrets},
		"Secrets": {URL: "http://x/"},
		"Retries": {URL: "http://x/", Secrets: secrets, Retries: 6},
		"-1":      {URL: "http://x/", Secrets: secrets, Retries: -1},
		"http:":   {URL: "http:///hook", Secrets: secrets},
		`URL ""`:  {URL: ":", Secrets: secrets},
	} {
		if _, err := hook.New(&o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := hook.New(&hook.Options{URL: "https://x", Secrets: secrets, Retries: 5}); err != nil {
		t.Error(err)
	}
}
