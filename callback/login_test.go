package callback_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

func TestPush_FollowAndScanClaimAndNotify(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a new follower":  event(alice, "subscribe", "qrscene_"+scene, time.Now()),
		"a follower":      scan(alice),
		"a follower, low": event(alice, "scan", scene, time.Now()),
	} {
		r := newRig(t, nil)
		got := r.send(secure(body))
		if got.status != http.StatusOK || got.body != "success" {
			t.Errorf("%s: %d %q", name, got.status, got.body)
		}
		c := r.claims.made()
		if len(c) != 1 || c[0].AppID != appID || c[0].OpenID != alice || c[0].Scene != scene || c[0].WeChat != "gQFc8DwAAAAAAAAAAS1odHRwOi8" || c[0].At.IsZero() {
			t.Errorf("%s: claims %+v", name, c)
		}
		if len(r.notifier.told) != 1 || r.notifier.told[0] != scene {
			t.Errorf("%s: told %v", name, r.notifier.told)
		}
	}
}

func TestPush_OtherPushesClaimNothing(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a follow from elsewhere": event(alice, "subscribe", "", time.Now()),
		"after a payment":         event(alice, "subscribe", "last_trade_no_1", time.Now()),
		"without the prefix":      event(alice, "subscribe", scene, time.Now()),
		"the prefix twice":        event(alice, "subscribe", "qrscene_qrscene_"+scene, time.Now()),
		"a prefix on a scan":      event(alice, "SCAN", "qrscene_"+scene, time.Now()),
		"a poster's scene":        event(alice, "SCAN", "spring-sale", time.Now()),
		"an odd openid":           event("al ice", "SCAN", scene, time.Now()),
		"a click":                 event(alice, "CLICK", scene, time.Now()),
		"a place":                 event(alice, "LOCATION", "", time.Now()),
		"a text":                  text(alice, scene, 1),
	} {
		r := newRig(t, nil)
		if got := r.send(secure(body)); got.status != 200 || got.body != "success" || len(r.claims.made()) != 0 {
			t.Errorf("%s: %d %q, %d claims", name, got.status, got.body, len(r.claims.made()))
		}
	}
}

func TestPush_PhoneIsTold(t *testing.T) {
	t.Parallel()
	state := func(s login.State) login.Ticket { return login.Ticket{ID: scene, State: s} }
	for _, c := range []struct {
		outcome login.Outcome
		ticket  login.Ticket
		zh, en  string // "" is "success"
	}{
		{login.OutcomeClaimed, state(login.Done), "", ""},
		{login.OutcomeSame, state(login.Done), "", ""},
		{login.OutcomeSpooled, login.Ticket{}, "", ""},
		{login.OutcomeClaimed, state(login.Claimed), "两位数字", "logging in to Shop"},
		{login.OutcomeSame, state(login.Claimed), "登录「Shop」", "two digits"},
		{login.OutcomeTaken, state(login.Done), "其他人", "somebody else"},
		{login.OutcomeExpired, state(login.Expired), "已过期", "expired"},
		{login.OutcomeUnknown, login.Ticket{}, "已过期", "expired"},
		{login.OutcomeForeign, state(login.Waiting), "已过期", "expired"},
		{login.OutcomeReplaced, state(login.Replaced), "已刷新", "refreshed"},
		{login.OutcomeCancelled, state(login.Cancelled), "已关闭", "closed"},
		{login.OutcomeDenied, state(login.Denied), "已取消", "cancelled"},
	} {
		for language, want := range map[string]string{"zh-CN": c.zh, "en": c.en} {
			for _, mode := range []wechat.Mode{wechat.Secure, wechat.Plain} {
				r := newRig(t, func(o *callback.Options) {
					o.Accounts[0].Language, o.Accounts[0].Site, o.Accounts[0].Mode = language, "Shop", mode
				})
				r.claims.do = func(context.Context, login.Claim) (login.Ticket, login.Outcome, error) {
					return c.ticket, c.outcome, nil
				}
				req, key := secure(scan(alice)), wechat.Secret(aesKey)
				if mode == wechat.Plain {
					req, key = request(scan(alice), time.Now()), ""
				}
				got := r.send(req)
				if got.status != 200 {
					t.Fatalf("%s: %d", c.outcome, got.status)
				}
				if want == "" {
					if got.body != "success" {
						t.Errorf("%s %s: %q", c.outcome, language, got.body)
					}
					continue
				}
				if said := words(t, key, got.body); !strings.Contains(said, want) {
					t.Errorf("%s %s: said %q, want %q in it", c.outcome, language, said, want)
				}
			}
		}
	}
}

func TestOptions_PhrasesAreConfigurable(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *callback.Options) {
		o.Accounts[0].Site = "Shop"
		o.Accounts[0].Phrases = map[callback.Phrase]string{
			callback.LoggedIn: "welcome to {site} ]]> <&>", callback.Taken: "",
		}
	})
	if said := words(t, aesKey, r.send(secure(scan(alice))).body); said != "welcome to Shop ]]> <&>" {
		t.Errorf("%q", said)
	}
	if got := r.send(secure(event(bob, "SCAN", scene, time.Now()))); got.body != "success" {
		t.Errorf("an empty phrase says %q", got.body)
	}
	for _, bad := range []callback.Account{
		{AppID: appID, Token: token, AESKey: aesKey, Language: "fr"},
		{AppID: appID, Token: token, AESKey: aesKey, Phrases: map[callback.Phrase]string{"loged_in": ""}},
		{AppID: appID, Token: token, AESKey: "short"},
		{AppID: appID, Token: token},
		{AppID: appID, AESKey: aesKey},
		{Token: token, AESKey: aesKey},
		{AppID: appID, Token: token, AESKey: aesKey, Mode: "open"},
		{AppID: appID, Token: token, AESKey: aesKey, IPPolicy: "on"},
		{AppID: appID, Token: token, AESKey: aesKey, IPPolicy: callback.IPEnforce},
		{AppID: appID, Token: token, AESKey: aesKey, Upstream: "bot:80"},
	} {
		if _, err := callback.New(&callback.Options{Accounts: []callback.Account{bad}, Login: &loginParts{claims: &claims{}}, Dedupe: newDedupe()}); err == nil {
			t.Errorf("%+v was taken", bad)
		} else if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), aesKey) {
			t.Errorf("a secret in %v", err)
		}
	}
}

// docs/wechat.md §3.3 race 6: two persons, one code.
func TestPush_SecondPersonIsToldThatTheCodeWasUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if got := r.send(secure(scan(alice))); got.body != "success" {
		t.Fatal(got.body)
	}
	if said := words(t, aesKey, r.send(secure(scan(bob))).body); !strings.Contains(said, "其他人") {
		t.Errorf("%q", said)
	}
	if len(r.notifier.told) != 1 {
		t.Errorf("told %v", r.notifier.told)
	}
}

// Keys rotate: the previous ones open pushes, and the answer uses the same.
func TestPush_AnswerUsesTheKeyThatWorked(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *callback.Options) {
		o.Accounts[0].Token, o.Accounts[0].PreviousToken = "anotherToken", token
	})
	r.claims.do = func(context.Context, login.Claim) (login.Ticket, login.Outcome, error) {
		return login.Ticket{}, login.OutcomeExpired, nil
	}
	for _, key := range []wechat.Secret{aesKey, oldKey} {
		if said := words(t, key, r.send(sealed(key, appID, scan(alice), time.Now())).body); !strings.Contains(said, "已过期") {
			t.Errorf("%q", said)
		}
	}
}

// typist stands for the typed answers of the login service.
type typist struct {
	said    []string
	ticket  login.Ticket
	outcome login.Outcome
	err     error
}

func (y *typist) Confirm(_ context.Context, _, openID, number string, _ time.Time) (login.Ticket, login.Outcome, error) {
	y.said = append(y.said, "number "+openID+" "+number)
	return y.ticket, y.outcome, y.err
}

func (y *typist) Deny(_ context.Context, _, openID string, _ time.Time) (login.Ticket, login.Outcome, error) {
	y.said = append(y.said, "no "+openID)
	return y.ticket, y.outcome, y.err
}

func (y *typist) ClaimCode(_ context.Context, c login.Claim, code string) (login.Ticket, login.Outcome, error) {
	y.said = append(y.said, "code "+c.OpenID+" "+code)
	return y.ticket, y.outcome, y.err
}

func TestPush_TypedAnswers(t *testing.T) {
	t.Parallel()
	moved := login.Ticket{ID: scene, State: login.Done, Moved: true}
	denied := login.Ticket{ID: scene, State: login.Denied, Moved: true}
	for _, c := range []struct {
		typed   string
		ticket  login.Ticket
		outcome login.Outcome
		asked   string
		reply   string // "" is success; "bot" is the upstream's
	}{
		{"47", moved, login.OutcomeClaimed, "number " + alice + " 47", ""},
		{" ４７ ", moved, login.OutcomeClaimed, "number " + alice + " 47", ""},
		{"47", denied, login.OutcomeDenied, "number " + alice + " 47", "数字不一致"},
		{"47", login.Ticket{State: login.Done}, login.OutcomeSame, "number " + alice + " 47", "bot"},
		{"47", login.Ticket{}, login.OutcomeUnknown, "number " + alice + " 47", "bot"},
		{"不是我", denied, login.OutcomeDenied, "no " + alice, "已取消"},
		{"Not me", denied, login.OutcomeDenied, "no " + alice, "已取消"},
		{"N", login.Ticket{}, login.OutcomeUnknown, "no " + alice, "bot"},
		{"“47”。", moved, login.OutcomeClaimed, "number " + alice + " 47", ""},
		{"“不是我”！", denied, login.OutcomeDenied, "no " + alice, "已取消"},
		{"A1B2 C3D4", moved, login.OutcomeClaimed, "code " + alice + " A1B2 C3D4", ""},
		{"a1b2c3d4", moved, login.OutcomeTaken, "code " + alice + " a1b2c3d4", "其他人"},
		{"a1b2c3d4", login.Ticket{}, login.OutcomeUnknown, "code " + alice + " a1b2c3d4", "bot"},
		{"123456", login.Ticket{}, login.OutcomeUnknown, "", "bot"},
		{"三点47分", login.Ticket{}, login.OutcomeUnknown, "", "bot"},
		{"hello there", login.Ticket{}, login.OutcomeUnknown, "", "bot"},
		{"123", login.Ticket{}, login.OutcomeUnknown, "", "bot"},
		{strings.Repeat("长", 600), login.Ticket{}, login.OutcomeUnknown, "", "bot"},
	} {
		y := &typist{ticket: c.ticket, outcome: c.outcome}
		r := newRig(t, func(o *callback.Options) {
			partsOf(o).typist = y
			o.Accounts[0].Upstream = "http://bot.example/wx"
		})
		r.SetUpstreamTransport(replies(passive("the bot's words")))
		got := r.send(secure(text(alice, c.typed, 7)))
		switch c.reply {
		case "bot":
			if got.body == "success" || words(t, aesKey, got.body) != "the bot's words" {
				t.Errorf("%q %s: %q, want the bot's", c.typed, c.outcome, got.body)
			}
		case "":
			if got.body != "success" {
				t.Errorf("%q %s: %q", c.typed, c.outcome, got.body)
			}
		default:
			if said := words(t, aesKey, got.body); !strings.Contains(said, c.reply) {
				t.Errorf("%q %s: said %q", c.typed, c.outcome, said)
			}
		}
		if asked := strings.Join(y.said, ","); asked != c.asked {
			t.Errorf("%q: asked %q, want %q", c.typed, asked, c.asked)
		}
	}
}

// people records whose data was deleted.
type people struct {
	gone []string
	fail int
}

func (p *people) Forget(_ context.Context, app, openID string, _ time.Time) error {
	if p.fail > 0 {
		p.fail--
		return errors.New("away")
	}
	p.gone = append(p.gone, app+" "+openID)
	return nil
}

// docs/wechat.md §3.3 race 18
func TestPush_UnfollowForgetsThePerson(t *testing.T) {
	t.Parallel()
	revoke := func(name string) string {
		return strings.Replace(event("platformSender", name, "", time.Now()), "</xml>",
			"<OpenID>"+bob+"</OpenID><AppID>"+appID+"</AppID><RevokeInfo>1</RevokeInfo></xml>", 1)
	}
	for name, c := range map[string]struct{ body, who string }{
		"unsubscribe":  {event(alice, "unsubscribe", "", time.Now()), alice},
		"revoke":       {revoke("user_authorization_revoke"), bob},
		"cancellation": {revoke("user_authorization_cancellation"), bob},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &people{fail: 1}
			r := newRig(t, func(o *callback.Options) { partsOf(o).people = p })
			if got := r.send(secure(c.body)); !got.aborted {
				t.Errorf("%s: %+v although nothing was deleted", name, got)
			}
			<-time.After(time.Second) // until the lease is over
			if got := r.send(secure(c.body)); got.body != "success" {
				t.Errorf("%s: %+v", name, got)
			}
			r.send(secure(c.body)) // a retry deletes nothing twice
			if len(p.gone) != 1 || p.gone[0] != appID+" "+c.who {
				t.Errorf("%s: %v", name, p.gone)
			}
		})
	}
}

// docs/reliability.md §4 rows 44 and 42: nothing secret, no openid and no address in log or answer.
//
// docs/reliability.md §4 row 36
func TestPush_LogsAndAnswersLeakNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &people{fail: 1}
		r := newRig(t, func(o *callback.Options) {
			partsOf(o).people = p
			o.Accounts[0].Upstream = "http://bot.example/wx?key=canaryUpstreamKey"
		})
		r.SetUpstreamTransport(replies("ok"))
		canary := errors.New("canary redis://:canaryPassword@10.0.0.9:6379")
		r.notifier.err = canary
		var all strings.Builder
		note := func(got result) { fmt.Fprintf(&all, "%d %v %s\n", got.status, got.header, got.body) }
		note(r.send(secure(scan(alice))))
		note(r.send(secure(scan(bob))))
		r.claims.fail = func(int) error { return canary }
		note(r.send(secure(event(alice, "subscribe", "qrscene_"+scene, time.Now()))))
		note(r.send(secure(event(alice, "unsubscribe", "", time.Now()))))
		r.dedupe.fail = canary
		note(r.send(secure(text(alice, "canaryText\n\x1b[2J", 9))))
		r.SetUpstreamTransport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, canary }))
		note(r.send(secure(text(alice, "canaryText", 10))))
		note(r.send(sealed(aesKey, appID, scan(alice), time.Now().Add(time.Hour))))
		all.WriteString(r.log.String())
		for _, secret := range []string{"canary", "10.0.0.9", alice, bob, token, aesKey, scene} {
			if strings.Contains(all.String(), secret) {
				t.Errorf("%q leaked:\n%s", secret, all.String())
			}
		}
		if !strings.Contains(r.log.String(), `"person":"`+wechat.Pseudonym(token, alice)+`"`) {
			t.Errorf("no pseudonym in the log:\n%s", r.log)
		}
	})
}
