package gateway

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const weChatBrowser = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0 Mobile Safari/537.36 MicroMessenger/8.0.50"

var webAuthLink = regexp.MustCompile(`<a class="button" href="(/login/wechat[^"]*)"`)

// webAuthOf returns where the link of a login page inside WeChat leads to at the platform.
func (b *person) webAuthOf(page reply) *url.URL {
	b.t.Helper()
	m := webAuthLink.FindStringSubmatch(page.body)
	if m == nil {
		b.t.Fatalf("no link: %s %s", page.Status, page.body)
	}
	return b.get(html.UnescapeString(m[1])).location(b.t)
}

// asPerson is the platform's answer in the browser of a person: back to the gateway.
func (b *person) asPerson(platform *url.URL, person string) string {
	b.t.Helper()
	u := *platform
	q := u.Query()
	q.Set("person", person)
	u.RawQuery = q.Encode()
	return b.get(u.String()).location(b.t).String()
}

func (b *person) follow(person string) {
	b.t.Helper()
	r, err := http.Post(b.p.url+"/sim/follow", "application/json", strings.NewReader(`{"person":"`+person+`"}`))
	if err != nil || r.StatusCode != http.StatusOK {
		b.t.Fatal(r, err)
	}
	r.Body.Close()
}

func TestWebAuth_InsideWeChat_SignsInWithoutAScan(t *testing.T) {
	p := startProvider(t, "", "--wechat-web-auth=on", "--return-to=https://www.example.com/in")
	b := p.person(t, "")
	b.follow("ana")
	page := b.get(b.authorize("scope", "openid wechat").location(t).String(), "User-Agent", weChatBrowser)
	platform := b.webAuthOf(page)
	if q := platform.Query(); q.Get("scope") != "snsapi_base" || q.Get("redirect_uri") != p.url+"/login/wechat/return" || platform.Fragment != "wechat_redirect" {
		t.Errorf("the platform is asked %s", platform)
	}
	next := b.get(b.asPerson(platform, "ana")).location(t)
	if next.Path != "/oauth/continue" {
		t.Fatalf("goes on to %s", next)
	}
	tokens := b.tokens(exchangeForm(b.get(next.String()).location(t).Query().Get("code")))
	if _, claims := claimsIn(t, tokens["id_token"]); !strings.HasPrefix(claims["sub"].(string), "o") || claims["sub"] != claims["openid"] {
		t.Errorf("claims %v", claims)
	}

	// The plain link with a challenge gets its one-time code the same way.
	plain := b.get("/login?"+url.Values{"returnTo": {"https://www.example.com/in?keep=1"}, "challenge": {appChallenge}}.Encode(), "User-Agent", weChatBrowser)
	back := b.get(b.asPerson(b.webAuthOf(plain), "ana")).location(t)
	if back.Host != "www.example.com" || back.Query().Get("keep") != "1" {
		t.Fatalf("leads to %s", back)
	}
	if _, err := p.loginService.Exchange(t.Context(), back.Query().Get("code"), appVerifier); err != nil {
		t.Errorf("the code: %v", err)
	}

	// A person who does not follow sees the code that leads to following.
	page = b.get(b.authorize().location(t).String(), "User-Agent", weChatBrowser)
	again := b.get(b.asPerson(b.webAuthOf(page), "stranger")).location(t)
	shown := b.get(again.String(), "User-Agent", weChatBrowser)
	if again.Path != "/login" || shown.StatusCode != http.StatusOK || webAuthLink.MatchString(shown.body) || !strings.Contains(shown.body, `id="qr"`) {
		t.Errorf("a stranger is led to %s: %s", again, shown.Status)
	}

	// Other browsers are not offered it, and neither is a page that keeps the token here.
	if other := b.get(b.authorize().location(t).String()); webAuthLink.MatchString(other.body) {
		t.Error("a browser outside of WeChat is offered the link")
	}
	if own := b.get("/login", "User-Agent", weChatBrowser); webAuthLink.MatchString(own.body) {
		t.Error("the plain page is offered the link")
	}
}

// WeChat asks nothing, so a link of Eve's attempt must not sign Ana in for Eve.
func TestWebAuth_Attack_LinkOfAnotherBrowser(t *testing.T) {
	p := startProvider(t, "", "--wechat-web-auth=on")
	ana, eve := p.person(t, ""), p.person(t, "")
	ana.follow("ana")
	eveLogin := eve.authorize().location(t).String()
	link := eve.webAuthOf(eve.get(eveLogin, "User-Agent", weChatBrowser)) // what Eve sends to Ana
	back := ana.asPerson(link, "ana")
	if r := ana.get(back); r.StatusCode != http.StatusForbidden || r.Header.Get("Location") != "" {
		t.Errorf("Ana's browser: %s", r.Status)
	}
	if r := eve.get(strings.Replace(eveLogin, "/login", "/oauth/continue", 1)); r.location(t).Path != "/login" {
		t.Error("Eve's request was answered")
	}
	// Ana has an attempt of her own under way: its state is another one.
	ana.webAuthOf(ana.get(ana.authorize().location(t).String(), "User-Agent", weChatBrowser))
	if r := ana.get(ana.asPerson(link, "ana")); r.StatusCode != http.StatusForbidden {
		t.Errorf("with an attempt of her own: %s", r.Status)
	}
	// Eve's code in Ana's attempt signs Eve in at most, never Ana for Eve; a junk code signs no person in.
	mine := ana.webAuthOf(ana.get(ana.authorize().location(t).String(), "User-Agent", weChatBrowser))
	junk := p.url + "/login/wechat/return?code=junk&state=" + mine.Query().Get("state")
	if r := ana.get(junk); r.location(t).Path != "/login" {
		t.Errorf("a junk code leads to %s", r.Header.Get("Location"))
	}
	if r := ana.get(junk); r.StatusCode != http.StatusForbidden {
		t.Errorf("an attempt is good twice: %s", r.Status)
	}
	for _, query := range []string{"", "?request=junk", "?returnTo=https://evil.example/&challenge=" + appChallenge, "?returnTo=/x&challenge=short"} {
		if r := eve.get("/login/wechat" + query); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", query, r.Status)
		}
	}
}

func TestWebAuth_Off_RoutesAre404(t *testing.T) {
	b := startProvider(t, "").person(t, "")
	for _, path := range []string{"/login/wechat", "/login/wechat/return"} {
		if r := b.get(path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}
