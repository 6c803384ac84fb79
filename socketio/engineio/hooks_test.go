package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

func TestOptions_OnInitialHeadersAndOnHeaders(t *testing.T) {
	var initial, every int
	o := engineio.Options{
		Cookie: &http.Cookie{Name: "sid", Path: "/x", MaxAge: 60, Secure: true, SameSite: http.SameSiteStrictMode},
		OnInitialHeaders: func(h http.Header, r *http.Request) {
			initial++
			h.Add("Set-Cookie", "1=1; Max-Age=86400")
			h.Add("Set-Cookie", "2=2; Path=/; HttpOnly")
		},
		OnHeaders: func(h http.Header, r *http.Request) { every++; h.Set("X-Every", r.Method) },
	}
	inWorld(t, o, echo, func(w *world) {
		r := w.get("EIO=4&transport=polling")
		sid := sidOf(r.body)
		want := []string{"sid=" + sid + "; Path=/x; Max-Age=60; HttpOnly; Secure; SameSite=Strict", "1=1; Max-Age=86400", "2=2; Path=/; HttpOnly"}
		if got := r.header.Values("Set-Cookie"); !slices.Equal(got, want) || initial != 1 || every != 1 || r.header.Get("X-Every") != "GET" {
			t.Errorf("handshake: %q, initial %d, every %d", got, initial, every)
		}
		r = w.post("EIO=4&transport=polling&sid="+sid, "4x")
		if initial != 1 || every != 2 || r.header.Get("X-Every") != "POST" || r.header.Get("Set-Cookie") != "" {
			t.Errorf("post: %v, initial %d, every %d", r.header, initial, every)
		}
		w.get("EIO=4&transport=polling&sid=" + sid)
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		if initial != 1 || every != 4 || s.header.Get("X-Every") != "GET" {
			t.Errorf("upgrade: %v, initial %d, every %d", s.header, initial, every)
		}
		s = w.websocket("EIO=4&transport=websocket", nil)
		if initial != 2 || every != 5 || len(s.header.Values("Set-Cookie")) != 2 {
			t.Errorf("websocket: %v, initial %d, every %d", s.header, initial, every)
		}
		if w.get("EIO=4&transport=nope"); initial != 2 || every != 5 {
			t.Errorf("refusal: initial %d, every %d", initial, every)
		}
	})
}

func TestOptions_Cookie_InvalidIsRefusedAtTheStart(t *testing.T) { // GHSA-pxg6-pf52-xh8x
	for name, c := range map[string]*http.Cookie{
		"attribute in the name": {Name: "a;b"}, "line in the name": {Name: "a\r\nb"}, "value in the name": {Name: "a=b"},
		"attribute in the path": {Path: "/;HttpOnly"}, "line in the path": {Path: "/\r\nX: y"},
		"attribute in the domain": {Domain: "example.com; Secure"}, "line in the domain": {Domain: "x\r\ny"},
		"date before all dates": {Expires: time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)}, "partitioned without Secure": {Partitioned: true},
	} {
		t.Run(name, func(t *testing.T) {
			if srv, err := engineio.New(&engineio.Options{Cookie: c}); err == nil || srv != nil {
				t.Errorf("New: %v, %v", srv, err)
			}
			defer func() {
				if recover() == nil {
					t.Error("NewServer did not panic")
				}
			}()
			engineio.NewServer(&engineio.Options{Cookie: c})
		})
	}
	// The other fields of an application's cookie do not get out: the value is the session's id.
	if _, err := engineio.New(&engineio.Options{Cookie: &http.Cookie{Value: "a; b", Raw: "x; y", Unparsed: []string{"z; z"}}}); err != nil {
		t.Error(err)
	}
}

func TestOptions_OnConnectionError(t *testing.T) {
	var got []string
	o := engineio.Options{
		AllowEIO3: true,
		OnConnectionError: func(e *engineio.ConnectionError) {
			name, _ := e.Context["name"].(string)
			got = append(got, fmt.Sprintf("%d %s %s %d", e.Code, e.Message, name, len(e.Context)))
			if e.Request == nil || e.Error() == "" {
				t.Error("no request")
			}
		},
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Get("deny") != "" {
				return errors.New("go away")
			}
			return nil
		},
		GenerateID: func(r *http.Request) (string, error) {
			if id := r.URL.Query().Get("id"); id != "" {
				return id, nil
			}
			return "", errors.New("no id")
		},
	}
	inWorld(t, o, nil, func(w *world) {
		sid := sidOf(w.get("EIO=4&transport=polling&id=abcdefghijklmnopqrst").body)
		if sid != "abcdefghijklmnopqrst" {
			t.Fatalf("id %q", sid)
		}
		w.get("EIO=4&transport=x")
		w.get("EIO=4&transport=polling&sid=x")
		w.start("PUT", "EIO=4&transport=polling", nil, "").wait()
		w.get("EIO=4&transport=websocket&sid=" + sid)
		w.get("EIO=3&transport=polling&sid=" + sid)
		w.get("EIO=4&transport=websocket")
		// net/http lets no such header through: this is for other servers.
		r := httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling", nil)
		r.Header.Set("Origin", "http://a\x7f")
		w.server.ServeHTTP(httptest.NewRecorder(), r)
		w.get("EIO=4&transport=polling&deny=1")
		w.get("EIO=4&transport=polling")
		w.get("EIO=4&transport=polling&id=" + sid) // taken
		// Refused upgrades are reported too; allowRequest is not asked for those with a sid.
		w.websocket("EIO=4&transport=websocket&deny=1", nil)
		if s := w.websocket("EIO=4&transport=websocket&deny=1&sid="+sid, nil); s.refuse != nil {
			t.Errorf("upgrade: %+v", s.refuse)
		}
		want := []string{
			"0 Transport unknown  1", "1 Session ID unknown  1", "2 Bad handshake method  1", "3 Bad request TRANSPORT_MISMATCH 3",
			"3 Bad request PROTOCOL_MISMATCH 3", "3 Bad request TRANSPORT_HANDSHAKE_ERROR 1", "3 Bad request INVALID_ORIGIN 2",
			"4 go away  1", "3 Bad request ID_GENERATION_ERROR 2", "3 Bad request ID_GENERATION_ERROR 1", "4 go away  1",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestOptions_MiddlewaresSeeEveryTransport(t *testing.T) {
	var order []string
	note := func(name string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				order = append(order, name)
				w.Header().Set("X-"+name, "1")
				switch r.Header.Get("X-Test") {
				case "stop":
					http.Error(w, "stopped", http.StatusTeapot)
				case "fail":
					engineio.RefuseRequest(w, r, errors.New("secret"))
				default:
					next.ServeHTTP(w, r)
				}
			})
		}
	}
	var context []any
	o := engineio.Options{
		Middlewares:       []func(http.Handler) http.Handler{note("One"), note("Two")},
		OnConnectionError: func(e *engineio.ConnectionError) { context = append(context, e.Context["name"], e.Context["error"]) },
	}
	inWorld(t, o, nil, func(w *world) {
		r := w.get("EIO=4&transport=polling")
		sid := sidOf(r.body)
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		if r.header.Get("X-Two") != "1" || s.header.Get("X-Two") != "1" {
			t.Errorf("headers %v, %v", r.header, s.header)
		}
		if !slices.Equal(order, []string{"One", "Two", "One", "Two"}) {
			t.Errorf("order %q", order)
		}
		if s := w.websocket("EIO=4&transport=websocket", map[string]string{"X-Test": "stop"}); s.refuse == nil || s.refuse.status != http.StatusTeapot {
			t.Errorf("stopped: %+v", s.refuse)
		}
		r = w.start("GET", "EIO=4&transport=polling", map[string]string{"X-Test": "fail"}, "").wait()
		if r.status != 400 || r.body != `{"code":3,"message":"Bad request"}` {
			t.Errorf("failed: %+v", r)
		}
		if s := w.websocket("EIO=4&transport=websocket", map[string]string{"X-Test": "fail"}); s.refuse == nil || s.refuse.status != 400 || s.refuse.body != "Bad request" {
			t.Errorf("failed: %+v", s.refuse)
		}
		if len(context) != 4 || context[0] != "MIDDLEWARE_FAILURE" || fmt.Sprint(context[1]) != "secret" {
			t.Errorf("context %v", context)
		}
	})
}

func TestOptions_Accept_MayRefuse(t *testing.T) {
	o := engineio.Options{Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
		s.Send(text("lost"))
		return nil, errors.New("internal detail")
	}}
	inWorld(t, o, nil, func(w *world) {
		if r := w.get("EIO=4&transport=polling"); r.status != 403 || r.body != `{"code":4,"message":"Forbidden"}` {
			t.Errorf("polling: %+v", r)
		}
		if s := w.websocket("EIO=4&transport=websocket", nil); s.refuse == nil || s.refuse.status != 400 || s.refuse.body != "Forbidden" {
			t.Errorf("websocket: %+v", s.refuse)
		}
		synctest.Wait()
		if n := w.server.ClientsCount(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestOptions_Path(t *testing.T) {
	get := func(w *world, target string) response {
		return w.raw("GET", "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").wait()
	}
	const q = "?EIO=4&transport=polling"
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		for target, status := range map[string]int{
			"/engine.io/" + q: 200, "/engine.io/anything" + q: 200, "/engine.io" + q: 404, "/other/" + q: 404, "/": 404,
		} {
			if r := get(w, target); r.status != status {
				t.Errorf("%s: %d", target, r.status)
			}
		}
	})
	inWorld(t, engineio.Options{Path: "/a/b/", NoTrailingSlash: true}, nil, func(w *world) {
		for target, status := range map[string]int{"/a/b" + q: 200, "/a/b/" + q: 200, "/engine.io/" + q: 404} {
			if r := get(w, target); r.status != status {
				t.Errorf("%s: %d", target, r.status)
			}
		}
	})
}

func TestServer_Shutdown(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		poll := w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
		probed := w.open("EIO=4&transport=polling")
		probe := w.websocket("EIO=4&transport=websocket&sid="+probed, nil)
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		synctest.Wait()
		for range 2 { // idempotent
			if err := w.server.Shutdown(w.t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if r := poll.wait(); r.body != "1" {
			t.Errorf("the waiting poll got %+v", r)
		}
		if e := s.recv(); e.close != 1005 {
			t.Errorf("the websocket got %+v", e)
		}
		if e := probe.recv(); e.close != 1005 {
			t.Errorf("the probing websocket got %+v", e)
		}
		if r := w.get("EIO=4&transport=polling"); r.status != 503 {
			t.Errorf("a new session: %+v", r)
		}
		for _, p := range w.sessions {
			if reason, _ := p.end(); reason != engineio.ReasonForcedClose {
				t.Errorf("reason %q", reason)
			}
		}
	})
	// A handler that does not return holds Shutdown up, no longer than ctx.
	block := make(chan struct{})
	inWorld(t, engineio.Options{}, func(p *peer) {
		block = make(chan struct{})
		p.receive = func(engineio.Message) error { <-block; return nil }
	}, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.send("4x")
		synctest.Wait()
		ctx, cancel := context.WithCancel(w.t.Context())
		cancel()
		if err := w.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		if reason, _ := w.last().end(); reason != "" {
			t.Error("Closed came before Receive returned")
		}
		close(block)
	})
}

// docs/conformance.md behaviour 13
func TestSession_Close_PollingWithoutAPollEndsAfterAWhile(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		w.open("EIO=4&transport=polling")
		p := w.last()
		p.s.Send(text("never fetched"))
		p.s.Close()
		time.Sleep(30*time.Second - 1)
		synctest.Wait()
		if reason, _ := p.end(); reason != "" {
			t.Fatalf("closed early: %q", reason)
		}
		if err := p.s.Send(text("x")); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("send: %v", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if reason, _ := p.end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestSession_Close_WaitsForTheQueueOfAWebSocket(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		p := w.last()
		for range 5 {
			p.s.Send(text(strings.Repeat("x", 100_000)))
		}
		p.s.Close()
		p.s.Send(text("dropped"))
		for range 5 {
			if e := s.recv(); len(e.text) != 100_001 {
				t.Fatalf("got %+v", e)
			}
		}
		if e := s.recv(); e.close != 1005 {
			t.Errorf("got %+v", e)
		}
		synctest.Wait()
		if reason, _ := p.end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestUpgrade_OfAClosingSession(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		w.last().s.Close()
		s.send("5")
		if e := s.recv(); e.close != 1005 {
			t.Errorf("got %+v", e)
		}
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestUpgrade_PollsAreAnsweredWithNoops(t *testing.T) {
	for _, waiting := range []bool{false, true} { // a poll, when the probe comes
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			sid := w.open("EIO=4&transport=polling")
			c := w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
			s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
			synctest.Wait()
			if !waiting {
				w.last().s.Send(text("x"))
				c.wait()
			}
			begin := time.Now()
			s.send("2probe")
			s.expect(t, "3probe")
			// At once for the first, then every 100 ms.
			for i := range 6 {
				if i > 0 || !waiting {
					c = w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
				}
				if r := c.wait(); r.body != "6" {
					t.Errorf("got %q", r.body)
				}
				want := time.Duration(max(0, i-2)) * 100 * time.Millisecond
				if d := time.Since(begin); d != want {
					t.Errorf("poll waiting %v, noop %d after %v, want %v", waiting, i, d, want)
				}
			}
		})
	}
}

func TestUpgrade_PollsCarryMessagesMeanwhile(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		w.last().s.Send(text("still polling"))
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "4still polling" {
			t.Errorf("got %q", r.body)
		}
		s.conn.Close() // the probe fails: the session polls on, and may try again
		synctest.Wait()
		s = w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
	})
}

func TestUpgrade_RunningPostIsCutOff(t *testing.T) {
	inWorld(t, engineio.Options{}, echo, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		c := w.raw("POST", "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", []byte("4x"))
		synctest.Wait()
		s.send("5")
		if r := c.wait(); !r.lost {
			t.Errorf("the POST got %+v", r)
		}
		s.send("4y")
		s.expect(t, "4y")
	})
}
