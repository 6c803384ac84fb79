package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// docs/reliability.md §4 row 39, login CSRF: a page of the attacker's makes the victim's
// browser spend the attacker's code, to have the victim work in the attacker's account.
// No cookie decides this: every request with an effect names its page's origin, and what
// proves an attempt (resume secret, verifier) is taken from a page's own memory, never
// from a URL that somebody else could have made.
func TestLogin_ExchangeFromAForeignOriginIsRefused(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.Cookie = "session"
		c.Origins = []string{"https://shop.example"}
	})
	code := s.code(t)
	for _, origin := range []string{
		"https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example", "https://shop.example:8443",
	} {
		answer, _ := s.post(t, exchangeBody(code, testVerifier), "Origin", origin, "Content-Type", "text/plain")
		if answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) != 0 {
			t.Errorf("%s: %d, cookies %v", origin, answer.StatusCode, answer.Cookies())
		}
	}
	if answer, _ := s.post(t, exchangeBody(code, testVerifier), "Origin", s.url); answer.StatusCode != 200 || len(answer.Cookies()) != 1 {
		t.Errorf("the page itself: %d", answer.StatusCode)
	}

	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	p.accounts, p.originPolicy = map[string]pageAccount{"": {title: "Shop"}}, &originPolicy{}
	e := echo.New()
	p.register(e)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/login?ticket=attackersTicket&resume=attackersSecret&code=attackersCode", nil))
	if w.Code != 200 || strings.Contains(w.Body.String(), "attackers") {
		t.Errorf("%d: the page takes an attempt from its URL", w.Code)
	}
	for name, a := range p.assetsByName {
		for _, source := range []string{"location.search", "location.hash"} {
			if strings.HasSuffix(name, ".js") && strings.Contains(string(a.body), source) {
				t.Errorf("%s reads %s", name, source)
			}
		}
	}
}
