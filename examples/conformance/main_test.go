package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		testenv.RemoveBinaries()
		os.Exit(code)
	}))
}

// poll is the smallest polling client: enough to see that a fixture answers as
// the suites expect.
type poll struct {
	t   *testing.T
	url string
	sid string
}

// starter begins a suite's fixture, alone or as a cluster.
type starter func(t *testing.T, suite string) *poll

func alone(t *testing.T, suite string) *poll {
	t.Helper()
	f := only(suite)[0]
	srv := f.make(nil, slog.New(slog.DiscardHandler))
	h := httptest.NewServer(srv)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	return newPoll(t, suite, h.URL)
}

func newPoll(t *testing.T, suite, base string) *poll {
	revision := "4"
	if suite == "eio3" {
		revision = "3"
	}
	return &poll{t: t, url: base + only(suite)[0].path + "?transport=polling&EIO=" + revision}
}

// behindRoundRobin runs three processes behind a proxy that knows nothing of sessions.
func behindRoundRobin(t *testing.T, suite string) *poll {
	t.Helper()
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	defer rdb.Close()
	program := testenv.Binary(t, "./examples/conformance")
	var targets []*url.URL
	for i := range 3 {
		port, tag := strconv.Itoa(testenv.FreePort(t)), "c"+strconv.Itoa(i)
		testenv.Start(t, []string{"PORT=" + port}, program, "--suite", suite, "--redis", "redis://"+addr, "--replica", tag)
		testenv.Until(t, 20*time.Second, tag, func() bool { return rdb.Exists(t.Context(), "conformance-"+suite+"-owner#"+tag).Val() == 1 })
		targets = append(targets, &url.URL{Scheme: "http", Host: "127.0.0.1:" + port})
	}
	var turn atomic.Uint64
	transport := &http.Transport{}
	h := httptest.NewServer(&httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(targets[turn.Add(1)%3])
	}})
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		h.Close()
		transport.CloseIdleConnections()
	})
	return newPoll(t, suite, h.URL)
}

func inBothPlaces(t *testing.T, check func(t *testing.T, start starter)) {
	t.Run("alone", func(t *testing.T) { check(t, alone) })
	t.Run("three processes behind round robin", func(t *testing.T) { check(t, behindRoundRobin) })
}

func (p *poll) open() string {
	p.t.Helper()
	body := p.get()
	_, rest, _ := strings.Cut(body, `"sid":"`)
	p.sid, _, _ = strings.Cut(rest, `"`)
	p.url += "&sid=" + p.sid
	return body
}

func (p *poll) do(method, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func (p *poll) get() string {
	p.t.Helper()
	status, body := p.do(http.MethodGet, "")
	if status != http.StatusOK {
		p.t.Fatalf("GET: %d %s", status, body)
	}
	return body
}

func (p *poll) post(body string) {
	p.t.Helper()
	if status, answer := p.do(http.MethodPost, body); status != http.StatusOK || answer != "ok" {
		p.t.Fatalf("POST: %d %s", status, answer)
	}
}

func (p *poll) expect(wanted string) {
	p.t.Helper()
	if got := p.get(); got != wanted {
		p.t.Errorf("got  %s\nwant %s", got, wanted)
	}
}

func TestEIO4(t *testing.T) { inBothPlaces(t, checkEIO4) }

func checkEIO4(t *testing.T, start starter) {
	p := start(t, "eio4")
	if open := p.open(); !strings.Contains(open, `"upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`) {
		t.Errorf("open packet %s", open)
	}
	p.post("4hello\x1ebAQIDBA==")
	p.expect("4hello\x1ebAQIDBA==")
}

func TestEIO3(t *testing.T) { inBothPlaces(t, checkEIO3) }

func checkEIO3(t *testing.T, start starter) {
	p := start(t, "eio3")
	p.url += "&b64=1"
	p.open()
	p.post("6:4hello")
	p.expect("6:4hello")
}

func TestSIO5(t *testing.T) { inBothPlaces(t, checkSIO5) }

func checkSIO5(t *testing.T, start starter) {
	p := start(t, "sio5")
	p.open()
	p.post(`40{"token":"123"}`)
	first := p.get()
	if !strings.HasPrefix(first, `40{"sid":"`) {
		t.Errorf("answer %s", first)
	}
	if !strings.Contains(first, "auth") { // in the same answer or the next
		first = p.get()
	}
	if !strings.HasSuffix(first, `42["auth",{"token":"123"}]`) {
		t.Errorf("greeting %s", first)
	}
	p.post(`42["message",1,"2",{"3":[true]}]`)
	p.expect(`42["message-back",1,"2",{"3":[true]}]`)
	p.post(`42456["message-with-ack",1,"2",{"3":[false]}]`)
	p.expect(`43456[1,"2",{"3":[false]}]`)
	p.post(`40/random`)
	p.expect(`44/random,{"message":"Invalid namespace"}`)
}

func TestSIOClient(t *testing.T) { inBothPlaces(t, checkSIOClient) }

func checkSIOClient(t *testing.T, start starter) {
	p := start(t, "sioclient")
	p.open()
	p.post("40")
	if got := p.get(); !strings.Contains(got, `"pid":"`) {
		t.Errorf("answer %s", got)
	}
	for _, test := range []struct{ send, want string }{
		{`42["hi"]`, `42["hi","`},
		{`421["echo",7,8]`, `431[7]`},
		{`42["doge"]`, `451-["doge",{"_placeholder":true,"num":0},"`},
		{`451-["buffa",{"_placeholder":true,"num":0}]` + "\x1ebAQID", `42["buffack","`},
		{`451-["jsonbuff",{"hello":"lol","message":{"_placeholder":true,"num":0},"goodbye":"gotcha"}]` + "\x1ebAQID", `42["jsonbuff-ack","`},
		{`40/no`, `44/no,{"message":"Auth failed (custom namespace)"}`},
		{`40/nope`, `44/nope,{"message":"Invalid namespace"}`},
		{`422["getHandshake"]`, `432[{"headers":{`},
		{`40/abc,{"a":"b"}`, `40/abc,{"sid":"`},
	} {
		p.post(test.send)
		if got := p.get(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s", test.send, got)
		}
	}
}

func TestSIOClientRefusesOnDemand(t *testing.T) { inBothPlaces(t, checkSIOClientRefusesOnDemand) }

func checkSIOClientRefusesOnDemand(t *testing.T, start starter) {
	p := start(t, "sioclient")
	p.url += "&fail=true"
	p.open()
	p.post("40")
	p.expect(`44{"message":"Auth failed (main namespace)"}`)
}

func TestEIOClient(t *testing.T) { inBothPlaces(t, checkEIOClient) }

func checkEIOClient(t *testing.T, start starter) {
	p := start(t, "eioclient")
	p.open()
	p.expect("4hi")
	p.post("4give binary")
	p.expect("bAAECAwQ=")
	p.post("4give utf8")
	p.expect("4пойду спать всем спокойной ночи")
	p.post("4sendHeaders")
	if got := p.get(); !strings.Contains(got, `"user-agent":"`) || strings.Contains(got, "cookie") {
		t.Errorf("headers %s", got)
	}
	p.post("4anything")
	p.expect("4anything")
	if status, _ := p.do(http.MethodPost, "4"+strings.Repeat("x", 200)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("large POST: %d", status)
	}
	denied := start(t, "eioclient")
	denied.url += "&deny=1"
	if status, body := denied.do(http.MethodGet, ""); status != http.StatusForbidden || body != `{"code":4,"message":"Forbidden"}` {
		t.Errorf("denied: %d %s", status, body)
	}
}
