package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var (
	badClient = refusal{"invalid_client", "the client is not known, or its secret is wrong"}
	badGrant  = refusal{"invalid_grant", "the code or the token is not good, or belongs to something else"}
)

// readForm reads a form from the body alone: secrets in URLs reach logs.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	err := r.ParseForm()
	if err == nil {
		for name, values := range r.PostForm {
			if len(values) > 1 {
				err = fmt.Errorf("%s occurs more than once", name)
			}
		}
	}
	if err != nil {
		answerError(w, http.StatusBadRequest, refusal{"invalid_request", "send each parameter once, as application/x-www-form-urlencoded"})
		return nil, false
	}
	return r.PostForm, true
}

// authenticate finds the client that asks: by client_secret_basic, client_secret_post or,
// for public clients, by its id alone. It has answered when it returns nil.
func (p *Provider) authenticate(w http.ResponseWriter, r *http.Request, form url.Values) *Client {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	asItCame := secret
	if header := r.Header.Get("Authorization"); header != "" {
		basicID, basicSecret, raw, ok := basicCredentials(r)
		if !ok {
			p.refuseClient(w, r)
			return nil
		}
		if secret != "" || id != "" && id != basicID {
			answerError(w, http.StatusBadRequest, refusal{"invalid_request", "authenticate in one way only"})
			return nil
		}
		id, secret, asItCame = basicID, basicSecret, raw
	}
	if form.Get("client_assertion") != "" || form.Get("client_assertion_type") != "" {
		p.refuseClient(w, r)
		return nil
	}
	if peek := p.options.Failures.Peek; peek != nil {
		if wait := peek(r); wait > 0 {
			p.options.Count("token", "limited")
			answerLimited(w, "invalid_client", wait)
			return nil
		}
	}
	client := p.clients[id]
	good := client != nil && (client.hasSecret(secret) || client.hasSecret(asItCame) || client.isPublic() && secret == "")
	if !good {
		p.refuseClient(w, r)
		return nil
	}
	return client
}

// basicCredentials reads client_secret_basic, whose parts are form-encoded (RFC 6749
// §2.3.1). Many applications do not encode them, so the secret is also returned raw.
func basicCredentials(r *http.Request) (id, secret, raw string, ok bool) {
	id, raw, ok = r.BasicAuth()
	if !ok {
		return "", "", "", false
	}
	if text, err := url.QueryUnescape(id); err == nil {
		id = text
	}
	if secret, err := url.QueryUnescape(raw); err == nil {
		return id, secret, raw, true
	}
	return id, raw, raw, true
}

func (p *Provider) refuseClient(w http.ResponseWriter, r *http.Request) {
	p.options.Count("token", "invalid_client")
	if take := p.options.Failures.Take; take != nil {
		take(r)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="posthouse", charset="UTF-8"`)
	answerError(w, http.StatusUnauthorized, badClient)
}

func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	client := p.authenticate(w, r, form)
	if client == nil {
		return
	}
	var answer *oidc.AccessTokenResponse
	var err error
	grantType := form.Get("grant_type")
	switch grantType {
	case "authorization_code":
		answer, err = p.exchange(r.Context(), client, form)
	case "refresh_token":
		answer, err = p.refresh(r.Context(), client, form)
	case "":
		err = badRequest("grant_type is missing")
	default:
		answerError(w, http.StatusBadRequest, refusal{"unsupported_grant_type", "grant_type is authorization_code or refresh_token"})
		return
	}
	if err != nil {
		p.refuseToken(w, err)
		return
	}
	p.options.Count("token", grantType)
	answerJSON(w, http.StatusOK, answer)
}

// badRequest is what the developer of the application has to mend.
type badRequest string

func (e badRequest) Error() string { return "oidc: bad request: " + string(e) }

var errScope = errors.New("oidc: scope not granted")

func (p *Provider) refuseToken(w http.ResponseWriter, err error) {
	var bad badRequest
	switch {
	case errors.As(err, &bad):
		answerError(w, http.StatusBadRequest, refusal{"invalid_request", string(bad)})
	case errors.Is(err, errScope):
		answerError(w, http.StatusBadRequest, refusal{"invalid_scope", "scope exceeds what was granted"})
	case errors.Is(err, errSpent):
		p.options.Count("token", "spent")
		p.options.Logger.Warn("oidc: a code or refresh token was used twice; all tokens of that sign-in were ended")
		answerError(w, http.StatusBadRequest, badGrant)
	case errors.Is(err, errNotIts), errors.Is(err, errUnknown), errors.Is(err, errWrongStage):
		p.options.Count("token", "invalid_grant")
		answerError(w, http.StatusBadRequest, badGrant)
	default:
		p.logFault("token", err)
		answerUnavailable(w)
	}
}

// exchange spends a code. One step spends it and notes the tokens that it gives.
func (p *Provider) exchange(ctx context.Context, client *Client, form url.Values) (*oidc.AccessTokenResponse, error) {
	code, redirectURI, verifier := form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier")
	switch {
	case code == "":
		return nil, badRequest("code is missing")
	case redirectURI == "":
		return nil, badRequest("redirect_uri is missing")
	}
	id, ok := recordOf(code)
	if !ok {
		return nil, errUnknown
	}
	if err := p.checkKeys(ctx, client); err != nil {
		return nil, err
	}
	t := issuance{provider: p, client: client, access: newSecret(id)}
	family := randomBytes(familySize)
	g, err := p.grants.update(ctx, id, func(g *grant, now time.Time) (time.Duration, error) {
		if g.ClientID != client.ID || g.RedirectURI != redirectURI || !fitsChallenge(g.Challenge, verifier) {
			return 0, errNotIts
		}
		err := g.spendCode(hashOf(kindCode, code), now)
		if errors.Is(err, errSpent) {
			return g.life(now), err // what ended must be kept
		}
		if err != nil {
			return 0, err
		}
		g.addAccess(hashOf(kindAccess, t.access), g.Scopes, now, p.options.TokenLife)
		t.endsAt = time.Now().Add(p.options.TokenLife)
		t.refresh = ""
		if slices.Contains(g.Scopes, oidc.ScopeOfflineAccess) {
			t.refresh = newRefreshSecret(id, family)
			g.putRefresh(hashOf(kindRefresh, t.refresh), hashOf(kindFamily, string(family)), now)
		}
		return g.life(now), nil
	})
	if err != nil {
		return nil, err
	}
	if gone, err := p.wasRevoked(ctx, g.Identity); gone || err != nil {
		return nil, errors.Join(err, errWrongStage)
	}
	return t.respond(ctx, codeRequest{request{&g, g.Scopes}}, code)
}

// checkKeys keeps a code or refresh token from being spent while nothing can be signed.
func (p *Provider) checkKeys(ctx context.Context, client *Client) error {
	_, err := p.keys.signer(ctx, client.Algorithm)
	return err
}

// fitsChallenge checks PKCE. A verifier without a challenge is refused, so that a
// challenge that was stripped from the request is noticed (RFC 9700 §2.1.1).
func fitsChallenge(challenge, verifier string) bool {
	var want *oidc.CodeChallenge
	if challenge != "" {
		want = &oidc.CodeChallenge{Challenge: challenge, Method: oidc.CodeChallengeMethodS256}
	}
	return op.AuthorizeCodeChallenge(verifier, want) == nil
}

// refresh gives new tokens for a refresh token, which is used up.
func (p *Provider) refresh(ctx context.Context, client *Client, form url.Values) (*oidc.AccessTokenResponse, error) {
	token := form.Get("refresh_token")
	if token == "" {
		return nil, badRequest("refresh_token is missing")
	}
	id, family, ok := familyOf(token)
	if !ok {
		return nil, errUnknown
	}
	if err := p.checkKeys(ctx, client); err != nil {
		return nil, err
	}
	before, _, err := p.grants.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if gone, err := p.wasRevoked(ctx, before.Identity); gone || err != nil {
		return nil, errors.Join(err, errWrongStage)
	}
	t := issuance{provider: p, client: client, access: newSecret(id), refresh: newRefreshSecret(id, family)}
	familyHash := hashOf(kindFamily, string(family))
	var scopes []string
	g, err := p.grants.update(ctx, id, func(g *grant, now time.Time) (time.Duration, error) {
		if g.ClientID != client.ID {
			return 0, errNotIts
		}
		err := g.spendRefresh(hashOf(kindRefresh, token), familyHash, now)
		if errors.Is(err, errSpent) {
			return g.life(now), err
		}
		if err != nil {
			return 0, err
		}
		if scopes, err = narrowed(g.Scopes, form.Get("scope")); err != nil {
			return 0, err
		}
		g.addAccess(hashOf(kindAccess, t.access), scopes, now, p.options.TokenLife)
		g.putRefresh(hashOf(kindRefresh, t.refresh), familyHash, now)
		t.endsAt = time.Now().Add(p.options.TokenLife)
		return g.life(now), nil
	})
	if err != nil {
		return nil, err
	}
	return t.respond(ctx, refreshRequest{request{&g, scopes}}, "")
}

// narrowed are the scopes that a refresh asks for, all when it names none.
func narrowed(granted []string, asked string) ([]string, error) {
	want := strings.Fields(asked)
	if len(want) == 0 {
		return granted, nil
	}
	for _, s := range want {
		if !slices.Contains(granted, s) {
			return nil, errScope
		}
	}
	return want, nil
}
