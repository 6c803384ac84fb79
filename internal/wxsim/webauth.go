package wxsim

import (
	"html/template"
	"net/http"
	"net/url"
	"time"
)

// Web authorisation (scope snsapi_base): WeChat's own browser is sent to
// /connect/oauth2/authorize and comes back with a code at once, without a question. This
// one is no WeChat and does not know whose browser it is: it asks, or reads ?person=.

const (
	webCodeLife = 5 * time.Minute
	maxWebCodes = 1000
)

// webCode is one code and whose it is.
type webCode struct {
	appID, openID string
	expires       time.Time
}

var personPage = template.Must(template.New("person").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Whose WeChat is this?</title>
<h1>Whose WeChat is this?</h1><ul>{{range .}}<li><a href="{{.Target}}">{{.Name}}</a></li>{{end}}</ul></html>`))

// authorizeWeb is GET /connect/oauth2/authorize.
func (s *Sim) authorizeWeb(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	s.mu.Lock()
	defer s.mu.Unlock()
	var a *account
	if q.Get("appid") != "" {
		a = s.account(q.Get("appid"))
	}
	if a == nil || err != nil || to.Host == "" || q.Get("response_type") != "code" || q.Get("scope") != "snsapi_base" {
		http.Error(w, "the platform shows an error page here", http.StatusBadRequest)
		return
	}
	person := q.Get("person")
	if person == "" {
		type choice struct{ Name, Target string }
		var choices []choice
		for _, p := range s.viewPeople(a, "") {
			again := r.URL.Query()
			again.Set("person", p.Name)
			choices = append(choices, choice{p.Name, "?" + again.Encode()})
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = personPage.Execute(w, choices)
		return
	}
	now := s.clock.now()
	if len(s.webCodes) >= maxWebCodes {
		clear(s.webCodes)
	}
	code := s.rand.text(32)
	s.webCodes[code] = webCode{a.AppID, s.relate(a, person).openid, now.Add(webCodeLife)}
	answer := to.Query()
	answer.Set("code", code)
	answer.Set("state", q.Get("state"))
	to.RawQuery = answer.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// exchangeWebCode is GET /sns/oauth2/access_token.
func (s *Sim) exchangeWebCode(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	refuse := func(code int, message string) {
		writeJSON(w, http.StatusOK, map[string]any{"errcode": code, "errmsg": message})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var a *account
	if q.Get("appid") != "" {
		a = s.account(q.Get("appid"))
	}
	switch {
	case a == nil:
		refuse(40013, "invalid appid")
		return
	case !sameText(a.Secret, q.Get("secret")):
		refuse(40125, "invalid appsecret")
		return
	}
	found, ok := s.webCodes[q.Get("code")]
	delete(s.webCodes, q.Get("code"))
	if !ok || found.appID != a.AppID || !s.clock.now().Before(found.expires) {
		refuse(40029, "invalid code")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": s.rand.text(64), "expires_in": 7200, "refresh_token": s.rand.text(64), "openid": found.openID, "scope": "snsapi_base",
	})
}
