package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"posthouse/internal/testenv"
)

// devToken is the callback token of the built-in development account.
const devToken = "posthouseLocalToken"

func TestHTTP(t *testing.T) {
	t.Parallel()
	const friend = "https://www.example.com"
	base := free(t, "POSTHOUSE_ORIGINS="+friend+", http://app.example.org:8080", "POSTHOUSE_COOKIE=session", "POSTHOUSE_LOG_LEVEL=debug")

	t.Run("health", func(t *testing.T) {
		for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": `{"ready":true,"status":"ok","reasons":[],`} {
			if a := call(t, "GET", base+path, ""); a.StatusCode != 200 || !strings.HasPrefix(a.body, want) {
				t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
			}
			if a := call(t, "HEAD", base+path, ""); a.StatusCode != 200 || a.body != "" {
				t.Errorf("HEAD %s: %d %q", path, a.StatusCode, a.body)
			}
		}
	})
	t.Run("pages", func(t *testing.T) {
		for _, c := range []struct {
			path, language string
			status         int
			want           string
		}{
			{"/login", "zh-CN,zh;q=0.9", 200, `lang="zh-CN"`},
			{"/login", "en", 200, `lang="en"`},
			{"/login/", "en", 200, `lang="en"`},
			{"/login?account=default", "en", 200, `data-account="default"`},
			{"/login?account=nobody", "en", 404, ""},
			{"/.well-known/jwks.json", "", 200, `"crv":"Ed25519"`},
			{"/metrics", "", 404, ""},
			{"/debug/pprof/", "", 404, ""},
		} {
			if a := call(t, "GET", base+c.path, "", "Accept-Language: "+c.language); a.StatusCode != c.status || !strings.Contains(a.body, c.want) {
				t.Errorf("%s: %d %.300s", c.path, a.StatusCode, a.body)
			}
		}
		if a := call(t, "HEAD", base+"/login", ""); a.StatusCode != 200 || a.body != "" {
			t.Errorf("HEAD /login: %d", a.StatusCode)
		}
	})
	t.Run("the webhook", func(t *testing.T) {
		now := strconv.FormatInt(time.Now().Unix(), 10)
		old := strconv.FormatInt(time.Now().Unix()-400, 10)
		query := func(timestamp, nonce string) string {
			return "?timestamp=" + timestamp + "&nonce=" + nonce + "&signature=" + sign(devToken, timestamp, nonce)
		}
		for _, c := range []struct {
			method, path, body string
			status             int
			want               string
		}{
			{"GET", "/callback/wechat" + query(now, "n1") + "&echostr=12345", "", 200, "12345"},
			{"GET", "/callback/wechat/default" + query(now, "n2") + "&echostr=a%20b", "", 200, "a b"},
			{"GET", "/callback/wechat/" + query(now, "n3") + "&echostr=12345", "", 200, "12345"},
			{"GET", "/callback/wechat?timestamp=" + now + "&nonce=n&signature=wrong&echostr=1", "", 403, ""},
			{"GET", "/callback/wechat", "", 403, ""},
			{"POST", "/callback/wechat", "x", 403, ""},
			{"POST", "/callback/wechat" + query(now, "n4"), "<xml><FromUserName>o</FromUserName></xml>", 403, ""}, // plain at a secure account
			{"POST", "/callback/wechat" + query(old, "n5") + "&encrypt_type=aes&msg_signature=x", "<xml/>", 403, ""},
			{"POST", "/callback/wechat" + query(now, "n6") + "&encrypt_type=aes&msg_signature=x", "<xml><Encrypt>AAAA</Encrypt></xml>", 403, ""},
			{"POST", "/callback/wechat", strings.Repeat("x", 64<<10+1), 413, ""},
			{"POST", "/callback/wechat/nobody", "x", 404, ""},
		} {
			if a := call(t, c.method, base+c.path, c.body); a.StatusCode != c.status || a.body != c.want {
				t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, a.StatusCode, a.body, c.status, c.want)
			}
		}
	})
	t.Run("faults of the platform log nobody in", func(t *testing.T) {
		for _, c := range []struct {
			kind   string
			status int
		}{
			{"bad_signature", 403}, {"bad_msg_signature", 403}, {"stale", 403}, {"foreign_appid", 403},
			{"truncated", 403}, {"downgrade", 403}, {"doctype", 400},
		} {
			p := open(t, base)
			q := p.qrcode()
			call(t, "POST", base+"/sim/faults", `{"kind":"`+c.kind+`","times":1}`)
			s := scan(t, base, "fault-"+c.kind, q.Ticket, true)
			if len(s.Deliveries) == 0 || s.Deliveries[0].Status != c.status || s.Deliveries[0].Body != "" {
				t.Errorf("%s: %+v", c.kind, s.Deliveries)
			}
			call(t, "DELETE", base+"/sim/faults", "")
			mustFit(t, c.kind, keys(t, p.ask("resume", map[string]any{"ticket": q.Ticket, "resume": q.Resume})), "expiresIn state")
			if names := sprint(names(p.seen)); names != "[]" {
				t.Errorf("%s: the page was told %s", c.kind, names)
			}
		}
		// The same push again and again is one login.
		p := open(t, base)
		q := p.qrcode()
		call(t, "POST", base+"/sim/faults", `{"kind":"duplicate","count":3,"times":1}`)
		s := scan(t, base, "twice", q.Ticket, true)
		for _, d := range s.Deliveries {
			if d.Status != 200 || d.Body != "success" {
				t.Errorf("duplicate: %+v", d)
			}
		}
		mustFit(t, "duplicates", sprint(p.rest()), "[state token disconnect]")
	})
	t.Run("exchange", func(t *testing.T) {
		unknown := `{"code":"unknown","verifier":"` + verifier + `"}`
		for _, c := range []struct {
			method, body, origin string
			status               int
			code                 string
		}{
			{"POST", ``, "", 400, "bad_request"},
			{"POST", `{`, "", 400, "bad_request"},
			{"POST", `[]`, "", 400, "bad_request"},
			{"POST", `{}`, "", 400, "bad_request"},
			{"POST", `{"code":"x"}`, "", 400, "bad_request"},
			{"POST", `{"verifier":"` + verifier + `"}`, "", 400, "bad_request"},
			{"POST", `{"code":7,"verifier":7}`, "", 400, "bad_request"},
			{"POST", unknown, "", 401, "unauthorized"},
			{"POST", unknown, base, 401, "unauthorized"},
			{"POST", unknown, friend, 401, "unauthorized"},
			{"GET", ``, "", 405, "method_not_allowed"},
			{"POST", unknown, "https://evil.example", 403, ""},
			{"POST", unknown, "null", 403, ""},
			{"POST", unknown, "https://www.example.com.evil.example", 403, ""},
			{"POST", unknown, "http://www.example.com", 403, ""},
			{"POST", unknown, "https://www.example.com:444", 403, ""},
		} {
			var headers []string
			if c.origin != "" {
				headers = append(headers, "Origin: "+c.origin)
			}
			a := call(t, c.method, base+"/login/exchange", c.body, headers...)
			if a.StatusCode != c.status || c.code != "" && failure(t, a.body) != c.code {
				t.Errorf("%s %s from %q: %d %s", c.method, c.body, c.origin, a.StatusCode, a.body)
			}
			allowed := a.Header.Get("Access-Control-Allow-Origin") + " " + a.Header.Get("Access-Control-Allow-Credentials") + " " + a.Header.Get("Vary")
			want := "  "
			switch {
			case c.origin == friend:
				want = friend + " true Origin"
			case c.status == 403:
				want = "  Origin"
			}
			mustFit(t, "CORS for "+c.origin, allowed, want)
		}
		p := open(t, base)
		q := p.qrcode(map[string]any{"challenge": challenge(verifier)})
		scan(t, base, "cookie", q.Ticket, true)
		var got struct{ Code string }
		p.parse(string(p.next("code").args[0]), &got)
		a := call(t, "POST", base+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+verifier+`"}`)
		cookie := a.Header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "session=ey") || !strings.Contains(cookie, "; HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
			t.Errorf("cookie %q", cookie)
		}
	})
	t.Run("origins of sockets", func(t *testing.T) {
		for _, c := range []struct {
			origin string
			status int
		}{
			{"", 200}, {base, 200}, {friend, 200}, {"http://app.example.org:8080", 200},
			{"http://app.example.org", 403}, {"null", 403}, {"https://evil.example", 403}, {"https://evilwww.example.com", 403}, {"file://", 403},
		} {
			var headers []string
			header := http.Header{}
			if c.origin != "" {
				headers, header = []string{"Origin: " + c.origin}, http.Header{"Origin": {c.origin}}
			}
			if a := call(t, "GET", base+"/socket.io/?EIO=4&transport=polling", "", headers...); a.StatusCode != c.status {
				t.Errorf("polling from %q: %d", c.origin, a.StatusCode)
			}
			for _, path := range []string{"/socket.io/?EIO=4&transport=websocket", "/ws/signup"} {
				conn, resp, err := websocket.Dial(t.Context(), base+path, &websocket.DialOptions{HTTPHeader: header})
				if err == nil {
					conn.CloseNow()
				}
				if (err == nil) != (c.status == 200) || err != nil && (resp == nil || resp.StatusCode != c.status) {
					t.Errorf("%s from %q: %v", path, c.origin, err)
				}
			}
		}
	})
	t.Run("the raw socket", func(t *testing.T) {
		conn, _, err := websocket.Dial(t.Context(), base+"/ws/signup", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		say := func(text string) {
			if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		hear := func() (m struct{ Type, Message string }) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, data, err := conn.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			mustFit(t, "keys", keys(t, string(data)), "message type")
			_ = json.Unmarshal(data, &m)
			return m
		}
		say("junk")
		say(`{"type":"unknown"}`)
		say(`[]`)
		say(`{"type":"qrcode"}`)
		qr := hear()
		ticket := qr.Message[strings.Index(qr.Message, "ticket=")+7:]
		if qr.Type != "qrcode" || !strings.HasPrefix(qr.Message, base+"/sim/cgi-bin/showqrcode?ticket=") {
			t.Fatalf("%+v", qr)
		}
		s := scan(t, base, "raw", ticket, true)
		got := hear()
		if _, claims := token(t, base, got.Message); got.Type != "token" || claims["openid"] != s.OpenID {
			t.Errorf("%+v", got)
		}
		_, _, err = conn.Read(t.Context())
		var closed websocket.CloseError
		if !asClose(err, &closed) || closed.Code != 1000 || closed.Reason != `{"type":"end","message":"connection will be terminated"}` {
			t.Errorf("the end: %v", err)
		}
	})
}

func TestTheRawSocketUnderTheSocketIOPath(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_SOCKETIO_PATH=/ws/")
	openAt(t, base, "/ws/", nil).qrcode()
	conn, _, err := websocket.Dial(t.Context(), base+"/ws/signup", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	base, _ := testenv.Gateway(t, "POSTHOUSE_TRUSTED_PROXIES=127.0.0.1, ::1/128", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=1/m",
		"POSTHOUSE_LIMIT_QRCODES_PER_SOCKET=2/m", "POSTHOUSE_LIMIT_QRCODES_PER_IP=3/m", "POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=4")
	shake := func(ip string) answer {
		return call(t, "GET", base+"/socket.io/?EIO=4&transport=polling", "", "X-Forwarded-For: 6.6.6.6, "+ip)
	}
	// Three at once (a burst of three times the rate), then 429 with a time.
	for range 3 {
		if a := shake("1.1.1.1"); a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	a := shake("1.1.1.1")
	if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); a.StatusCode != 429 || err != nil || wait < 1 || wait > 60 {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if a := shake("2.2.2.2"); a.StatusCode != 200 {
		t.Errorf("another address: %d", a.StatusCode)
	}
	one := openAt(t, base, "/socket.io/", http.Header{"X-Forwarded-For": {"3.3.3.3"}})
	refresh := map[string]any{"refresh": true}
	one.qrcode()
	one.qrcode(refresh)
	refused := one.ask("qrcode", refresh)
	mustFit(t, "per socket", failure(t, refused), "rate_limited")
	var f struct{ Error struct{ RetryAfter int } }
	one.parse(refused, &f)
	if f.Error.RetryAfter < 1 || f.Error.RetryAfter > 60 {
		t.Errorf("retryAfter %d", f.Error.RetryAfter)
	}
	two := openAt(t, base, "/socket.io/", http.Header{"X-Forwarded-For": {"3.3.3.3"}})
	two.qrcode()
	mustFit(t, "per address", failure(t, two.ask("qrcode", refresh)), "rate_limited")
	if again := two.ask("qrcode"); !strings.Contains(again, `"ticket"`) {
		t.Errorf("the code that is there counts: %s", again)
	}
	for i := range 4 {
		a := call(t, "POST", base+"/login/exchange", `{}`, "X-Forwarded-For: 4.4.4.4")
		if want := map[bool]int{true: 429, false: 400}[i == 3]; a.StatusCode != want {
			t.Errorf("exchange %d: %d %s", i+1, a.StatusCode, a.body)
		}
	}
}

func TestSigterm(t *testing.T) {
	t.Parallel()
	base, p := testenv.Gateway(t, "POSTHOUSE_DRAIN_DELAY=1s", "POSTHOUSE_DRAIN=5s")
	first := open(t, base)
	first.qrcode()
	var others []*page
	for range 8 {
		others = append(others, open(t, base))
	}
	raw, _, err := websocket.Dial(t.Context(), base+"/ws/signup", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.CloseNow()
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- p.Stop(patience) }()
	testenv.Until(t, patience, "not ready", func() bool {
		a := call(t, "GET", base+"/readyz", "")
		return a.StatusCode == 503 && strings.Contains(a.body, `"ready":false,"status":"draining"`)
	})
	// It keeps serving until the delay is over.
	if a := call(t, "GET", base+"/socket.io/?EIO=4&transport=polling", ""); a.StatusCode != 200 {
		t.Errorf("a handshake during the delay: %d", a.StatusCode)
	}
	if _, _, err := raw.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the raw socket: %v", err)
	}
	// The sockets end one after the other, and no new one comes in meanwhile.
	if a := call(t, "GET", base+"/socket.io/?EIO=4&transport=polling", ""); a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || !a.Close {
		t.Errorf("a handshake while draining: %d %v", a.StatusCode, a.Header)
	}
	for _, p := range append(others, first) {
		mustFit(t, "a socket", sprint(p.rest()), "[]") // no goodbye of the namespace: clients come back by themselves
	}
	if err := <-ended; err != nil {
		t.Errorf("exit: %v", err)
	}
	if took := time.Since(began); took < 900*time.Millisecond || took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if strings.Contains(p.Output(), "panic") {
		t.Error(p.Output())
	}
}
