package gateway

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"posthouse/internal/login"
)

func TestBrowserCookie(t *testing.T) {
	proxy := Networks{netip.MustParsePrefix("192.0.2.0/24")} // httptest's requests
	know := func(a *admission, change func(*http.Request)) (string, *http.Cookie) {
		t.Helper()
		r, w := httptest.NewRequest(http.MethodGet, "/login", nil), httptest.NewRecorder()
		if change != nil {
			change(r)
		}
		id := a.knowBrowser(w, r)
		cookies := w.Result().Cookies()
		if len(cookies) == 0 {
			return id, nil
		}
		return id, cookies[0]
	}
	with := func(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }
	a := newAdmission(loginConfig(), nil)

	id, c := know(a, nil)
	if c == nil || c.Name != "posthouse-browser" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" ||
		len(c.Value) != 43 || c.Domain != "" || c.MaxAge < 1 {
		t.Fatalf("%+v", c)
	}
	if strings.Contains(c.Value, id) || id == "" {
		t.Errorf("kept as %q", id)
	}
	if again, fresh := know(a, with(c)); again != id || fresh != nil {
		t.Errorf("known as %q and then %q, %v", id, again, fresh)
	}
	if other, _ := know(a, nil); other == id {
		t.Error("two browsers are one")
	}
	for _, junk := range []string{"", "x", strings.Repeat("A", 42), strings.Repeat("A", 5000), strings.Repeat("%", 43)} {
		if got, fresh := know(a, with(&http.Cookie{Name: c.Name, Value: junk})); fresh == nil || got == "" {
			t.Errorf("%.10q was taken for a browser", junk)
		}
	}

	secure := newAdmission(&Config{TrustedProxies: proxy}, nil)
	for name, change := range map[string]func(*http.Request){
		"TLS":             func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
		"a trusted proxy": func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") },
	} {
		_, c := know(secure, func(r *http.Request) {
			change(r)
			r.AddCookie(&http.Cookie{Name: "posthouse-browser", Value: strings.Repeat("A", 43)}) // set without TLS: anybody's
		})
		if c == nil || c.Name != "__Host-posthouse-browser" || !c.Secure || c.Path != "/" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, c := know(a, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }); c.Secure {
		t.Error("anybody can say https")
	}
	off := newAdmission(&Config{LimitQRCodesBrowser: Rate{Off: true}, Confirm: "off"}, nil)
	if id, c := know(off, nil); id != "" || c != nil {
		t.Errorf("a cookie that nobody needs: %q, %v", id, c)
	}
	if _, c := know(newAdmission(&Config{LimitQRCodesBrowser: Rate{Off: true}, Confirm: "risk"}, nil), nil); c == nil {
		t.Error("mode risk needs the cookie")
	}
}

// docs/reliability.md §4 row 35, per browser: reconnecting gets no new codes.
func TestLogin_QRCodesPerBrowserAreLimited(t *testing.T) {
	s := newSite(t, func(c *Config) { c.LimitQRCodesBrowser = Rate{N: 2, Per: time.Minute} })
	dial := func(cookie string) (*websocket.Conn, string) {
		t.Helper()
		header := http.Header{}
		if cookie != "" {
			header.Set("Cookie", cookie)
		}
		c, answer, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/ws/signup", &websocket.DialOptions{HTTPHeader: header})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		set, _, _ := strings.Cut(answer.Header.Get("Set-Cookie"), ";")
		return c, set
	}
	ask := func(c *websocket.Conn) string {
		t.Helper()
		write(t, c, `{"type":"qrcode"}`)
		return read(t, c).Type
	}
	first, cookie := dial("")
	if !strings.HasPrefix(cookie, "posthouse-browser=") {
		t.Fatalf("the 101 sets %q", cookie)
	}
	second, none := dial(cookie)
	third, _ := dial(cookie)
	if none != "" {
		t.Errorf("a browser that is known got %q", none)
	}
	if a, b, c := ask(first), ask(second), ask(third); a != "qrcode" || b != "qrcode" || c != "failure" {
		t.Errorf("%s, %s, %s", a, b, c)
	}
	for range 3 { // clients without cookies meet the other limits, unchanged
		c, _ := dial("")
		if got := ask(c); got != "qrcode" {
			t.Errorf("without a cookie: %s", got)
		}
	}
	if n := s.codes.calls.Load(); n != 5 {
		t.Errorf("%d codes", n)
	}
	if got, err := s.store.Get(t.Context(), s.firstTicket(t)); err != nil || got.Browser == "" || got.Network != "127.0.0.*" {
		t.Errorf("%+v, %v", got, err)
	}
}

// firstTicket is the id of an attempt that is open.
func (s *site) firstTicket(t *testing.T) string {
	t.Helper()
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	for id := range s.attempts.openAttempts {
		return id
	}
	t.Fatal("no attempt is open")
	return ""
}

func TestVisitNamesNoAddressAndNobodysWords(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.77": "203.0.113.*", "10.0.0.1": "10.0.0.*", "2001:db8:1:2::5": "2001:db8:1:*", "::1": "::*",
		"fe80::1%eth0": "fe80:*", "2001:db8::1": "2001:db8:*",
	} {
		if got := networkName(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if got := networkName(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
	for agent, want := range map[string]string{
		"": "", "curl/8.0": "", "your bank, reply 47": "",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36":                                   "Chrome, Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0":                     "Edge, Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15":                             "Safari, macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1":           "Safari, iOS",
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                            "Firefox, Linux",
		"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.49 (reply 47 now)": "WeChat, Android",
	} {
		if got := agentName(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// The cookie of a browser stands in its tickets, hashed, on Socket.IO as well.
func TestRiskModeKnowsTheBrowser(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode()
		claim := login.Claim{AppID: "wx-default", WeChat: q.Ticket, OpenID: "ana", Risk: true}
		if _, _, err := r.loginService.Claim(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		s := p.expectState(login.Claimed) // no cookie: never seen
		if _, _, err := r.loginService.Confirm(t.Context(), "wx-default", "ana", s.Number, time.Time{}); err != nil {
			t.Fatal(err)
		}
		p.expectState(login.Done)
		expect[string](p, "token")
	})
}
