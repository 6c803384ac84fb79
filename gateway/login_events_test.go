package gateway

import (
	"errors"
	"strings"
	"testing"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

func TestQRCodeIsReusedWhileItLives(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		first := p.qrcode()
		time.Sleep(200 * time.Second)
		again := p.qrcode()
		if again.Ticket != first.Ticket || again.Resume != first.Resume || again.ExpiresIn != 100 {
			t.Errorf("again %+v, first %+v", again, first)
		}
		time.Sleep(41 * time.Second)
		fresh := p.qrcode()
		if fresh.Ticket == first.Ticket {
			t.Error("59 s are too short to be answered again")
		}
		if _, o := r.scan(t, first, "ana"); o != login.OutcomeReplaced {
			t.Errorf("the old one: %s", o)
		}
		asked := p.qrcode(qrcodeRequest{Refresh: true})
		if asked.Ticket == fresh.Ticket {
			t.Error("refresh did not make a new one")
		}
		if n := r.codes.calls.Load(); n != 3 {
			t.Errorf("%d codes were made", n)
		}
		if _, o := r.scan(t, asked, "ana"); o != login.OutcomeClaimed {
			t.Errorf("the last one: %s", o)
		}
	})
}

func TestExpiryIsToldAtItsMomentAndGraceStillLogsIn(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		time.Sleep(300 * time.Millisecond) // between two polls
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode()
		began := time.Now()
		time.Sleep(299 * time.Second)
		if s := p.expectState(login.Expired); s.ExpiresIn != 0 {
			t.Errorf("expired with %d s left", s.ExpiresIn)
		}
		if took := time.Since(began); took != 300*time.Second {
			t.Errorf("told after %v", took)
		}
		time.Sleep(14 * time.Second)
		if _, o := r.scan(t, q, "ana"); o != login.OutcomeClaimed {
			t.Fatalf("in the grace: %s", o)
		}
		p.expectState(login.Done)
		expect[string](p, "token")
	})
}

func TestExpiredTicketIsEndedAndCounted(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r := rs[0]
		stays, leaves := r.page(t), r.page(t)
		a, b := stays.qrcode(), leaves.qrcode()
		leaves.Close()
		time.Sleep(320 * time.Second)
		for _, q := range []qrcodeAnswer{a, b} {
			ticket, o := r.scan(t, q, "late")
			if o != login.OutcomeExpired || ticket.Reason != "timeout" {
				t.Errorf("%s, %s", o, ticket.Reason)
			}
		}
		r.attempts.mu.Lock()
		defer r.attempts.mu.Unlock()
		if len(r.attempts.openAttempts)+len(r.attempts.orphanTickets) != 0 {
			t.Errorf("%d attempts and %d orphans are kept", len(r.attempts.openAttempts), len(r.attempts.orphanTickets))
		}
	})
}

// docs/reliability.md §3 row F2
func TestLogin_LostTicketReadsExpired(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		p.qrcode()
		time.Sleep(10 * time.Second)
		r.store.lost.Store(true)
		began := time.Now()
		p.expectState(login.Expired)
		if took := time.Since(began); took > time.Second {
			t.Errorf("told after %v", took)
		}
		if q := p.qrcode(); q.Ticket == "" {
			t.Error("no new code")
		}
	})
}

func TestExpiryIsToldWhileTheStoreIsAway(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		p.qrcode()
		r.store.away.Store(true)
		began := time.Now()
		time.Sleep(299 * time.Second)
		p.expectState(login.Expired)
		if took := time.Since(began); took > 301*time.Second {
			t.Errorf("told after %v", took)
		}
	})
}

func TestConfirmShowsTheNumber(t *testing.T) {
	inLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		q := p.qrcode()
		webhook := rs[1].loginService
		if _, _, err := webhook.Claim(t.Context(), login.Claim{AppID: "wx-default", WeChat: q.Ticket, OpenID: "ana", Confirm: true}); err != nil {
			t.Fatal(err)
		}
		s := p.expectState(login.Claimed)
		if len(s.Number) != 2 || s.ExpiresIn != 300 {
			t.Errorf("claimed %+v", s)
		}
		if _, o, err := webhook.Confirm(t.Context(), "wx-default", "ana", s.Number, time.Time{}); err != nil || o != login.OutcomeClaimed {
			t.Fatalf("%s, %v", o, err)
		}
		p.expectState(login.Done)
		expect[string](p, "token")
	})
}

func TestNotMeIsTold(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode()
		r.loginService.Claim(t.Context(), login.Claim{AppID: "wx-default", WeChat: q.Ticket, OpenID: "ana", Confirm: true})
		p.expectState(login.Claimed)
		if _, _, err := r.loginService.Deny(t.Context(), "wx-default", "ana", time.Time{}); err != nil {
			t.Fatal(err)
		}
		p.expectState(login.Denied)
		time.Sleep(3 * time.Second)
		p.Quiet()
	})
}

// docs/reliability.md §3 row F34
func TestLogin_CancelTellsTheScanner(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode()
		if s := ask[stateAnswer](p, "cancel"); s.State != login.Cancelled || s.ExpiresIn != 0 {
			t.Errorf("cancelled %+v", s)
		}
		if _, o := r.scan(t, q, "ana"); o != login.OutcomeCancelled {
			t.Errorf("scanned: %s", o)
		}
		if s := p.resume(q); s.State != login.Cancelled || s.ExpiresIn != 0 {
			t.Errorf("resumed %+v", s)
		}
		if fresh := p.qrcode(); fresh.Ticket == q.Ticket {
			t.Error("a cancelled ticket was answered again")
		}
	})
}

func TestFailures(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		code := func(event string, args ...any) string {
			t.Helper()
			time.Sleep(time.Second) // below the limit of events
			a := ask[failureAnswer](p, event, args...)
			if a.Error == nil {
				return ""
			}
			if a.Error.Message != sentences[a.Error.Code] {
				t.Errorf("message %q", a.Error.Message)
			}
			return a.Error.Code
		}
		type m map[string]any
		for _, row := range []struct {
			event string
			arg   any
			want  string
		}{
			{"qrcode", "text", "bad_request"},
			{"qrcode", 5, "bad_request"},
			{"qrcode", []int{1}, "bad_request"},
			{"qrcode", m{"account": 5}, "bad_request"},
			{"qrcode", m{"challenge": "short"}, "bad_request"},
			{"qrcode", m{"challenge": testVerifier + "x"}, "bad_request"},
			{"qrcode", m{"account": "other"}, "unknown_account"},
			{"qrcode", m{"account": "__proto__"}, "unknown_account"},
			{"resume", nil, "bad_request"},
			{"resume", "ticket", "bad_request"},
			{"resume", m{"ticket": "x"}, "bad_request"},
			{"resume", m{"ticket": "x", "resume": 5}, "bad_request"},
			{"resume", m{"ticket": "x", "resume": "y"}, "unauthorized"},
			{"cancel", nil, "bad_request"},
		} {
			if got := code(row.event, row.arg); got != row.want {
				t.Errorf("%s(%v): %q, want %q", row.event, row.arg, got, row.want)
			}
		}
		if got := code("resume"); got != "bad_request" {
			t.Errorf("resume(): %q", got)
		}
		if got := code("qrcode", nil); got != "" {
			t.Errorf("qrcode(null): %q", got)
		}
		p.Expect("qrcode")
		r.codes.err = &wechat.Error{Class: wechat.ClassQuota}
		if got := code("qrcode", m{"refresh": true}); got != "quota_exhausted" {
			t.Errorf("over the quota: %q", got)
		}
		r.codes.err = errors.New("connection refused")
		if got := code("qrcode", m{"refresh": true}); got != "wechat_unavailable" {
			t.Errorf("WeChat away: %q", got)
		}
		r.store.away.Store(true)
		if got := code("qrcode", m{"refresh": true}); got != "store_unavailable" {
			t.Errorf("store away: %q", got)
		}
		r.store.away.Store(false)
		p.Emit("resume", 5) // without an acknowledgement: an event
		f, _ := expect[failureAnswer](p, "failure")
		if f.Error.Code != "bad_request" {
			t.Errorf("failure %+v", f.Error)
		}
	})
}

// docs/reliability.md §4 row 35
func TestLogin_QRCodesAreLimited(t *testing.T) {
	six := func(c *Config, _ *login.ServiceOptions) { c.LimitQRCodesSocket = Rate{N: 6, Per: time.Minute} }
	inLogin(t, 1, six, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		for range 6 {
			p.qrcode(qrcodeRequest{Refresh: true})
		}
		a := ask[failureAnswer](p, "qrcode", qrcodeRequest{Refresh: true})
		if a.Error == nil || a.Error.Code != "rate_limited" || a.Error.RetryAfter != 10 {
			t.Errorf("the seventh: %+v", a.Error)
		}
		if n := rs[0].codes.calls.Load(); n != 6 {
			t.Errorf("%d codes", n)
		}
		p.qrcode() // the one it has is answered all the same
		rs[0].page(t).qrcode()
	})
	ip := func(c *Config, _ *login.ServiceOptions) { c.LimitQRCodesIP = Rate{N: 3, Per: time.Minute} }
	inLogin(t, 1, ip, func(t *testing.T, rs []*replica) {
		for range 3 {
			rs[0].page(t).qrcode()
		}
		if a := ask[failureAnswer](rs[0].page(t), "qrcode"); a.Error == nil || a.Error.RetryAfter != 20 {
			t.Errorf("the fourth page: %+v", a.Error)
		}
	})
}

func TestFloodOfEventsIsRefusedAndEnds(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		for range 4 * eventsBurst {
			p.Emit("resume", 1)
		}
		p.Disconnected()
	})
}

// A thief who photographed the screen has the ticket and nothing else.
//
// docs/reliability.md §4 row 34
func TestLogin_TicketWithoutSecretBindsNoSocket(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p, thief := rs[0], rs[0].page(t), rs[0].page(t)
		q := p.qrcode()
		for _, secret := range []string{q.Ticket, q.URL, testVerifier} {
			if a := ask[failureAnswer](thief, "resume", resumeRequest{q.Ticket, secret}); a.Error == nil || a.Error.Code != "unauthorized" {
				t.Errorf("thief: %+v", a)
			}
		}
		r.scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		time.Sleep(3 * time.Second)
		thief.Quiet()
	})
}

// The state that a page sends along comes back in its token, and in no other one.
func TestLogin_StateOfThePage_IsClaimCtx(t *testing.T) {
	eachLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r := rs[0]
		for _, state := range []string{"", "invite=7 & \"quotes\" \n 邀请码", strings.Repeat("x", 512)} {
			p := r.page(t)
			q := p.qrcode(qrcodeRequest{State: state})
			if again := p.qrcode(qrcodeRequest{State: state}); again.Ticket != q.Ticket {
				t.Errorf("the same state made another ticket")
			}
			if other := ask[qrcodeAnswer](p, "qrcode", qrcodeRequest{State: state + "y"}); other.Ticket == q.Ticket && len(state) < 512 {
				t.Errorf("another state got the ticket of %q", state)
			}
			own := r.page(t)
			q = own.qrcode(qrcodeRequest{State: state})
			r.scan(t, q, "ana")
			own.expectState(login.Done)
			token, _ := expect[string](own, "token")
			if claims, err := r.verify(token); err != nil || claims.Context != state {
				t.Errorf("ctx %q, want %q: %v", claims.Context, state, err)
			}
		}
		p := r.page(t)
		if f := ask[failureAnswer](p, "qrcode", qrcodeRequest{State: strings.Repeat("x", 513)}); f.Error == nil || f.Error.Code != "bad_request" {
			t.Errorf("513 bytes: %+v", f.Error)
		}
	})
}
