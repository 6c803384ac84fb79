package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// Browsers are told apart by a cookie, on whatever they ask for first.
func TestBrowserCookie(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_LIMIT_QRCODES_PER_BROWSER=2/m", "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1")
	cookie := func(a *http.Response) string {
		t.Helper()
		all := a.Cookies()
		if len(all) != 1 {
			t.Fatalf("%v", all)
		}
		c := all[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || len(c.Value) != 43 ||
			c.Secure != strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("%+v", c)
		}
		return c.Name + "=" + c.Value
	}
	socket := func(headers ...string) (*http.Response, error) {
		h := http.Header{}
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			h.Set(name, value)
		}
		conn, answer, err := websocket.Dial(t.Context(), base+"/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPHeader: h})
		if err == nil {
			conn.CloseNow()
		}
		return answer, err
	}
	upgraded, err := socket()
	if err != nil {
		t.Fatal(err)
	}
	login := call(t, "GET", base+"/login", "")
	if got := login.Header.Get("Cache-Control"); !strings.Contains(got, "private") {
		t.Errorf("a page with a cookie is cached as %q", got)
	}
	seen := map[string]bool{}
	for name, a := range map[string]*http.Response{
		"the page": login.Response, "a WebSocket": upgraded,
		"polling": call(t, "GET", base+"/socket.io/?EIO=4&transport=polling", "").Response,
	} {
		c := cookie(a)
		if !strings.HasPrefix(c, "posthouse-browser=") || seen[c] {
			t.Errorf("%s: %q", name, c)
		}
		seen[c] = true
	}
	mine := cookie(login.Response)
	upgraded, err = socket("Cookie: " + mine)
	if err != nil || len(upgraded.Cookies()) != 0 {
		t.Errorf("known already: %v, %v", upgraded.Cookies(), err)
	}
	upgraded, err = socket("X-Forwarded-Proto: https", "Cookie: "+mine)
	if err != nil || !strings.HasPrefix(cookie(upgraded), "__Host-posthouse-browser=") {
		t.Errorf("behind TLS: %v", err)
	}
	if a := call(t, "GET", base+"/", ""); len(a.Cookies()) != 0 {
		t.Errorf("the start page: %v", a.Cookies())
	}

	header := http.Header{"Cookie": {mine}}
	for range 2 {
		openAt(t, base, "/socket.io/", header).qrcode()
	}
	third := openAt(t, base, "/socket.io/", header)
	mustFit(t, "code", failure(t, third.ask("qrcode")), "rate_limited")
	open(t, base).qrcode() // another person
}

// POSTHOUSE_CONFIRM=risk: asked once, and again by another browser; never silently.
func TestConfirmWhereItIsUnusual(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_CONFIRM=risk")
	header := http.Header{
		"Cookie":     {"posthouse-browser=" + strings.Repeat("B", 42) + "A"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
	}
	type state struct{ State, Number string }
	login := func(h http.Header) (p *page, first state, delivered string) {
		t.Helper()
		p = openAt(t, base, "/socket.io/", h)
		q := p.qrcode()
		s := scan(t, base, "alice", q.Ticket, true)
		if len(s.Deliveries) != 1 || s.Deliveries[0].Status != 200 {
			t.Fatalf("%+v", s)
		}
		p.parse(string(p.next("state").args[0]), &first)
		return p, first, s.Deliveries[0].Body
	}
	p, first, said := login(header)
	if first.State != "claimed" || len(first.Number) != 2 || said == "success" {
		t.Fatalf("the first login: %+v, %q", first, said)
	}
	act(t, base, "text", `{"person":"alice","text":"`+first.Number+`"}`)
	p.next("token")

	p, first, said = login(header)
	if first.State != "done" || said == "success" {
		t.Errorf("the same browser: %+v; the phone was told %q", first, said)
	}
	p.silent = true
	p.next("token")
	act(t, base, "text", `{"person":"alice","text":"not me"}`)

	_, first, _ = login(header)
	if first.State != "claimed" {
		t.Errorf("after \"not me\": %+v", first)
	}
	_, first, _ = login(nil)
	if first.State != "claimed" {
		t.Errorf("another browser: %+v", first)
	}
}
