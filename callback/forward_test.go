package callback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// passive is a text reply to alice that WeChat takes.
func passive(content string) string { return passiveTo(alice, content) }

func passiveTo(person, content string) string {
	return "<xml><ToUserName><![CDATA[" + person + "]]></ToUserName><FromUserName><![CDATA[" + original +
		"]]></FromUserName><CreateTime>1767225662</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[" +
		content + "]]></Content></xml>"
}

func replies(body string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml"}},
			Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func readBody(r *http.Request) string {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return string(raw)
}

func forwarding(o *callback.Options) { o.Accounts[0].Upstream = "http://bot.example/wx?site=1" }

func TestForward_OtherPushesGoOnUnchanged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var queries, bodies, types []string
	bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		queries, types = append(queries, r.URL.RawQuery), append(types, r.Header.Get("Content-Type"))
		bodies = append(bodies, readBody(r))
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, passive("as it is"))
	}))
	defer bot.Close()
	r := newRig(t, func(o *callback.Options) { o.Accounts[0].Upstream = bot.URL + "/wx?site=1" })
	for i, body := range []string{
		text(alice, "你好 &amp; <b>", 1), event(alice, "CLICK", "k", time.Now()),
		event(alice, "subscribe", "", time.Now()), event(alice, "SCAN", "spring-sale", time.Now()),
		event(alice, "unsubscribe", "", time.Now()), event(alice, "something_new", "", time.Now()),
	} {
		req := secure(body)
		req.URL.RawQuery += "&extra=%20a+b&extra=2"
		req.Header.Set("Content-Type", "text/xml")
		sent := readBody(req)
		got := r.send(req)
		if got.status != 200 || words(t, aesKey, got.body) != "as it is" || got.header.Get("Content-Type") != "application/xml" {
			t.Errorf("%d: %+v", i, got)
		}
		first := got.body
		mu.Lock()
		if len(bodies) != i+1 || bodies[i] != sent || queries[i] != "site=1&"+req.URL.RawQuery || types[i] != "text/xml" {
			t.Errorf("%d: got %q %q", i, queries, bodies)
		}
		mu.Unlock()
		if got := r.send(secure(body)); got.body != first {
			t.Errorf("%d again: %+v", i, got)
		}
	}
	if len(bodies) != 6 {
		t.Errorf("the bot was asked %d times", len(bodies))
	}
	r.send(secure(scan(alice)))
	if len(bodies) != 6 || len(r.claims.made()) != 1 {
		t.Error("a login reached the bot")
	}
}

// Events that differ in a field we do not know are two events.
func TestForward_TwoEventsOfOneSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t, forwarding)
	var asked atomic.Int32
	r.SetUpstreamTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
		asked.Add(1)
		return replies("ok")(req)
	}))
	body := event(alice, "TEMPLATESENDJOBFINISH", "", time.Now())
	for _, id := range []string{"1", "2", "2"} {
		r.send(secure(strings.Replace(body, "</xml>", "<MsgID>"+id+"</MsgID></xml>", 1)))
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("forwarded %d times, want 2", n)
	}
}

func TestForward_BadUpstreamIsNeverWeChatsConcern(t *testing.T) {
	t.Parallel()
	for name, transport := range map[string]roundTrip{
		"an error": func(*http.Request) (*http.Response, error) { return nil, errors.New("refused") },
		"a 502": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusBadGateway, Body: io.NopCloser(strings.NewReader("oops"))}, nil
		},
		"a redirect": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://elsewhere/"}}, Body: http.NoBody}, nil
		},
		"a flood": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(io.LimitReader(zeros{}, 1<<30))}, nil
		},
		"silence": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, forwarding)
			r.SetUpstreamTransport(transport)
			start := time.Now()
			got := r.send(secure(text(alice, "hello", 1)))
			if got.status != 200 || got.body != "success" {
				t.Errorf("%s: %+v", name, got)
			}
			if took := time.Since(start); took > 4500*time.Millisecond {
				t.Errorf("%s: took %v", name, took)
			}
			if r.counts.of("fault default upstream") != 1 {
				t.Errorf("%s: %v", name, r.counts.all())
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A slow bot fills its own bulkhead; logins go past it.
func TestForward_SlowUpstreamDoesNotHoldUpLogins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *callback.Options) { forwarding(o); o.Limits.Upstream = 3 })
		var waiting atomic.Int32
		r.SetUpstreamTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
			waiting.Add(1)
			<-req.Context().Done()
			return nil, req.Context().Err()
		}))
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if got := r.send(secure(text(alice, "hello", i))); got.body != "success" {
					t.Errorf("%+v", got)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if got := r.send(secure(scan(alice))); got.body != "success" || time.Since(start) > 100*time.Millisecond {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
		wg.Wait()
		if waiting.Load() != 3 || r.counts.of("fault default upstream_busy") != 7 {
			t.Errorf("%d waited: %v", waiting.Load(), r.counts.all())
		}
	})
}

// Everything is slow at once, and WeChat still has its answer in time.
//
// docs/wechat.md §3.4 guarantee G9
func TestPush_AnswersWithin4500msWhenAllIsSlow(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a text": text(alice, "hello", 1), "a login": scan(alice)} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *callback.Options) { forwarding(o); o.Accounts[0].Confirm = callback.ConfirmAlways })
			r.dedupe.slow = 650 * time.Millisecond
			r.claims.do = func(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
				if !c.Confirm {
					t.Error("no confirm step asked for")
				}
				<-time.After(2500 * time.Millisecond)
				return login.Ticket{}, "claimed", ctx.Err()
			}
			r.SetUpstreamTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}))
			start := time.Now()
			if got := r.send(secure(body)); got.body != "success" {
				t.Errorf("%s: %+v", name, got)
			}
			if took := time.Since(start); took > 4500*time.Millisecond {
				t.Errorf("%s: took %v", name, took)
			}
		})
	}
}

// A body that trickles in is given up after three seconds (slow loris).
//
// docs/reliability.md §4 row 31
func TestPush_SlowBodyIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := newPipeListener()
		server := &http.Server{Handler: r.Account("")}
		served := make(chan error)
		go func() { served <- server.Serve(l) }()
		conn := l.dial()
		defer conn.Close()
		req := secure(scan(alice))
		start := time.Now()
		go func() {
			_, _ = io.WriteString(conn, "POST /?"+req.URL.RawQuery+" HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n<xml>")
		}()
		answer := make([]byte, 256)
		n, err := conn.Read(answer)
		if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 408 ") {
			t.Errorf("%q %v", answer[:n], err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		server.Close()
		<-served
	})
}

// pipeListener serves connections without a network, in fake time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	a, b := net.Pipe()
	l.conns <- a
	return b
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
