package wechat_test

import (
	"log/slog"
	"strings"
	"testing"

	"posthouse/internal/wechat"
)

// The operator reads what WeChat's code means and what to do, until a call succeeds.
func TestClient_Problems_NameTheFixAndClear(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct{ means, fix string }{
		`40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"`: {"IP 203.0.113.7 is not in the IP whitelist", "IP白名单"},
		`40164,"errmsg":"invalid ip ipv6 2001:db8::7, not in whitelist rid: 68f1aaaa-1"`:    {"IP 2001:db8::7 is not", "IP白名单"},
		`40013,"errmsg":""`: {"invalid appid", "AppID"}, `40125,"errmsg":""`: {"invalid AppSecret", "AppSecret"},
		`40001,"errmsg":""`: {"wrong AppSecret", "AppSecret"}, `89503,"errmsg":""`: {"administrator", "administrator"},
	} {
		s := newStub(t)
		var log strings.Builder
		c := s.client(t, &wechat.ClientOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s.forever(pathToken, answers(200, `{"errcode":`+code+`}`))
		_, err := c.User(t.Context(), "oAlice")
		if err == nil {
			t.Fatalf("%s: no error", code)
		}
		all := c.Problems()
		if len(all) != 1 || !strings.Contains(all[0].Meaning(), want.means) || !strings.Contains(all[0].Fix(), want.fix) {
			t.Errorf("%s: %v", code, all)
		}
		if !strings.Contains(log.String(), want.means) || !strings.Contains(log.String(), want.fix) {
			t.Errorf("%s: %s", code, log.String())
		}
	}
	s := newStub(t)
	c := s.client(t, nil)
	s.forever("/cgi-bin/user/info", answers(200, `{"errcode":48001,"errmsg":"api unauthorized"}`))
	if _, err := c.User(t.Context(), "oAlice"); err == nil || len(c.Problems()) != 1 {
		t.Fatalf("%v, %v", err, c.Problems())
	}
	if err := c.ClearQuota(t.Context()); err != nil { // also closes the circuit
		t.Fatal(err)
	}
	if len(c.Problems()) != 1 {
		t.Error("another API's success cleared it")
	}
	s.forever("/cgi-bin/user/info", answers(200, `{"subscribe":0,"openid":"oAlice"}`))
	if _, err := c.User(t.Context(), "oAlice"); err != nil || len(c.Problems()) != 0 {
		t.Errorf("%v, %v", err, c.Problems())
	}
}
