package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/internal/oidc"
)

// buildProvider makes the OpenID Provider when clients are configured (docs/oidc.md). The
// login service is told to take back there what it takes back itself.
func (a *App) buildProvider() (login.Revocations, error) {
	var store oidc.Store = oidc.NewMemory()
	if a.redisClient != nil {
		store = oidc.NewRedis(a.redisClient)
	}
	a.buildCompat(store)
	if len(a.config.Clients) == 0 {
		return nil, nil
	}
	clients := make([]oidc.Client, len(a.config.Clients))
	for i, c := range a.config.Clients {
		clients[i] = oidc.Client{
			ID: c.ID, Secret: c.secret.Reveal(), Name: c.Name, RedirectURIs: c.RedirectURIs, LogoutRedirectURIs: c.LogoutRedirectURIs,
			Scopes: c.Scopes, Account: c.Account, Algorithm: c.Algorithm, Claims: c.Claims,
		}
	}
	// Each request that goes on is followed by a connection, which costs more.
	requests := newKeyedRate[netip.Addr](a.config.LimitHandshakes, 20*a.config.LimitHandshakes.N)
	failures := newKeyedRate[netip.Addr](clientFailures, 0)
	o := oidc.Options{
		Issuer: a.config.Issuer, Clients: clients, Store: store, Keys: a.config.oidcKeys, EdKey: a.edKey,
		JWKS: a.publicJWKS, SessionAge: a.config.Session.age, TokenLife: time.Duration(a.config.JWTTTL),
		SignIn: a.signInPerson, Notice: a.showNotice,
		Requests: oidc.Limit{Take: a.limitBy(requests.allow, "authorizations_per_ip")},
		Failures: oidc.Limit{Take: a.limitBy(failures.allow, "client_secrets_per_ip"), Peek: a.limitBy(failures.wouldAllow, "client_secrets_per_ip")},
		Count:    func(step, result string) { a.metrics.Count("oidc_"+step, "", result) },
		Logger:   a.log,
	}
	if len(o.Keys) == 0 {
		if err := a.useDevelopmentRSA(&o); err != nil {
			return nil, err
		}
	}
	var err error
	a.provider, err = oidc.New(o)
	return a.provider, err
}

// clientFailures is how many wrong client secrets an address may send. An application that
// is set up wrongly sends a few; a right secret costs nothing.
var clientFailures = Rate{N: 60, Per: time.Minute}

// limitBy makes a limit by the client's address. Zero seconds is "go on".
func (a *App) limitBy(ask func(netip.Addr) (bool, int), reason string) func(*http.Request) int {
	return func(r *http.Request) int {
		ip := a.admission.clientIP(r)
		ok, wait := ask(limitKey(ip))
		if ok {
			return 0
		}
		a.metrics.refusals.countRefusal(reason, "address", ip)
		return max(wait, 1)
	}
}

// useDevelopmentRSA makes the provider sign with a throw-away key, which replicas share
// through Redis.
func (a *App) useDevelopmentRSA(o *oidc.Options) error {
	a.warnOperator("ID tokens are signed with a throw-away RSA key: set POSTHOUSE_OIDC_KEY_FILE")
	key, text, err := oidc.GenerateKey()
	if err != nil {
		return fmt.Errorf("gateway: development key: %w", err)
	}
	if a.redisClient == nil {
		o.Keys = []oidc.Key{key}
		return nil
	}
	shelf, err := login.RedisShelf(a.redisClient, redisPassword(a.config.RedisURL))
	if err != nil {
		return err
	}
	o.FetchKeys = func(ctx context.Context) ([]oidc.Key, error) {
		kept, err := shelf.PutFirst(ctx, "development-oidc-key", text)
		if err != nil {
			return nil, err
		}
		return oidc.ParseKeys(kept)
	}
	return nil
}

// edKey is the key of the login's tokens, for clients that want EdDSA.
func (a *App) edKey() (oidc.Key, bool) {
	id, private, ok := a.issuer.Ed25519()
	if !ok {
		return oidc.Key{}, false
	}
	return oidc.EdKey(id, private), true
}

// publicJWKS is the document of all public keys.
func (a *App) publicJWKS(ctx context.Context) ([]byte, error) {
	if a.provider == nil {
		return a.issuer.JWKS(), nil
	}
	return a.provider.AppendJWKS(ctx, a.issuer.JWKS())
}

// signInPerson exchanges the one-time code of a login that began with the provider's
// challenge, and says who that is.
func (a *App) signInPerson(ctx context.Context, q oidc.SignIn) (oidc.Identity, error) {
	token, err := a.loginService.Exchange(ctx, q.Code, q.Verifier)
	switch {
	case errors.Is(err, login.ErrUnauthorized), errors.Is(err, login.ErrBadRequest):
		return oidc.Identity{}, oidc.ErrRefused
	case err != nil:
		return oidc.Identity{}, err
	}
	c, err := a.issuer.Verify(token.JWT)
	if err != nil {
		return oidc.Identity{}, err
	}
	account := a.accounts.find(q.Account)
	if account == nil || c.AppID != account.AppID {
		return oidc.Identity{}, oidc.ErrRefused // the page asked another account than the client's
	}
	id := oidc.Identity{
		Subject: c.OpenID, AppID: c.AppID, OpenID: c.OpenID, UnionID: c.UnionID, JTI: c.JTI, AuthTime: time.Unix(c.IssuedAt, 0),
	}
	if account.UnionID == "on" {
		// Without a unionid the sign-in is refused: the openid would make a second person.
		id.Subject = c.UnionID
		if id.Subject == "" {
			a.log.Warn("gateway: a sign-in was refused because WeChat told no unionid",
				"account", account.Name, "fix", "bind the account to an Open Platform account, or set its unionid to off")
		}
	}
	if q.Profile {
		a.addProfile(ctx, account, &id)
	}
	return id, nil
}

// profileTime is how long WeChat may take to tell a name; a sign-in waits no longer.
const profileTime = 1500 * time.Millisecond

// addProfile adds what WeChat tells of a person. Without an answer the claims are absent.
func (a *App) addProfile(ctx context.Context, account *account, id *oidc.Identity) {
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	u, err := account.askUser(ctx, id.OpenID)
	if err != nil {
		a.metrics.Count("profile", account.Name, "failed")
		a.log.Debug("gateway: a sign-in goes without a profile", "account", account.Name, "error", err)
		return
	}
	a.metrics.Count("profile", account.Name, "known")
	id.Nickname, id.Picture, id.Locale = u.Nickname, u.Picture, u.Language
}

// registerOpenID adds the endpoints of the provider.
func (a *App) registerOpenID(e *echo.Echo, p *pages) {
	if a.provider == nil {
		return
	}
	p.provider = a.provider
	for _, route := range a.provider.Routes() {
		h := route.Handler
		if route.Path == oidc.FinishPath { // the one that a script of ours posts to
			h = a.admission.origins.middleware(h)
		}
		e.Any(route.Path, mountHandler(h))
	}
}

// showNotice writes a page of one sentence.
func (a *App) showNotice(w http.ResponseWriter, r *http.Request, status int, n oidc.Notice) {
	d := pageData{Notice: n.Word}
	if err := r.ParseForm(); err == nil && len(r.Form["ui_locales"]) == 1 {
		d.Request.Locale = firstLanguage(r.Form.Get("ui_locales"))
	}
	if err := a.pages.writePage(w, r, status, "notice.html", d); err != nil {
		a.log.Debug("gateway: notice", "error", err) // the browser has gone
	}
}

// firstLanguage is the first of a list of languages.
func firstLanguage(list string) string {
	fields := strings.Fields(list)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
