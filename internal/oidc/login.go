package oidc

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Page is what the login page must know of a request.
type Page struct {
	App, Host string // the application's name, and the host that it is returned to
	Account   string
	Challenge string // the login begins with it, so that its code is good for this request only
	Locale    string // "" when the browser decides
	Continue  string // not "": the person is signed in, and this is where to go on
}

// ForPage returns what the login page shows for /login?request=…. When it returns false,
// a notice was written instead: the request is over, or another browser's.
func (p *Provider) ForPage(w http.ResponseWriter, r *http.Request, request string) (Page, bool) {
	g, _, err := p.findRequest(r, request)
	if err != nil {
		p.refusePage(w, r, err)
		return Page{}, false
	}
	client := p.clients[g.ClientID]
	if client == nil {
		p.refusePage(w, r, errUnknown)
		return Page{}, false
	}
	page := Page{App: client.Name, Account: client.Account, Locale: g.Locale, Challenge: challengeOf(g.LoginProof)}
	if u, err := url.Parse(g.RedirectURI); err == nil {
		page.Host = u.Host
	}
	switch g.Stage {
	case stageRequest:
	case stageDone, stageCode:
		page.Continue = pathContinue + "?request=" + request
	default:
		p.refusePage(w, r, errWrongStage)
		return Page{}, false
	}
	return page, true
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return encode(sum[:])
}

// findRequest loads the record of a request that is this browser's.
func (p *Provider) findRequest(r *http.Request, request string) (g grant, id []byte, err error) {
	id, ok := recordOf(request)
	if !ok {
		return g, nil, errUnknown
	}
	g, _, err = p.grants.load(r.Context(), id)
	switch {
	case err != nil:
		return g, nil, err
	case g.RequestHash != hashOf(kindRequest, request):
		return g, nil, errUnknown
	case g.Browser != p.browserOf(r):
		return g, nil, errNotIts
	}
	return g, id, nil
}

// refusePage writes the notice for an error of findRequest.
func (p *Provider) refusePage(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNotIts):
		p.options.Count("login", "other_browser")
		p.options.Notice(w, r, http.StatusForbidden, Notice{Word: WordOtherBrowser})
	case errors.Is(err, errUnknown), errors.Is(err, errWrongStage), errors.Is(err, errSpent):
		p.options.Count("login", "over")
		p.options.Notice(w, r, http.StatusBadRequest, Notice{Word: WordOver})
	default:
		p.logFault("login", err)
		w.Header().Set("Retry-After", "2")
		p.options.Notice(w, r, http.StatusServiceUnavailable, Notice{Word: WordUnavailable})
	}
}

// serveFinish is POST /oauth/finish of the login page: the one-time code of a login that
// began with the request's challenge. The same answer again is accepted, because the
// first answer may have been lost.
func (p *Provider) serveFinish(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Request string `json:"request"`
		Code    string `json:"code"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Code == "" {
		answerError(w, http.StatusBadRequest, refusal{"invalid_request", "request and code are needed"})
		return
	}
	next, err := p.Finish(w, r, q.Request, q.Code)
	if err != nil {
		p.refuseFinish(w, err)
		return
	}
	answerJSON(w, http.StatusOK, struct {
		Continue string `json:"continue"`
	}{next})
}

// Finish answers a request of this browser with the one-time code of a login that began with
// the request's challenge, and returns where the browser goes on. It may set a cookie.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request, request, code string) (next string, err error) {
	g, id, err := p.findRequest(r, request)
	if err != nil {
		return "", err
	}
	client := p.clients[g.ClientID]
	if client == nil {
		return "", errUnknown
	}
	person, err := p.options.SignIn(r.Context(), SignIn{
		Account: client.Account, Code: code, Verifier: g.LoginProof, ClientID: client.ID, Profile: slices.Contains(g.Scopes, "profile"),
	})
	if errors.Is(err, ErrRefused) {
		return "", errNotIts
	}
	if err != nil {
		return "", err
	}
	browser := p.browserOf(r)
	first := false
	signedIn, err := p.grants.update(r.Context(), id, func(g *grant, now time.Time) (time.Duration, error) {
		first = g.Stage == stageRequest
		if err := g.signIn(person, browser, now); err != nil {
			return 0, err
		}
		return requestLife, nil
	})
	if err != nil {
		return "", err
	}
	if first {
		if err := p.startSession(r.Context(), w, client.Account, signedIn.Identity); err != nil {
			p.logFault("session", err) // this sign-in is good without
		}
	}
	p.options.Count("login", "done")
	return pathContinue + "?request=" + url.QueryEscape(request), nil
}

func (p *Provider) refuseFinish(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNotIts), errors.Is(err, errUnknown), errors.Is(err, errWrongStage):
		p.options.Count("login", "refused")
		answerError(w, http.StatusForbidden, refusal{"access_denied", "the request is over, or another browser's"})
	default:
		p.logFault("login", err)
		answerUnavailable(w)
	}
}

// serveContinue is GET /oauth/continue of the login page: back to the application with a
// code.
func (p *Provider) serveContinue(w http.ResponseWriter, r *http.Request) {
	g, id, err := p.findRequest(r, r.URL.Query().Get("request"))
	switch {
	case err != nil:
		p.refusePage(w, r, err)
	case g.Stage == stageRequest:
		w.Header().Set("Location", loginPath+url.QueryEscape(r.URL.Query().Get("request")))
		w.WriteHeader(http.StatusFound)
	default:
		p.giveCode(w, r, id, &g)
	}
}

// giveCode sends a fresh code to the application.
func (p *Provider) giveCode(w http.ResponseWriter, r *http.Request, id []byte, g *grant) {
	to := destination{g.RedirectURI, g.FormPost, g.State, g.HasState}
	if g.HintSubject != "" && g.HintSubject != g.Identity.Subject {
		p.sendError(w, to, refusal{"login_required", "another person signed in than id_token_hint names"})
		return
	}
	if g.Identity.Subject == "" && g.Stage != stageRequest {
		p.sendError(w, to, refusal{"temporarily_unavailable", "the subject of the person is not known"})
		return
	}
	code := newSecret(id)
	browser := g.Browser
	_, err := p.grants.update(r.Context(), id, func(g *grant, now time.Time) (time.Duration, error) {
		if err := g.putCode(hashOf(kindCode, code), browser, now); err != nil {
			return 0, err
		}
		return requestLife, nil
	})
	switch {
	case errors.Is(err, errWrongStage), errors.Is(err, errUnknown):
		p.refusePage(w, r, err)
	case err != nil:
		p.failAuthorize(w, to, err)
	default:
		p.options.Count("authorize", "code")
		p.send(w, to, url.Values{"code": {code}})
	}
}
