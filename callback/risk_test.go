package callback_test

import (
	"slices"
	"strings"
	"testing"

	"posthouse/callback"
	"posthouse/internal/login"
)

// docs/reliability.md §4 row 38: the phone is told which site, browser, network and
// time it is about before it confirms, and can take back a login it was not asked
// about.
func TestPush_PhoneIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	for language, want := range map[string][]string{
		"zh-CN": {"登录「Shop」", "浏览器：Chrome, Windows", "网络：203.0.113.*", "两位数字", "不是我"},
		"en":    {"logging in to Shop", "browser: Chrome, Windows", "network: 203.0.113.*", "UTC+8", "two digits", "not me"},
	} {
		r, service, store := newLogin(t, false, func(o *callback.Options) {
			o.Accounts[0].Confirm, o.Accounts[0].Language, o.Accounts[0].Site = callback.ConfirmRisk, language, "Shop"
		})
		begin := func() login.Started {
			t.Helper()
			s, err := service.Start(t.Context(), login.StartRequest{
				SocketID: "s1", Browser: "b", Agent: "Chrome, Windows", Network: "203.0.113.*",
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := begin()
		push := scanOf(alice, s)
		asked := r.said(t, push)
		for _, w := range append(want, "{") {
			if strings.Contains(asked, w) == (w == "{") {
				t.Errorf("%q: %q", asked, w)
			}
		}
		if got := r.said(t, push); got != asked {
			t.Errorf("the repeat says %q", got)
		}
		if ticket := state(t, store, s); ticket.State != login.Claimed {
			t.Errorf("unconfirmed: %+v", ticket)
		}
		told := r.said(t, text(alice, s.Ticket.Number, 1))
		if ticket := state(t, store, s); ticket.State != login.Done {
			t.Errorf("confirmed: %+v", ticket)
		}

		// The same browser again: no question, but the person hears of it.
		s = begin()
		said := r.said(t, scanOf(alice, s))
		if said != callback.LoggedInZH && said != callback.LoggedInEN || said != told {
			t.Errorf("after the login: %q", said)
		}
		done := state(t, store, s)
		if done.State != login.Done || done.Revoked {
			t.Errorf("%+v", done)
		}
		no := map[string]string{"zh-CN": "不是我", "en": "Not me"}[language]
		r.said(t, text(alice, no, 2))
		if ticket := state(t, store, s); !ticket.Revoked {
			t.Errorf("%q: %+v", no, ticket)
		}
		if revoked, err := store.Revoked(t.Context(), 100); err != nil || !slices.Contains(revoked, done.JTI) {
			t.Errorf("its token: %v, %v", revoked, err)
		}
	}
}

func TestOptions_UnknownConfirmPolicy(t *testing.T) {
	t.Parallel()
	_, err := callback.New(&callback.Options{Accounts: []callback.Account{{
		AppID: appID, Token: token, AESKey: aesKey, Confirm: "sometimes",
	}}, Login: &loginParts{claims: &claims{}}, Dedupe: newDedupe()})
	if err == nil || !strings.Contains(err.Error(), "off, risk or always") {
		t.Errorf("%v", err)
	}
}
