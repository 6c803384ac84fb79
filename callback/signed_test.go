package callback_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// FuzzHandler_GoodSignature_OnlyDoctypeIsRefused seals whatever is fuzzed in every mode:
// an error answer to a signed push counts against the account.
func FuzzHandler_GoodSignature_OnlyDoctypeIsRefused(f *testing.F) {
	for _, body := range []string{
		"", "hello", scan(alice), text(alice, "a\x1db", 1), "\ufeff" + scan(alice), "<xml>",
		"<?xml version=\"1.0\" encoding=\"gbk\"?>" + text(alice, "\xc4\xe3", 2),
		strings.Replace(text(alice, "x", 3), "<![CDATA[x]]>", "&#xD800;&#0;&x;&", 1), "{\"a\x00", "<!DOCTYPE x>",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 16<<10 {
			return
		}
		m, err := wechat.Parse([]byte(body))
		refused := errors.Is(err, wechat.ErrDoctype) || err == nil && m.To != original // another account's push
		for _, mode := range []wechat.Mode{wechat.Plain, wechat.Compat, wechat.Secure} {
			r := newRig(t, func(o *callback.Options) { o.Accounts[0].Mode = mode })
			req := request(body, time.Now())
			if mode != wechat.Plain {
				req = secure(body)
			}
			got := r.send(req)
			if got.aborted || (got.status != http.StatusOK) != refused {
				t.Fatalf("%s: %+v", mode, got)
			}
		}
	})
}

func TestPush_ForbiddenCharacters_AreForwardedUnchanged(t *testing.T) {
	t.Parallel()
	for _, mode := range []wechat.Mode{wechat.Plain, wechat.Compat, wechat.Secure} {
		var sent string
		r := newRig(t, func(o *callback.Options) { forwarding(o); o.Accounts[0].Mode = mode })
		r.SetUpstreamTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
			sent = readBody(req)
			return replies("")(req)
		}))
		req := request(text(alice, "a\x1db", 1), time.Now())
		if mode != wechat.Plain {
			req = secure(text(alice, "a\x1db", 1))
		}
		want := readBody(req)
		if got := r.send(req); got.status != 200 || got.body != "success" || sent != want {
			t.Errorf("%s: %+v, forwarded %q", mode, got, sent)
		}
	}
}

func TestForward_Answers_OnlyWhatWeChatTakes(t *testing.T) {
	t.Parallel()
	change := func(old, new string) string { return strings.Replace(passive("hi"), old, new, 1) }
	for name, c := range map[string]struct {
		answer string
		fault  string // "" is no fault
		words  string // "" is success
	}{
		"nothing":             {"", "", ""},
		"success":             {"success\n", "", ""},
		"a passive reply":     {passive("hi"), "", "hi"},
		"with a mark before":  {"\ufeff<?xml version=\"1.0\"?>\n" + passive("hi"), "", "hi"},
		"what was typed":      {passive("a\x1db"), "", "ab"},
		"JSON":                {`{"code":0}`, "format", ""},
		"quoted success":      {`"success"`, "format", ""},
		"a page":              {"<html><body>ok</body></html>", "format", ""},
		"two messages":        {passive("hi") + passive("hi"), "format", ""},
		"a DOCTYPE":           {"<!DOCTYPE xml>" + passive("hi"), "format", ""},
		"to somebody else":    {passiveTo(bob, "hi"), "to_user", ""},
		"from somebody else":  {change(original, "gh_1"), "from_user", ""},
		"milliseconds":        {change("1767225662", "1767225662000"), "create_time", ""},
		"an unknown type":     {change("[text]", "[html]"), "msg_type", ""},
		"no words":            {passive(""), "content", ""},
		"too many words":      {passive(strings.Repeat("x", 2049)), "content", ""},
		"a field twice":       {change("</xml>", "<MsgType>text</MsgType></xml>"), "msg_type", ""},
		"an unsigned sealing": {"<xml><Encrypt>x</Encrypt><TimeStamp>1</TimeStamp><Nonce>1</Nonce></xml>", "msg_signature", ""},
	} {
		r := newRig(t, forwarding)
		r.SetUpstreamTransport(replies(c.answer))
		got := r.send(secure(text(alice, "hello", 1)))
		said := ""
		if got.body != "success" {
			said = words(t, aesKey, got.body)
		}
		if got.status != 200 || said != c.words {
			t.Errorf("%s: said %q, want %q", name, said, c.words)
		}
		if n := r.counts.of("fault default upstream_reply"); (n == 1) != (c.fault != "") {
			t.Errorf("%s: counted %d", name, n)
		}
		if c.fault != "" && (!strings.Contains(r.log.String(), `"reason":"`+c.fault+`"`) || !strings.Contains(r.log.String(), "accounts.default.forward")) {
			t.Errorf("%s: %s", name, r.log)
		}
	}
}

func TestRefuse_TheOperatorReadsReasonAndSetting_OnceAMinute(t *testing.T) {
	t.Parallel()
	other := wechat.Secret("OtherKeyOtherKeyOtherKeyOtherKeyOtherKeyOth")
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			push func() *http.Request
			want []string
		}{
			"plain": {func() *http.Request { return request(scan(alice), time.Now()) }, []string{"downgrade", "accounts.default.mode", `"seen":"plain"`}},
			"key":   {func() *http.Request { return sealed(other, appID, scan(alice), time.Now()) }, []string{"envelope", "accounts.default.aes-key"}},
			"appid": {func() *http.Request { return sealed(aesKey, "wxffff", scan(alice), time.Now()) }, []string{"appid", "accounts.default.appid", `"seen":"wxffff"`}},
			"id":    {func() *http.Request { return secure(strings.Replace(scan(alice), original, "gh_other", 1)) }, []string{"to_user", "accounts.default.original-id"}},
			"verify": {func() *http.Request {
				r := secure("")
				r.Method = http.MethodGet
				r.URL.RawQuery += "0"
				q := r.URL.Query()
				q.Set("signature", "x")
				r.URL.RawQuery = q.Encode()
				return r
			}, []string{"signature", "accounts.default.token", `"call":"verify"`}},
		} {
			r := newRig(t, nil)
			for range 3 {
				if got := r.send(c.push()); got.status != http.StatusForbidden || got.body != "" {
					t.Errorf("%s: %+v", name, got)
				}
			}
			log := r.log.String()
			if strings.Count(log, "\n") != 1 {
				t.Errorf("%s: not one line:\n%s", name, log)
			}
			for _, want := range c.want {
				if !strings.Contains(log, want) {
					t.Errorf("%s: no %s in %s", name, want, log)
				}
			}
			<-time.After(time.Minute)
			if r.send(c.push()); !strings.Contains(r.log.String(), `"more":2`) {
				t.Errorf("%s: %s", name, r.log)
			}
		}
	})
}

func TestForward_Logins(t *testing.T) {
	t.Parallel()
	for policy, want := range map[callback.LoginForwarding]string{
		callback.LoginsKept: "", callback.LoginsCopied: "", callback.LoginsAnswered: "welcome",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *callback.Options) { forwarding(o); o.Accounts[0].ForwardLogins = policy })
			var asked atomic.Int32
			r.SetUpstreamTransport(roundTrip(func(req *http.Request) (*http.Response, error) {
				asked.Add(1)
				if policy == callback.LoginsCopied {
					<-req.Context().Done() // a slow bot
					return nil, req.Context().Err()
				}
				return replies(passive("welcome"))(req)
			}))
			body := event(alice, "subscribe", "qrscene_"+scene, time.Now())
			began := time.Now()
			got := r.send(secure(body))
			said := ""
			if got.body != "success" {
				said = words(t, aesKey, got.body)
			}
			if said != want || time.Since(began) > 0 || len(r.claims.made()) != 1 {
				t.Errorf("%s: said %q after %v", policy, said, time.Since(began))
			}
			r.send(secure(body)) // WeChat's retry is not forwarded again
			r.Close()
			if n := asked.Load(); (n == 1) != (policy != callback.LoginsKept) {
				t.Errorf("%s: the bot was asked %d times", policy, n)
			}
		})
	}
}

func TestTypedCode_NearMiss_GetsAWordUnlessTheBotHasOne(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"7dggvws6": "登录码", "验证码7dggvws": "登录码", "7dgg vws6": "登录码", "hello you": "", "hello 12": "", "password": ""} {
		y := &typist{outcome: login.OutcomeUnknown}
		r := newRig(t, func(o *callback.Options) { partsOf(o).typist = y })
		got := r.send(secure(text(alice, typed, 1)))
		if said := ""; want == "" && got.body != "success" || want != "" && (got.body == "success" || !strings.Contains(words(t, aesKey, got.body), want)) {
			t.Errorf("%q: %q%s", typed, got.body, said)
		}
		r = newRig(t, func(o *callback.Options) { partsOf(o).typist = y; forwarding(o) })
		r.SetUpstreamTransport(replies(passive("bot")))
		if got := r.send(secure(text(alice, typed, 1))); words(t, aesKey, got.body) != "bot" {
			t.Errorf("%q with a bot: %q", typed, got.body)
		}
	}
}

func TestClaim_Error_ItsClassIsLogged(t *testing.T) {
	t.Parallel()
	for class, err := range map[string]error{
		"store_unavailable": login.ErrStoreUnavailable, "spool_full": login.ErrSpoolFull, "timeout": context.DeadlineExceeded,
		"spool_file": &fs.PathError{Op: "write", Path: "/canary", Err: errors.New("canary")}, "other": errors.New("canary"),
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.claims.fail = func(int) error { return err }
			r.send(secure(scan(alice)))
			if log := r.log.String(); !strings.Contains(log, `"class":"`+class+`"`) || strings.Contains(log, "canary") {
				t.Errorf("%s: %s", class, log)
			}
		})
	}
}
