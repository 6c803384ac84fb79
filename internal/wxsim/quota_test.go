package wxsim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"posthouse/internal/sleep"
)

// The platform's daily quotas, by the API that tells them (docs/wechat.md §1.5).
func TestTheDailyQuotasAreThePlatforms(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]map[string]float64{
		Service: {"token": 2000, "stable_token": 500_000, "qrcode/create": 100_000, "user/info": 5_000_000, "message/custom/send": 500_000},
		Sandbox: {"token": 200, "qrcode/create": 10_000, "user/info": 500_000, "message/custom/send": 50_000},
	} {
		a := DevAccount()
		a.Kind, a.Mode = kind, Plain
		inBubble(t, Options{Accounts: []Account{a}}, silence, func(t *testing.T, s *Sim, _ *wire) {
			token := s.testToken()
			for path, limit := range want {
				out := admin(t, s, http.MethodPost, "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"/cgi-bin/`+path+`"}`)
				if quota := out["quota"].(map[string]any); quota["daily_limit"] != limit || quota["remain"] != limit {
					t.Errorf("%s %s: %v", kind, path, quota)
				}
			}
		})
	}
}

// A day of quotas ends at midnight in Shanghai: the bubble begins there at eight
// in the morning.
func TestQuotasBeginAnewAtMidnightInShanghai(t *testing.T) {
	t.Parallel()
	a := DevAccount()
	a.Limits = map[string]Limit{"/cgi-bin/getcallbackip": {Daily: 1}}
	inBubble(t, Options{Accounts: []Account{a}}, silence, func(t *testing.T, s *Sim, _ *wire) {
		use := func() int {
			return errcodeOf(admin(t, s, http.MethodGet, "/cgi-bin/getcallbackip?access_token="+s.testToken(), ""))
		}
		if first, second := use(), use(); first != 0 || second != 45009 {
			t.Errorf("%d %d", first, second)
		}
		for _, c := range []struct {
			wait time.Duration
			want int
		}{{16*time.Hour - time.Second, 45009}, {time.Second, 0}} {
			if err := sleep.For(t.Context(), c.wait); err != nil {
				t.Fatal(err)
			}
			if got := use(); got != c.want {
				t.Errorf("%s later: %d, want %d", c.wait, got, c.want)
			}
		}
	})
}

// The messages that an account may write depend on the person's last act.
func TestEachInteractionOpensItsWindow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do       func(s *Sim, c *qrCode) error
		messages int
		life     time.Duration
	}{
		"follow": {func(s *Sim, _ *qrCode) error {
			_, err := s.unfollow(personBody{Person: "ann"})
			if err == nil {
				_, err = s.follow(scanBody{personBody: personBody{Person: "ann"}})
			}
			return err
		}, 3, time.Minute},
		"scan": {func(s *Sim, c *qrCode) error {
			_, err := s.scan(scanBody{personBody: personBody{Person: "ann"}, Ticket: c.ticket})
			return err
		}, 3, time.Minute},
		"menu": {func(s *Sim, _ *qrCode) error {
			_, err := s.menu(menuBody{personBody: personBody{Person: "ann"}, Key: "K"})
			return err
		}, 3, time.Minute},
		"text": {func(s *Sim, _ *qrCode) error {
			_, err := s.text(textBody{personBody: personBody{Person: "ann"}, Text: "x"})
			return err
		}, 5, 48 * time.Hour},
	} {
		inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, _ *wire) {
			yes := true
			if _, err := s.meet(meetBody{personBody: personBody{Person: "ann"}, Follows: &yes}); err != nil {
				t.Fatal(err)
			}
			openid := openIDOf(s.accounts[0].AppID, "ann")
			send := func() int {
				return errcodeOf(admin(t, s, http.MethodPost, "/cgi-bin/message/custom/send?access_token="+s.testToken(),
					fmt.Sprintf(`{"touser":%q,"msgtype":"text","text":{"content":"hi"}}`, openid)))
			}
			code := s.testCode("s1", time.Hour)
			if err := c.do(s, code); err != nil {
				t.Fatal(err)
			}
			for i := range c.messages {
				if got := send(); got != 0 {
					t.Errorf("%s: message %d: %d", name, i+1, got)
				}
			}
			if got := send(); got != 45047 {
				t.Errorf("%s: one too many: %d", name, got)
			}
			if err := c.do(s, code); err != nil {
				t.Fatal(err)
			}
			if err := sleep.For(t.Context(), c.life); err != nil {
				t.Fatal(err)
			}
			if got := send(); got != 45015 {
				t.Errorf("%s: after %s: %d", name, c.life, got)
			}
		})
	}
}

// A rotated key seals what follows; the fault "previous_key" still has the old
// one.
func TestTheKeyIsRotatedWhileItRuns(t *testing.T) {
	t.Parallel()
	old := DevAccount()
	inBubble(t, Options{Accounts: []Account{old}}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
		fresh := strings.Repeat("n", 42) + "A"
		opens := func(key string) bool {
			root, err := parseXML([]byte(n.all()[len(n.all())-1].body))
			if err != nil {
				t.Fatal(err)
			}
			_, err = unseal(mustKey(t, key), root.child("Encrypt").text, old.AppID)
			return err == nil
		}
		text(t, s, "ann")
		if !opens(old.AESKey) {
			t.Error("the first key does not open the first push")
		}
		patch(t, s, `{"aesKey":"`+fresh+`"}`)
		text(t, s, "ann")
		if !opens(fresh) || opens(old.AESKey) {
			t.Error("the new key is not in use")
		}
		withRules(t, s, &Rule{Kind: PreviousKey})
		text(t, s, "ann")
		if !opens(old.AESKey) {
			t.Error("the previous key is forgotten")
		}
	})
}

// A ticket that was put into a URL without being escaped is the classic 404.
func TestAnUnescapedTicketIsNotFound(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, _ *wire) {
		for i := range 200 {
			c := s.testCode(fmt.Sprint("s", i), time.Minute)
			if !strings.Contains(c.ticket, "+") {
				continue
			}
			if s.findCode(strings.ReplaceAll(c.ticket, "+", " "), "", "", nil) != nil {
				t.Error("found in spite of it")
			}
			return
		}
		t.Error("no ticket has a plus")
	})
}
