package wechat_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"posthouse/internal/wechat"
)

// TestEveryCodeHasItsClass is docs/wechat.md §1.6.
func TestEveryCodeHasItsClass(t *testing.T) {
	t.Parallel()
	classes := map[wechat.Class][]int{
		wechat.ClassRefresh:       {40001, 40014, 42001},
		wechat.ClassConfiguration: {40013, 40125, 40243, 40164, 89503, 89501, 89506, 89507, 40066, 48017, 48001, 48004, 48006, 50001, 50002},
		wechat.ClassPerson:        {40003, 46004, 43004},
		wechat.ClassRequest:       {41001, 41002, 41004, 40002, 40033, 40035, 40038, 40097, 44002, 47001, 40052, 40053, 43001, 43002, 43003},
		wechat.ClassQuota:         {45009},
		wechat.ClassRate:          {45011, 44991},
		wechat.ClassWindow:        {45015, 45047},
		wechat.ClassUnknown:       {49999, 61234, 1},
		wechat.ClassRetry:         {-1},
	}
	for class, codes := range classes {
		for _, n := range codes {
			fake := &fakeWeChat{}
			fake.answer(pathQR, fmt.Sprintf(`{"errcode":%d,"errmsg":"canaryErrmsg invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 68f1aaaa-0bbbbbbb-1ccccccc"}`, n))
			err := fake.create(t)
			e := asError(t, err)
			if e.Class != class || e.Code != n || e.API != pathQR || wechat.ClassOf(err) != class {
				t.Errorf("%d: class %s, want %s (%v)", n, e.Class, class, err)
			}
			if e.RID != "68f1aaaa-0bbbbbbb-1ccccccc" || strings.Contains(err.Error(), "canary") {
				t.Errorf("%d: rid %q, %v", n, e.RID, err)
			}
			if n == 40164 && e.IP != netip.MustParseAddr("1.2.3.4") {
				t.Errorf("ip %v", e.IP)
			}
		}
	}
}

// A wrong secret says 40001 too, and no new token cures it.
func Test40001OfTheTokenCallIsConfiguration(t *testing.T) {
	t.Parallel()
	fake := &fakeWeChat{}
	fake.answer(pathToken, `{"errcode":40001,"errmsg":"invalid credential"}`)
	e := asError(t, fake.create(t))
	if e.Class != wechat.ClassConfiguration || e.API != pathToken {
		t.Errorf("%v", e)
	}
	if fake.count(pathToken) != 1 || fake.count(pathQR) != 0 {
		t.Errorf("%d token calls", fake.count(pathToken))
	}
}

// docs/reliability.md §4 row 44, docs/reliability.md §3 row F27: no URL, token or secret in an error, and whatever is not an
// answer of the API is to be retried.
func TestClient_BrokenAnswersAreScrubbedRetryErrors(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a 502":     answers(502, "canaryBody"),
		"a 404":     answers(404, `{"errcode":0}`),
		"HTML":      answers(200, "<html>canaryBody</html>"),
		"cut JSON":  answers(200, `{"ticket":"gQ`),
		"a list":    answers(200, `[]`),
		"no ticket": answers(200, `{"expire_seconds":300,"url":"http://x"}`),
		"no life":   answers(200, `{"ticket":"gQ","url":"http://x"}`),
		"2 MiB":     answers(200, `{"ticket":"`+strings.Repeat("x", 2<<20)+`"}`),
		"a reset": func(w http.ResponseWriter, _ *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
		},
	} {
		s := newStub(t)
		s.forever(pathQR, h)
		c := s.client(t, nil)
		_, err := c.CreateQRCode(t.Context(), "L1.x", time.Minute)
		e := asError(t, err)
		if e.Class != wechat.ClassRetry || e.Code != 0 {
			t.Errorf("%s: %v", name, err)
		}
		for _, leak := range []string{"canary", s.URL, "access_token"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%s: %q in %v", name, leak, err)
			}
		}
		if s.count(pathQR) != 1 || s.count("/elsewhere") != 0 {
			t.Errorf("%s: asked %d times", name, s.count(pathQR))
		}
	}
	// No server there at all.
	s := newStub(t)
	c := s.client(t, nil)
	s.Close()
	_, err := c.CreateQRCode(t.Context(), "L1.x", time.Minute)
	if e := asError(t, err); e.Class != wechat.ClassRetry || strings.Contains(err.Error(), testSecret) {
		t.Errorf("%v", e)
	}
}

func TestTheOtherCalls(t *testing.T) {
	t.Parallel()
	s := newStub(t)
	c := s.client(t, nil)
	ctx := t.Context()
	u, err := c.User(ctx, "oAlice")
	if err != nil || u.OpenID != "oAlice" || u.UnionID != "o6U" || !u.Subscribed || u.Since.Unix() != 1767225662 {
		t.Errorf("%+v %v", u, err)
	}
	ips, err := c.CallbackIPs(ctx)
	if got := fmt.Sprint(ips); err != nil || got != "[106.55.206.146/32 101.226.103.0/25 2402:4e00::1/128]" {
		t.Errorf("%v %v", got, err)
	}
	if err := c.SendText(ctx, "oAlice", `<a href="x">你好</a>`); err != nil {
		t.Error(err)
	}
	if got, want := s.body("/cgi-bin/message/custom/send"), `{"touser":"oAlice","msgtype":"text","text":{"content":"<a href=\"x\">你好</a>"}}`+"\n"; got != want {
		t.Errorf("%s", got)
	}
	q, err := c.Quota(ctx, pathQR)
	if err != nil || q != (wechat.Quota{Limit: 100000, Used: 7, Remaining: 99993}) {
		t.Errorf("%+v %v", q, err)
	}
	if err := c.ClearQuota(ctx); err != nil {
		t.Error(err)
	}
	var ask map[string]string
	if json.Unmarshal([]byte(s.body("/cgi-bin/clear_quota")), &ask) != nil || ask["appid"] != testAppID {
		t.Errorf("%v", ask)
	}
	if n := s.count(pathToken); n != 1 {
		t.Errorf("%d token calls", n)
	}
	for _, bad := range []struct {
		scene string
		life  time.Duration
	}{{"", time.Minute}, {strings.Repeat("x", 65), time.Minute}, {"x", 0}, {"x", 31 * 24 * time.Hour}} {
		if _, err := c.CreateQRCode(ctx, bad.scene, bad.life); wechat.ClassOf(err) != wechat.ClassRequest {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if s.count(pathQR) != 0 {
		t.Error("nonsense was asked")
	}
}

func TestClientsAreConfiguredOrRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []*wechat.ClientOptions{
		{APIBase: "api.weixin.qq.com"}, {APIBase: "ftp://x"}, {MPBase: "http://"}, {APIBase: "http://x?y=1"},
	} {
		if _, err := wechat.NewClient(testAppID, testSecret, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := wechat.NewClient("", testSecret, nil); err == nil {
		t.Error("no appid")
	}
	if _, err := wechat.NewClient(testAppID, "", nil); err == nil {
		t.Error("no secret")
	}
	c, err := wechat.NewClient(testAppID, testSecret, nil)
	if err != nil || c.ImageURL("a+b") != "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=a%2Bb" {
		t.Error(err)
	}
}
