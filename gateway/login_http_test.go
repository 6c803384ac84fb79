package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/socketio"
)

// site is a login over real HTTP.
type site struct {
	*loginNamespace
	url    string
	issuer *login.Issuer
	store  login.Store
	codes  *codeMaker
}

func newSite(t testing.TB, change func(*Config)) *site {
	t.Helper()
	cfg := loginConfig()
	if change != nil {
		change(cfg)
	}
	keys, err := login.ParseKeys("hs256:" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := login.NewIssuer(&login.IssuerOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	io := socketio.NewServer(&socketio.Options{Logger: log})
	m := newMetrics(func() float64 { return 0 })
	def := &account{Account: Account{Name: "default"}}
	s := &site{issuer: issuer, store: login.NewMemory(), codes: &codeMaker{}}
	s.loginNamespace, err = newLoginNamespace(loginDeps{
		ioServer: io, config: cfg, admission: newAdmission(cfg, m), metrics: m, log: log,
		accounts: &accounts{inOrder: []*account{def}, byName: map[string]*account{"": def, "default": def}},
	}, login.ServiceOptions{Store: s.store, Issuer: issuer, QRCodes: s.codes})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	s.register(e)
	server := httptest.NewServer(e)
	s.url = server.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.finishLogins(ctx)
		server.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// code is a login up to its one-time code.
func (s *site) code(t *testing.T) string {
	t.Helper()
	started, err := s.loginService.Start(t.Context(), login.StartRequest{Account: "default", Challenge: testChallenge})
	if err != nil {
		t.Fatal(err)
	}
	ticket, _, err := s.loginService.Claim(t.Context(), login.Claim{AppID: "wx-default", Scene: started.Ticket.ID, OpenID: "ana"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.loginService.Result(t.Context(), ticket)
	if err != nil {
		t.Fatal(err)
	}
	return r.Value
}

func (s *site) post(t *testing.T, body string, header ...string) (*http.Response, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/login/exchange", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var fields map[string]any
	_ = json.NewDecoder(answer.Body).Decode(&fields)
	return answer, fields
}

func exchangeBody(code, verifier string) string {
	text, _ := json.Marshal(exchangeRequest{code, verifier})
	return string(text)
}

// docs/reliability.md §4 row 37
func TestLoginHTTP_ExchangeNeedsTheBrowsersProof(t *testing.T) {
	s := newSite(t, func(c *Config) { c.Cookie = "session" })
	code := s.code(t)
	refused := func(name string, status int, want, body string, header ...string) {
		t.Helper()
		answer, fields := s.post(t, body, header...)
		e, _ := fields["error"].(map[string]any)
		if answer.StatusCode != status || want != "" && e["code"] != want {
			t.Errorf("%s: %d %v, want %d %s", name, answer.StatusCode, fields, status, want)
		}
		if len(answer.Cookies()) != 0 {
			t.Errorf("%s: set a cookie", name)
		}
	}
	refused("no body", 400, "bad_request", "")
	refused("junk", 400, "bad_request", "{")
	refused("two values", 400, "bad_request", exchangeBody(code, testVerifier)+"{}")
	refused("no verifier", 400, "bad_request", `{"code":"`+code+`"}`)
	refused("no code", 400, "bad_request", `{"verifier":"`+testVerifier+`"}`)
	refused("numbers", 400, "bad_request", `{"code":1,"verifier":2}`)
	refused("too long", 413, "bad_request", `{"code":"`+strings.Repeat("c", 5000)+`"}`)
	refused("unknown code", 401, "unauthorized", exchangeBody("unknown", testVerifier))
	refused("wrong verifier", 401, "unauthorized", exchangeBody(code, strings.Repeat("w", 43)))
	refused("another origin", 403, "", exchangeBody(code, testVerifier), "Origin", "https://evil.example")

	var first string
	for range 2 { // a lost answer may be asked for again
		answer, fields := s.post(t, exchangeBody(code, testVerifier), "Origin", s.url)
		token, _ := fields["token"].(string)
		left, _ := fields["expiresIn"].(float64)
		if answer.StatusCode != 200 || fields["tokenType"] != "Bearer" || left < 895 || left > 900 || len(fields) != 3 {
			t.Fatalf("%d %v", answer.StatusCode, fields)
		}
		if h := answer.Header.Get("Cache-Control"); h != "no-store" {
			t.Errorf("Cache-Control %q", h)
		}
		if first == "" {
			first = token
		}
		if token == "" || token != first {
			t.Error("the repeat is another token")
		}
		cookies := answer.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "session" || cookies[0].Value != token || !cookies[0].HttpOnly ||
			cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Secure {
			t.Errorf("cookies %v", cookies)
		}
	}

	for _, method := range []string{http.MethodGet, http.MethodPut} {
		r, _ := http.NewRequestWithContext(t.Context(), method, s.url+"/login/exchange", nil)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 405 || answer.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, answer.StatusCode, answer.Header.Get("Allow"))
		}
	}
}

func TestCookieIsSecureBehindTLS(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Cookie = "__Host-session"
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	answer, _ := s.post(t, exchangeBody(s.code(t), testVerifier), "X-Forwarded-Proto", "https")
	if c := answer.Cookies(); len(c) != 1 || !c[0].Secure {
		t.Errorf("cookies %v", c)
	}
}

// dial opens /ws/signup.
func (s *site) dial(t *testing.T) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/ws/signup", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func write(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c *websocket.Conn) (m signupMessage) {
	t.Helper()
	_, data, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return m
}

func TestSignup(t *testing.T) {
	s := newSite(t, nil)
	c := s.dial(t)
	for _, junk := range []string{"", "junk", "[]", "null", `{"type":"unknown"}`, `{"type":5}`, `{"message":"x"}`} {
		write(t, c, junk)
	}
	if err := c.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"qrcode"}`)); err != nil {
		t.Fatal(err)
	}
	write(t, c, `{"type":"qrcode"}`)
	q := read(t, c)
	if q.Type != "qrcode" || !strings.HasPrefix(q.Message, "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=L1.") {
		t.Fatalf("%+v", q)
	}
	write(t, c, `{"type":"qrcode"}`)
	if again := read(t, c); again != q {
		t.Errorf("asked again: %+v", again)
	}
	_, scene, _ := strings.Cut(q.Message, "ticket=")
	if _, o, err := s.loginService.Claim(t.Context(), login.Claim{AppID: "wx-default", Scene: scene, OpenID: "ana"}); err != nil || o != login.OutcomeClaimed {
		t.Fatalf("%s, %v", o, err)
	}
	if m := read(t, c); m.Type != "token" || strings.Count(m.Message, ".") != 2 {
		t.Fatalf("%+v", m)
	}
	_, _, err := c.Read(t.Context())
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 1000 || closed.Reason != `{"type":"end","message":"connection will be terminated"}` {
		t.Errorf("closed with %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_ = s.tasks.Wait(ctx)
	if got, err := s.store.Get(t.Context(), scene); err != nil || !got.Delivered {
		t.Errorf("delivered %v, %v", got.Delivered, err)
	}
}

func TestSignupLimits(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.LimitQRCodesIP = Rate{N: 1, Per: time.Minute}
		c.LimitConnections = Count{N: 2}
	})
	first, c := s.dial(t), s.dial(t)
	write(t, first, `{"type":"qrcode"}`)
	read(t, first)
	write(t, c, `{"type":"qrcode"}`)
	if m := read(t, c); m.Type != "failure" || m.Message != "rate_limited" {
		t.Errorf("%+v", m)
	}
	if _, answer, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/ws/signup", nil); err == nil || answer.StatusCode != 429 {
		t.Errorf("a third connection: %v", err)
	}
	for range 2 * eventsBurst {
		_ = c.Write(t.Context(), websocket.MessageText, []byte("junk"))
	}
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("a flood ends with %v", err)
	}
}

func TestSignupRefusesOtherOrigins(t *testing.T) {
	s := newSite(t, nil)
	_, answer, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/ws/signup",
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || answer.StatusCode != 403 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestSignupSaysGoodbyeAtShutdown(t *testing.T) {
	s := newSite(t, nil)
	c := s.dial(t)
	write(t, c, `{"type":"qrcode"}`)
	read(t, c)
	go func() { // ends when the closing handshake is done, below
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.finishLogins(ctx)
	}()
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
}

// The start page's namespace answers events at a bounded rate, too.
func TestSocketIO_FloodOfEventsInTheMainNamespaceEnds(t *testing.T) {
	cfg := loginConfig()
	cfg.SocketIOPath = "/socket.io"
	m := newMetrics(func() float64 { return 0 })
	io, err := newSocketIO(cfg, nil, nil, newAdmission(cfg, m), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(io)
	defer srv.Close()
	defer io.Shutdown(t.Context())
	c, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	write(t, c, "40")
	for range 2 { // the open packet and the answer to CONNECT
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	acks, refusals := 0, 0
	for id := range 1000 {
		if c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `42%d["rtt"]`, id)) != nil {
			break
		}
	}
	for {
		_, data, err := c.Read(t.Context())
		if err != nil {
			break
		}
		switch text := string(data); {
		case strings.HasPrefix(text, "43") && strings.HasSuffix(text, "[]"):
			acks++
		case strings.HasPrefix(text, "43") && strings.Contains(text, `"code":"rate_limited"`):
			refusals++
		}
	}
	if acks < 100 || acks > 200 || refusals < 200 || refusals > 299 {
		t.Errorf("%d acknowledgements, %d refusals", acks, refusals)
	}
}
