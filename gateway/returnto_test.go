package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Every link to the login page either tells the application of the login, or is refused at
// once with a page: none lets a person scan for nothing.
func TestReturnTo_LinkThatSignsInNowhere_IsRefused(t *testing.T) {
	p := startProvider(t, "", "--return-to=https://www.example.com/in")
	b := p.person(t, "ana")
	const elsewhere = "https://www.example.com/in?keep=1"
	for name, c := range map[string]struct {
		returnTo, challenge string
		status              int
	}{
		"none":                                  {"", "", http.StatusOK},
		"a path of this origin":                 {"/account", "", http.StatusOK},
		"a path of this origin, challenge":      {"/account", appChallenge, http.StatusOK},
		"another origin, challenge":             {elsewhere, appChallenge, http.StatusOK},
		"another origin":                        {elsewhere, "", http.StatusBadRequest},
		"another origin, short challenge":       {elsewhere, "short", http.StatusBadRequest},
		"another origin, longer challenge":      {elsewhere, appChallenge + "A", http.StatusBadRequest},
		"an origin not allowed, challenge":      {"https://evil.example/", appChallenge, http.StatusBadRequest},
		"no returnTo, challenge":                {"", appChallenge, http.StatusBadRequest},
		"an origin not allowed: it is left out": {"https://evil.example/", "", http.StatusOK},
	} {
		q := url.Values{}
		if c.returnTo != "" {
			q.Set("returnTo", c.returnTo)
		}
		if c.challenge != "" {
			q.Set("challenge", c.challenge)
		}
		r := b.get("/login?" + q.Encode())
		hasCode, isNotice := strings.Contains(r.body, `id="qr"`), strings.Contains(r.body, `data-notice="badLink"`)
		if r.StatusCode != c.status || hasCode != (c.status == http.StatusOK) || isNotice == hasCode || strings.Contains(r.body, "evil.example") {
			t.Errorf("%s: %s, a code %v, a notice %v", name, r.Status, hasCode, isNotice)
		}
	}

	// The gateway's own origin may be written out.
	own := startProvider(t, "")
	own.pages.returnTo = []string{own.url + "/account"}
	if r := own.person(t, "ana").get("/login?returnTo=" + url.QueryEscape(own.url+"/account")); r.StatusCode != http.StatusOK {
		t.Errorf("its own origin: %s", r.Status)
	}
}
