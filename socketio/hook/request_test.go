package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/parser"
	"posthouse/socketio/sockettest"
)

func TestClient_Request_Headers(t *testing.T) {
	for url, authorization := range map[string]string{
		"http://backend.example/hook?key=1":           "",
		"http://gateway:pass@backend.example/hook":    "Basic Z2F0ZXdheTpwYXNz",
		"http://gateway@backend.example/hook?x=1&y=2": "Basic Z2F0ZXdheTo=",
	} {
		b := &backend{}
		srv, _ := attached(t, b, &hook.Options{URL: url, Events: []string{"say"}})
		srv.Connect("/app", nil).Call("say")
		h := b.headers[0]
		for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "posthouse", "Authorization": authorization, "Webhook-Id": b.got()[0].ID} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", url, name, got, want)
			}
		}
		if !strings.HasPrefix(h.Get("Webhook-Signature"), "v1,") || h.Get("Webhook-Timestamp") == "" {
			t.Errorf("%s: %v", url, h)
		}
	}
}

// Attach leaves the events that Options.Events does not name to the program; HandleEvent,
// which is called for all, refuses them.
func TestClient_Events_OnlyNamedOnesArePosted(t *testing.T) {
	b := &backend{}
	srv, client := attached(t, b, &hook.Options{Events: []string{"say"}})
	srv.Of("/app").OnEvent("mine", func(e *socketio.Event) { _ = e.Ack("handled") })
	c := srv.Connect("/app", nil)
	if got := c.Call("mine").String(); got != `["handled"]` || len(b.got()) != 0 {
		t.Errorf("%s after %d requests", got, len(b.got()))
	}
	if got := c.Call("say").String(); got != "[]" || len(b.got()) != 1 {
		t.Errorf("%s after %d requests", got, len(b.got()))
	}
	client.AttachConnections(srv.Of("/other"))
	srv.Of("/other").OnAny(client.HandleEvent)
	if got := srv.Connect("/other", nil).Call("mine").String(); !strings.Contains(got, "unknown_event") || len(b.got()) != 1 {
		t.Errorf("%s after %d requests", got, len(b.got()))
	}
}

func TestClient_Body_UserAndClaims(t *testing.T) {
	b := &backend{}
	named := socketio.NewKey[string]("name")
	srv, client := attached(t, b, &hook.Options{
		User:   func(s *socketio.Socket) string { name, _ := named.Of(s); return name },
		Claims: func(s *socketio.Socket) any { return obj{"of": s.ID()} },
	})
	srv.Of("/app").OnConnection(func(s *socketio.Socket) { named.Set(s, "bob") })
	c := srv.Connect("/app", nil)
	c.Call("one")
	update := hook.Options{URL: "http://backend.example/", Secrets: secrets}
	if err := client.Update(&update); err != nil {
		t.Fatal(err)
	}
	c.Call("two")
	got := b.got()
	for i, user := range []string{"", "bob", "bob"} {
		if got[i].User != user || fmt.Sprint(got[i].Claims) != fmt.Sprint(obj{"of": c.ID}) || got[i].Auth != nil {
			t.Errorf("%+v", got[i])
		}
	}
	srv.Connect("/app", obj{"token": "secret"})
	if got := b.got()[3]; got.Auth != nil {
		t.Errorf("%+v", got)
	}
}

// An answer that says nothing of the data keeps it; rooms are left without an end of the
// socket.
func TestClient_Event_AnswersOneAfterTheOther(t *testing.T) {
	answers := map[string]string{"first": `{"join":["a","b"],"data":[1]}`, "second": `{"leave":["a"]}`, "third": `{}`}
	b := &backend{answer: func(_ *http.Request, in request) (*http.Response, error) { return respond(200, answers[in.Event]), nil }}
	srv, _ := attached(t, b, &hook.Options{Events: []string{"*"}})
	c := srv.Connect("/app", nil)
	for _, event := range []string{"first", "second", "third"} {
		if got := c.Call(event).String(); got != "[]" {
			t.Errorf("%s: %s", event, got)
		}
	}
	if in := b.got()[2]; fmt.Sprint(in.Rooms) != "[b]" || fmt.Sprint(in.Data) != "[1]" {
		t.Errorf("%+v", in)
	}
	if s := srv.Of("/app").Socket(c.ID); s == nil || s.InRoom("a") {
		t.Error("the socket has ended, or is in the room")
	}
}

// The operator is told of the part of an answer that cannot be done; the rest is done.
func TestClient_Event_APartOfTheAnswerCannotBeDone(t *testing.T) {
	for answer, want := range map[string]string{
		`{"emit":[{"event":"news"},{"event":"x","evnt":1},{"event":""}]}`:         `emit[1]: json: unknown field "evnt"`,
		`{"emit":[{"event":"news"},{"event":""}]}`:                                "emit[1]: event is missing",
		`{"emit":[{"event":"news"},{"namespace":"/none","event":"x"}]}`:           `there is no such namespace: "/none"`,
		`{"emit":[{"event":"news"},{"event":"x","args":[{"$binary":1}]}]}`:        "emit[1]: args",
		`{"emit":[{"event":"news"}],"ack":[{"$binary":1}]}`:                       "ack",
		`{"emit":[{"event":"news"}],"join":["` + strings.Repeat("x", 300) + `"]}`: "too many rooms",
	} {
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) { return respond(200, answer), nil }}
		var log bytes.Buffer
		srv, _ := attached(t, b, &hook.Options{Events: []string{"*"}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		c := srv.Connect("/app", nil)
		if got := c.Call("do").String(); got != "[]" {
			t.Errorf("%s: ack %s", answer, got)
		}
		c.Expect("news")
		if text := log.String(); strings.Count(text, "a part of the answer cannot be done") != 1 || !strings.Contains(strings.ReplaceAll(text, `\"`, `"`), want) {
			t.Errorf("%s: the log says %s", answer, text)
		}
	}
}

// noting is an adapter that notes the options of broadcasts.
type noting struct {
	*socketio.LocalAdapter
	options []socketio.BroadcastOptions
}

func (a *noting) Broadcast(_ context.Context, _ *parser.Packet, o socketio.BroadcastOptions) error {
	a.options = append(a.options, o)
	return nil
}

// The emits of an answer have the options of the API's.
func TestClient_Event_EmitOptions(t *testing.T) {
	b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
		return respond(200, `{"emit":[{"to":["a"],"except":["b"],"event":"x","volatile":true,"compress":false,"local":true},{"event":"y","compress":true}]}`), nil
	}}
	client, err := hook.New(&hook.Options{URL: "http://backend.example/", Secrets: secrets, Transport: b, Events: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	var a *noting
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler), NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		n := &noting{LocalAdapter: l}
		if l.Namespace() == "/" {
			a = n
		}
		return n, nil
	}})
	client.Attach(srv)
	srv.Connect("/", nil).Call("do")
	var got []string
	for _, o := range a.options {
		got = append(got, fmt.Sprintf("%v %v %v %v %v", o.Rooms, o.Except, o.Flags.Volatile, o.Flags.NoCompress, o.Flags.Local))
	}
	if fmt.Sprint(got) != "[[a] [b] true true true [] [] false false false]" {
		t.Errorf("%v", got)
	}
}

func TestClient_Event_EmitToAnotherNamespace(t *testing.T) {
	b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
		return respond(200, `{"emit":[{"namespace":"/other","event":"x"},{"namespace":"/app","event":"y"}]}`), nil
	}}
	srv, client := attached(t, b, &hook.Options{Events: []string{"*"}})
	other, c := srv.Connect("/", nil), srv.Connect("/app", nil)
	if got := c.Call("do").String(); got != "[]" {
		t.Error(got)
	}
	c.Expect("y")
	srv.Of("/other")
	there := srv.Connect("/other", nil)
	c.Call("do")
	there.Expect("x")
	other.Quiet()
	if s := client.Stats(); s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// A back end that is spared is not asked again for the same event.
func TestClient_Retries_EndWhenTheBackEndIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) { return nil, errors.New("refused") }}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Retries: 5})
		c := srv.Connect("/app", nil)
		c.Call("x")
		if s := client.Stats(); s.Posted != 5 || s.Failed != 5 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		began := time.Now()
		c.Call("x")
		if s := client.Stats(); s.Posted != 5 || s.Refused != 2 || time.Since(began) > 0 {
			t.Errorf("%+v after %v", s, time.Since(began))
		}
	})
}

// The end of the socket ends its repeats, and says nothing about the back end.
func TestClient_Retries_EndWithTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Retries: 5, Timeout: time.Second})
		for range 6 { // would be enough for the breaker
			c := srv.Connect("/app", nil)
			c.Emit("x")
			time.Sleep(time.Second / 2)
			c.Conn.Close()
			time.Sleep(time.Minute)
		}
		if s := client.Stats(); s.Posted != 6 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An Update that keeps the address keeps what is known of the back end, and one that keeps
// the concurrency counts the requests under way.
func TestClient_Update_KeepsTheBreakerAndTheRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
			if down.Load() {
				return nil, errors.New("refused")
			}
			time.Sleep(time.Second)
			return respond(204, ""), nil
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Concurrency: 1})
		update := func(url string, concurrency int) {
			t.Helper()
			if err := client.Update(&hook.Options{URL: url, Secrets: secrets, Events: []string{"*"}, Concurrency: concurrency}); err != nil {
				t.Fatal(err)
			}
		}
		one, two := srv.Connect("/app", nil), srv.Connect("/app", nil)
		one.Emit("x")
		synctest.Wait()
		update("http://backend.example/other", 1)
		if got := two.Call("x").String(); !strings.Contains(got, "unavailable") {
			t.Errorf("with one request under way: %s", got)
		}
		update("http://backend.example/other", 2)
		if got := two.Call("x").String(); got != "[]" {
			t.Errorf("with a wider bound: %s", got)
		}
		down.Store(true)
		for range 5 {
			one.Call("x")
		}
		down.Store(false)
		update("http://backend.example/third", 2)
		if got := one.Call("x").String(); !strings.Contains(got, "unavailable") {
			t.Errorf("the same back end, which is spared: %s", got)
		}
		update("http://another.example/", 2)
		if got := one.Call("x").String(); got != "[]" {
			t.Errorf("another back end: %s", got)
		}
	})
}

func TestClient_Notify_IsPostedUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
			if tries++; tries < 3 {
				return respond(500, ""), nil
			}
			return respond(200, `{"disconnect":true}`), nil
		}}
		_, client := attached(t, b, &hook.Options{})
		if err := client.Notify("msg_1", func() {}); err == nil {
			t.Error("a function was taken for JSON")
		}
		if err := client.Notify("msg_1", obj{"type": "login", "user": "ada"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := b.got()
		if len(got) != 3 || client.Stats().Disconnects != 0 {
			t.Fatalf("%+v", got)
		}
		for i := range got {
			if got[i].Type != "login" || got[i].User != "ada" || b.headers[i].Get("Webhook-Id") != "msg_1" {
				t.Errorf("%+v, %v", got[i], b.headers[i])
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := client.Notify("msg_2", json.RawMessage(`{}`)); err != nil || client.Stats().Dropped != 1 {
			t.Errorf("after the shutdown: %v, %+v", err, client.Stats())
		}
	})
}

// More requests at once than the setting allows is a thing to tell the operator.
func TestClient_Log_NamesTheSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
			time.Sleep(time.Second)
			return respond(204, ""), nil
		}}
		var log bytes.Buffer
		srv, _ := attached(t, b, &hook.Options{Events: []string{"*"}, Concurrency: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		one, two := srv.Connect("/app", nil), srv.Connect("/app", nil)
		one.Emit("x")
		synctest.Wait()
		for range 10 {
			two.Call("x")
		}
		text := log.String()
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, "too many requests are under way") || !strings.Contains(text, "hook.concurrency") {
			t.Errorf("the log says %s", text)
		}
	})
}

// A few posts at a time work through the queue; what does not fit falls out, the oldest
// first, but for those under way.
func TestClient_Notify_TheOldestFallOut(t *testing.T) {
	const posters, queue = 8, 10_000
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := &backend{answer: func(*http.Request, request) (*http.Response, error) {
			<-release
			return respond(204, ""), nil
		}}
		_, client := attached(t, b, &hook.Options{Timeout: time.Hour})
		for i := range posters + queue + 2 {
			if err := client.Notify(fmt.Sprint("msg_", i), obj{"id": fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if n := len(b.got()); n != posters {
			t.Errorf("%d posts are under way", n)
		}
		if s := client.Stats(); s.Disconnects != posters+queue || s.Dropped != 2 {
			t.Errorf("%+v", s)
		}
		close(release)
		synctest.Wait()
		missing := map[string]bool{"8": true, "9": true}
		for _, in := range b.got() {
			if missing[in.ID] {
				t.Errorf("msg_%s was kept", in.ID)
			}
		}
		if n := len(b.got()); n != posters+queue {
			t.Errorf("%d posts", n)
		}
	})
}

// Shutdown posts once more what waits, at once, and tells what it gave up; what hangs is
// cut by the end of its context.
func TestClient_Shutdown_PostsOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
			if hangs.Load() {
				<-r.Context().Done()
			}
			return nil, errors.New("refused")
		}}
		for _, hanging := range []bool{false, true} {
			var log bytes.Buffer
			_, client := attached(t, b, &hook.Options{Timeout: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			hangs.Store(false)
			if err := client.Notify("msg_1", obj{"id": "1"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // between two tries
			hangs.Store(hanging)
			before, began := client.Stats().Posted, time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			err := client.Shutdown(ctx)
			cancel()
			took := time.Duration(0)
			if hanging {
				took = 3 * time.Second
			}
			if (err != nil) != hanging || time.Since(began) != took {
				t.Errorf("hanging %v: %v after %v", hanging, err, time.Since(began))
			}
			if s := client.Stats(); s.Posted != before+1 || s.Dropped != 1 || s.Disconnects != 0 {
				t.Errorf("hanging %v: %+v, posted before %d", hanging, s, before)
			}
			if !strings.Contains(log.String(), "a disconnect was given up") {
				t.Errorf("hanging %v: the log says %s", hanging, log.String())
			}
		}
	})
}

// A new notice does not wait for the next try of an older one.
func TestClient_Notify_IsPostedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(_ *http.Request, in request) (*http.Response, error) {
			if in.ID == "a" {
				return respond(500, ""), nil
			}
			return respond(204, ""), nil
		}}
		_, client := attached(t, b, &hook.Options{})
		_ = client.Notify("msg_a", obj{"id": "a"})
		time.Sleep(time.Second / 2)
		_ = client.Notify("msg_b", obj{"id": "b"})
		synctest.Wait()
		if got := b.got(); got[len(got)-1].ID != "b" {
			t.Errorf("%+v", got)
		}
	})
}
