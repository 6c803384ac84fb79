package gateway_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// free is a gateway whose limits do not stand in a test's way.
func free(t testing.TB, env ...string) string {
	t.Helper()
	base, _ := testenv.Gateway(t, append([]string{
		"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off",
		"POSTHOUSE_LIMIT_QRCODES_PER_SOCKET=off", "POSTHOUSE_LIMIT_QRCODES_PER_IP=off",
	}, env...)...)
	return base
}

func TestAnswersOfTheLoginNamespace(t *testing.T) {
	t.Parallel()
	base := free(t)

	t.Run("qrcode answers six keys, as ack and as event", func(t *testing.T) {
		p := open(t, base)
		ack := p.ask("qrcode")
		mustFit(t, "keys", keys(t, ack), "account expiresIn imageUrl resume ticket url")
		event := p.next("qrcode")
		mustFit(t, "event", string(event.args[0]), ack)
		var c code
		p.parse(ack, &c)
		mustFit(t, "imageUrl", c.ImageURL, base+"/sim/cgi-bin/showqrcode?ticket="+url.QueryEscape(c.Ticket))
		if c.ExpiresIn < 299 || c.ExpiresIn > 300 || len(c.Resume) < 43 || c.Account != "default" {
			t.Errorf("%+v", c)
		}
		again := p.qrcode()
		if again.Ticket != c.Ticket || again.Resume != c.Resume {
			t.Error("asked again, it answered another ticket")
		}
		p.emit("qrcode")
		p.next("qrcode")
		fresh := p.qrcode(map[string]any{"refresh": true})
		if fresh.Ticket == c.Ticket || fresh.Resume == c.Resume {
			t.Error("refresh did not make a new ticket")
		}
		mustFit(t, "the old one", open(t, base).ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume}), `{"state":"replaced","expiresIn":0}`)
		// A scan of it signs no person in.
		p.emit("qrcode")
		scan(t, base, "late", c.Ticket, true)
		mustFit(t, "the new one", open(t, base).ask("resume", map[string]any{"ticket": fresh.Ticket, "resume": fresh.Resume}), `{"state":"waiting","expiresIn":300}`)
	})
	t.Run("what cannot be understood", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode()
		other := open(t, base)
		for i, q := range []struct {
			event string
			args  []any
			code  string
		}{
			{"resume", nil, "bad_request"},
			{"resume", []any{map[string]any{}}, "bad_request"},
			{"resume", []any{map[string]any{"ticket": c.Ticket}}, "bad_request"},
			{"resume", []any{"x"}, "bad_request"},
			{"resume", []any{map[string]any{"ticket": 1, "resume": 2}}, "bad_request"},
			{"resume", []any{map[string]any{"ticket": c.Ticket, "resume": "wrong"}}, "unauthorized"},
			{"resume", []any{map[string]any{"ticket": "unknown", "resume": c.Resume}}, "unauthorized"},
			{"cancel", nil, "bad_request"},
			{"qrcode", []any{"x"}, "bad_request"},
			{"qrcode", []any{7}, "bad_request"},
			{"qrcode", []any{[]any{}}, "bad_request"},
			{"qrcode", []any{map[string]any{"account": "nobody"}}, "unknown_account"},
			{"qrcode", []any{map[string]any{"challenge": "short"}}, "bad_request"},
			{"qrcode", []any{map[string]any{"challenge": 5}}, "bad_request"},
			{"qrcode", []any{map[string]any{"account": "__proto__"}}, "unknown_account"},
		} {
			if i%8 == 7 { // a socket of /login may send ten events at once (docs/reliability.md §4 row 17)
				other = open(t, base)
			}
			if got := failure(t, other.ask(q.event, q.args...)); got != q.code {
				t.Errorf("%s %v: %s, want %s", q.event, q.args, got, q.code)
			}
		}
		other = open(t, base)
		other.emit("resume", map[string]any{"ticket": c.Ticket, "resume": "wrong"})
		mustFit(t, "without an ack", failure(t, string(other.next("failure").args[0])), "unauthorized")
		other = open(t, base)
		wrong := other.ask("resume", map[string]any{"ticket": c.Ticket, "resume": "wrong"})
		mustFit(t, "unknown and wrong", other.ask("resume", map[string]any{"ticket": "no", "resume": "wrong"}), wrong)
		mustFit(t, "null is nothing", keys(t, other.ask("qrcode", nil)), "account expiresIn imageUrl resume ticket url")
	})
	t.Run("cancel", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode()
		mustFit(t, "cancel", p.ask("cancel"), `{"state":"cancelled"}`)
		mustFit(t, "event", string(p.next("state").args[0]), `{"state":"cancelled","expiresIn":0}`)
		mustFit(t, "resume", p.ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume}), `{"state":"cancelled","expiresIn":0}`)
		if fresh := p.qrcode(); fresh.Ticket == c.Ticket {
			t.Error("a cancelled ticket was answered again")
		}
	})
	t.Run("token, then the end, never before", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode(map[string]any{})
		s := scan(t, base, "alice", c.Ticket, true)
		if s.Event != "subscribe" || len(s.Deliveries) != 1 || s.Deliveries[0].Status != 200 || s.Deliveries[0].MS == nil ||
			s.Deliveries[0].URL != base+"/callback/wechat" {
			t.Errorf("%+v", s)
		}
		jwt := text(t, p.next("token"))
		mustFit(t, "after it", sprint(p.rest()), "[state disconnect]")
		header, claims := token(t, base, jwt)
		var have []string
		for k := range claims {
			have = append(have, k)
		}
		slices.Sort(have)
		mustFit(t, "claims", sprint(have), "[amr appid aud exp iat iss jti nbf openid sub]")
		if claims["iss"] != "posthouse" || claims["aud"] != "posthouse" || claims["sub"] != s.OpenID || claims["openid"] != s.OpenID ||
			sprint(claims["amr"]) != "[wechat_oa]" || claims["exp"].(float64)-claims["iat"].(float64) != 900 || header["kid"] == "" {
			t.Errorf("%v %v", header, claims)
		}
		mustFit(t, "resume", open(t, base).ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume}), `{"state":"done","expiresIn":0}`)
	})
	t.Run("a front end that never acknowledges is let go after two seconds", func(t *testing.T) {
		t.Parallel()
		p := open(t, base)
		p.silent = true
		c := p.qrcode()
		scan(t, base, "bob", c.Ticket, true)
		p.next("token")
		began := time.Now()
		p.rest()
		if took := time.Since(began); took < 1500*time.Millisecond || took > 3500*time.Millisecond {
			t.Errorf("let go after %v", took)
		}
	})
	t.Run("lost before it counted: resume brings the same token", func(t *testing.T) {
		t.Parallel()
		p := open(t, base)
		p.silent = true
		c := p.qrcode()
		scan(t, base, "carol", c.Ticket, true)
		first := text(t, p.next("token"))
		p.conn.CloseNow()
		q := open(t, base)
		got := q.ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume})
		mustFit(t, "resume", got, `{"state":"done","expiresIn":0}`)
		second := text(t, q.next("token"))
		_, one := token(t, base, first)
		_, two := token(t, base, second)
		if one["jti"] != two["jti"] || one["jti"] == nil {
			t.Errorf("jti %v, then %v", one["jti"], two["jti"])
		}
		q.rest()
	})
	t.Run("the last socket to resume has the ticket", func(t *testing.T) {
		p, q := open(t, base), open(t, base)
		c := p.qrcode()
		got := q.ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume})
		mustFit(t, "keys", keys(t, got), "expiresIn state")
		mustFit(t, "the first socket", string(p.next("state").args[0]), `{"state":"moved","expiresIn":0}`)
		scan(t, base, "dora", c.Ticket, true)
		q.next("token")
		q.rest()
		if more, ok := p.receive(300 * time.Millisecond); ok {
			t.Errorf("the first socket was told %v", more)
		}
	})
	t.Run("the second person is too late, the first again is told the same", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode()
		first := scan(t, base, "eve", c.Ticket, true)
		_, claims := token(t, base, text(t, p.next("token")))
		second := scan(t, base, "frank", c.Ticket, true)
		if claims["openid"] != first.OpenID || len(second.Deliveries) != 1 || second.Deliveries[0].Status != 200 {
			t.Errorf("%v %+v", claims, second)
		}
		if !strings.Contains(second.Deliveries[0].Body, "Encrypt") {
			t.Errorf("no reply to the second: %q", second.Deliveries[0].Body)
		}
		if again := scan(t, base, "eve", c.Ticket, false); again.Event != "SCAN" {
			t.Errorf("%+v", again)
		}
	})
	t.Run("code instead of token with a challenge", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode(map[string]any{"challenge": challenge(verifier)})
		s := scan(t, base, "gil", c.Ticket, true)
		m := p.next("code")
		mustFit(t, "keys", keys(t, string(m.args[0])), "code expiresIn")
		var got struct {
			Code      string
			ExpiresIn int
		}
		p.parse(string(m.args[0]), &got)
		mustFit(t, "after it", sprint(p.rest()), "[state disconnect]")
		if got.ExpiresIn < 58 || got.ExpiresIn > 60 {
			t.Errorf("expiresIn %d", got.ExpiresIn)
		}
		body, _ := json.Marshal(map[string]string{"code": got.Code, "verifier": verifier})
		a := call(t, "POST", base+"/login/exchange", string(body), "Content-Type: application/json")
		if a.StatusCode != 200 || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", a.StatusCode, a.Header, a.body)
		}
		mustFit(t, "keys", keys(t, a.body), "expiresIn token tokenType")
		var ex struct {
			Token, TokenType string
			ExpiresIn        int
		}
		p.parse(a.body, &ex)
		_, claims := token(t, base, ex.Token)
		if ex.TokenType != "Bearer" || ex.ExpiresIn < 890 || ex.ExpiresIn > 900 || claims["openid"] != s.OpenID {
			t.Errorf("%+v %v", ex, claims)
		}
		again := call(t, "POST", base+"/login/exchange", string(body))
		var ex2 struct{ Token string }
		p.parse(again.body, &ex2)
		_, claims2 := token(t, base, ex2.Token)
		if again.StatusCode != 200 || claims2["jti"] != claims["jti"] {
			t.Errorf("repeat: %d %v", again.StatusCode, claims2)
		}
		if a := call(t, "POST", base+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+strings.Repeat("b", 43)+`"}`); a.StatusCode != 401 || failure(t, a.body) != "unauthorized" {
			t.Errorf("wrong verifier: %d %s", a.StatusCode, a.body)
		}
	})
	t.Run("a resume before the exchange kills the old code", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode(map[string]any{"challenge": challenge(verifier)})
		scan(t, base, "hal", c.Ticket, true)
		first := p.next("code")
		p.rest()
		q := open(t, base)
		q.ask("resume", map[string]any{"ticket": c.Ticket, "resume": c.Resume})
		second := q.next("code")
		for i, m := range []message{first, second} {
			var got struct{ Code string }
			p.parse(string(m.args[0]), &got)
			a := call(t, "POST", base+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+verifier+`"}`)
			if want := []int{401, 200}[i]; a.StatusCode != want {
				t.Errorf("code %d: %d %s", i, a.StatusCode, a.body)
			}
		}
	})
	t.Run("five wrong verifiers burn a code", func(t *testing.T) {
		p := open(t, base)
		c := p.qrcode(map[string]any{"challenge": challenge(verifier)})
		scan(t, base, "ida", c.Ticket, true)
		var got struct{ Code string }
		p.parse(string(p.next("code").args[0]), &got)
		for range 5 {
			if a := call(t, "POST", base+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+strings.Repeat("c", 43)+`"}`); a.StatusCode != 401 {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		}
		if a := call(t, "POST", base+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+verifier+`"}`); a.StatusCode != 401 {
			t.Errorf("a burnt code: %d", a.StatusCode)
		}
	})
	t.Run("a burst of events is answered, a flood ends the connection", func(t *testing.T) {
		p := open(t, base)
		p.qrcode()
		for range 60 {
			p.emit("cancel")
		}
		p.next("failure")
		p.next("closed")
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_TICKET_TTL=2s")
	p := open(t, base)
	began := time.Now()
	c := p.qrcode()
	if c.ExpiresIn != 2 {
		t.Errorf("expiresIn %d", c.ExpiresIn)
	}
	// A stranger sees the follow page; nothing is pushed yet.
	if s := scan(t, base, "slow", c.Ticket, false); s.Deliveries == nil || len(s.Deliveries) != 0 {
		t.Errorf("%+v", s)
	}
	mustFit(t, "state", string(p.next("state").args[0]), `{"state":"expired","expiresIn":0}`)
	if took := time.Since(began); took < 1900*time.Millisecond || took > 3500*time.Millisecond {
		t.Errorf("expired after %v", took)
	}
	if a := call(t, "POST", base+"/sim/scan", `{"person":"x","ticket":"`+c.Ticket+`"}`); a.StatusCode != 404 || keys(t, a.body) != "error" {
		t.Errorf("scan of an expired code: %d %s", a.StatusCode, a.body)
	}
	// Following a moment later still logs in (15 s of grace).
	if s := act(t, base, "follow", `{"person":"slow"}`); len(s.Deliveries) != 1 {
		t.Errorf("%+v", s)
	}
	text(t, p.next("token"))

	// With at most 60 s left a ticket is not answered again.
	q := open(t, base)
	if one, two := q.qrcode(), q.qrcode(); one.Ticket == two.Ticket {
		t.Error("a ticket with two seconds left was answered again")
	}
	// Cancelled is over: no grace.
	last := q.qrcode()
	scan(t, base, "sam", last.Ticket, false)
	q.ask("cancel")
	act(t, base, "follow", `{"person":"sam"}`)
	mustFit(t, "cancelled", open(t, base).ask("resume", map[string]any{"ticket": last.Ticket, "resume": last.Resume}), `{"state":"cancelled","expiresIn":0}`)
}
