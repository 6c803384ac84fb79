package gateway

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/internal/oidc"
	"posthouse/internal/randid"
	"posthouse/internal/wechat"
)

// Inside WeChat's own browser a person cannot scan the screen. Where the account has web
// authorisation, the page of an application offers a link instead (docs/login.md §10): WeChat
// says at once whose browser it is, and the login is done without a code to scan.
//
// WeChat asks the person nothing, so a link of another person's attempt would sign that
// other person in. The attempt is therefore kept in a cookie, and nothing is claimed in a
// browser that did not begin it.
type webAuth struct {
	app   *App
	pages *pages
	calls *keyedRate[netip.Addr] // questions to WeChat
}

const (
	webAuthCookie = "posthouse-webauth"
	webAuthLife   = 10 * time.Minute
	webAuthStart  = "/login/wechat"
	webAuthReturn = "/login/wechat/return"
)

// webAttempt is what the cookie keeps: the browser's own words, checked again when it returns.
type webAttempt struct {
	State     string `json:"s"`
	Account   string `json:"a,omitempty"`
	Request   string `json:"r,omitempty"`
	ReturnTo  string `json:"t,omitempty"`
	Challenge string `json:"c,omitempty"`
}

func (a *App) registerWebAuth(e *echo.Echo, p *pages) {
	on := false
	for _, account := range a.accounts.inOrder {
		on = on || account.WebAuth == "on"
	}
	if !on {
		return
	}
	h := &webAuth{a, p, newKeyedRate[netip.Addr](a.config.LimitQRCodesIP, 0)}
	e.GET(webAuthStart, mountHandler(http.HandlerFunc(h.begin)))
	e.GET(webAuthReturn, mountHandler(http.HandlerFunc(h.come)))
}

// readAttempt checks what an attempt is for: a request of the provider, or an address with a
// challenge. It has answered when it returns false.
func (h *webAuth) readAttempt(w http.ResponseWriter, r *http.Request, t *webAttempt) (*account, bool) {
	if h.app.provider != nil && t.Request != "" {
		page, ok := h.app.provider.ForPage(w, r, t.Request)
		if !ok {
			return nil, false
		}
		t.Account, t.Challenge, t.ReturnTo = page.Account, page.Challenge, ""
	} else if t.ReturnTo = h.pages.safeReturn(t.ReturnTo); t.ReturnTo == "" || !login.ValidChallenge(t.Challenge) {
		h.app.showNotice(w, r, http.StatusBadRequest, oidc.Notice{Word: oidc.WordOver})
		return nil, false
	}
	account := h.app.accounts.find(t.Account)
	if account == nil || account.WebAuth != "on" {
		h.app.showNotice(w, r, http.StatusNotFound, oidc.Notice{Word: oidc.WordOver})
		return nil, false
	}
	return account, true
}

// begin is GET /login/wechat: on to WeChat.
func (h *webAuth) begin(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	t := webAttempt{
		State: randid.Text(16), Account: q.Get("account"), Request: q.Get("request"), ReturnTo: q.Get("returnTo"), Challenge: q.Get("challenge"),
	}
	account, ok := h.readAttempt(w, r, &t)
	if !ok {
		return
	}
	text, err := json.Marshal(t)
	if err != nil || len(text) > 3000 { // a cookie holds 4 KB
		h.app.showNotice(w, r, http.StatusBadRequest, oidc.Notice{Word: oidc.WordOver})
		return
	}
	h.setCookie(w, r, base64.RawURLEncoding.EncodeToString(text), webAuthLife)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", wechat.WebAuthURL(account.OpenBase, account.AppID, h.here(r)+webAuthReturn, t.State))
	w.WriteHeader(http.StatusFound)
}

func (h *webAuth) setCookie(w http.ResponseWriter, r *http.Request, value string, age time.Duration) {
	c := &http.Cookie{
		Name: webAuthCookie, Value: value, Path: webAuthStart, MaxAge: int(age / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: h.app.admission.isSecure(r),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// here is the origin that the browser knows this gateway by.
func (h *webAuth) here(r *http.Request) string {
	if h.app.config.Issuer != "" {
		return h.app.config.Issuer
	}
	host, _ := h.app.admission.origins.requestedHost(r)
	if h.app.admission.isSecure(r) {
		return "https://" + host
	}
	return "http://" + host
}

// come is GET /login/wechat/return: back from WeChat with a code.
func (h *webAuth) come(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	t, ok := readWebAttempt(r)
	if !ok || subtle.ConstantTimeCompare([]byte(t.State), []byte(r.URL.Query().Get("state"))) != 1 {
		h.app.showNotice(w, r, http.StatusForbidden, oidc.Notice{Word: oidc.WordOtherBrowser})
		return
	}
	account, ok := h.readAttempt(w, r, &t)
	if !ok {
		return
	}
	h.setCookie(w, r, "", 0) // an attempt is good once
	ip := h.app.admission.clientIP(r)
	if ok, _ := h.calls.allow(limitKey(ip)); !ok {
		h.app.metrics.refusals.countRefusal("qrcodes_per_ip", "address", ip)
		h.app.showNotice(w, r, http.StatusTooManyRequests, oidc.Notice{Word: oidc.WordLimited})
		return
	}
	code, err := h.signIn(r, account, t.Challenge)
	next := ""
	if err == nil && t.Request != "" {
		next, err = h.app.provider.Finish(w, r, t.Request, code)
	}
	switch {
	case errors.Is(err, errNoFollower), errors.Is(err, wechat.ErrWebCode):
		next = h.loginPage(&t) // the code there leads to following the account
	case err != nil:
		h.app.log.Warn("gateway: a web authorisation failed", "account", account.Name, "error", err)
		h.app.showNotice(w, r, http.StatusServiceUnavailable, oidc.Notice{Word: oidc.WordUnavailable})
		return
	case t.Request == "":
		u, err := url.Parse(t.ReturnTo)
		if err != nil { // it was checked
			h.app.showNotice(w, r, http.StatusBadRequest, oidc.Notice{Word: oidc.WordOver})
			return
		}
		q := u.Query()
		q.Set("code", code)
		u.RawQuery = q.Encode()
		next = u.String()
	}
	w.Header().Set("Location", next)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
}

func readWebAttempt(r *http.Request) (t webAttempt, ok bool) {
	c, err := r.Cookie(webAuthCookie)
	if err != nil {
		return t, false
	}
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	return t, err == nil && json.Unmarshal(text, &t) == nil && t.State != ""
}

// loginPage is the page that the attempt came from, without the link.
func (h *webAuth) loginPage(t *webAttempt) string {
	q := url.Values{"scan": {"1"}}
	for name, value := range map[string]string{"request": t.Request, "account": t.Account, "returnTo": t.ReturnTo} {
		if value != "" && (t.Request == "" || name == "request") {
			q.Set(name, value)
		}
	}
	if t.Request == "" {
		q.Set("challenge", t.Challenge)
	}
	return "/login?" + q.Encode()
}

var errNoFollower = errors.New("gateway: the person does not follow the account")

// signIn is a login whose person WeChat names: up to its one-time code.
func (h *webAuth) signIn(r *http.Request, account *account, challenge string) (code string, err error) {
	ctx := r.Context()
	openID, err := account.apiClient.WebUser(ctx, r.URL.Query().Get("code"))
	if err != nil {
		return "", err
	}
	// People sign in by following: WeChat names those as well who do not.
	if u, err := account.askUser(ctx, openID); err != nil {
		return "", err
	} else if !u.Subscribed {
		return "", errNoFollower
	}
	from := newVisit(h.app.admission.clientIP(r), "", r.UserAgent())
	started, err := h.app.loginService.Start(ctx, login.StartRequest{
		Account: account.Name, Challenge: challenge, PreferTyped: true, Agent: from.agentName, Network: from.networkName, // no QR code is spent
	})
	if err != nil {
		return "", err
	}
	ticket, outcome, err := h.app.loginService.Claim(ctx, login.Claim{AppID: account.AppID, Scene: started.Ticket.ID, OpenID: openID, At: time.Now()})
	if err != nil {
		return "", err
	}
	if outcome != login.OutcomeClaimed {
		return "", errors.New("gateway: claim: " + string(outcome))
	}
	result, err := h.app.loginService.Result(ctx, ticket)
	return result.Value, err
}
