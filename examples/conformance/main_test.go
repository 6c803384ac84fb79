package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// poll is the smallest polling client: enough to see that a fixture answers as
// the suites expect.
type poll struct {
	t   *testing.T
	url string
	sid string
}

func start(t *testing.T, suite string) *poll {
	t.Helper()
	f := only(suite)[0]
	srv := f.make(slog.New(slog.DiscardHandler))
	h := httptest.NewServer(srv)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		h.Close()
	})
	revision := "4"
	if suite == "eio3" {
		revision = "3"
	}
	return &poll{t: t, url: h.URL + f.path + "?transport=polling&EIO=" + revision}
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

func TestEIO4(t *testing.T) {
	p := start(t, "eio4")
	if open := p.open(); !strings.Contains(open, `"upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`) {
		t.Errorf("open packet %s", open)
	}
	p.post("4hello\x1ebAQIDBA==")
	p.expect("4hello\x1ebAQIDBA==")
}

func TestEIO3(t *testing.T) {
	p := start(t, "eio3")
	p.url += "&b64=1"
	p.open()
	p.post("6:4hello")
	p.expect("6:4hello")
}

func TestSIO5(t *testing.T) {
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

func TestSIOClient(t *testing.T) {
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

func TestSIOClientRefusesOnDemand(t *testing.T) {
	p := start(t, "sioclient")
	p.url += "&fail=true"
	p.open()
	p.post("40")
	p.expect(`44{"message":"Auth failed (main namespace)"}`)
}

func TestEIOClient(t *testing.T) {
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
