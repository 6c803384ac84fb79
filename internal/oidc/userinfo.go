package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// live is an access token that is good now.
type live struct {
	grant  grant
	token  accessToken
	client *Client
}

// findAccess returns what an access token stands for; errUnknown for one that is not good
// (any more).
func (p *Provider) findAccess(ctx context.Context, token string) (l live, err error) {
	id, ok := recordOf(token)
	if !ok {
		return l, errUnknown
	}
	g, now, err := p.grants.load(ctx, id)
	if err != nil {
		return l, err
	}
	access, ok := g.access(hashOf(kindAccess, token), now)
	client := p.clients[g.ClientID]
	if !ok || client == nil {
		return l, errUnknown
	}
	if gone, err := p.wasRevoked(ctx, g.Identity); gone || err != nil {
		return l, errors.Join(err, errUnknown)
	}
	return live{g, access, client}, nil
}

func (p *Provider) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	token, ways := "", 0
	if scheme, rest, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token, ways = strings.TrimSpace(rest), ways+1
	}
	if r.Method == http.MethodPost {
		form, ok := readForm(w, r)
		if !ok {
			return
		}
		if text := form.Get("access_token"); text != "" {
			token, ways = text, ways+1
		}
	}
	switch ways {
	case 0:
		w.Header().Set("WWW-Authenticate", `Bearer realm="posthouse"`)
		answerError(w, http.StatusUnauthorized, refusal{"invalid_token", "send the access token as Authorization: Bearer"})
		return
	case 2:
		answerError(w, http.StatusBadRequest, refusal{"invalid_request", "send the access token in one way only"})
		return
	}
	l, err := p.findAccess(r.Context(), token)
	if isFault(err) {
		p.logFault("userinfo", err)
		answerUnavailable(w)
		return
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="posthouse", error="invalid_token", error_description="the token is not good any more"`)
		answerError(w, http.StatusUnauthorized, refusal{"invalid_token", "the token is not good any more"})
		return
	}
	claims := claimsOf(l.client, l.grant.Identity, l.token.Scopes)
	claims["sub"] = l.grant.Identity.Subject
	answerJSON(w, http.StatusOK, claims)
}

// isFault reports an error that is not the peer's.
func isFault(err error) bool {
	return errors.Is(err, ErrUnavailable) || err != nil && !errors.Is(err, errUnknown) && !errors.Is(err, errNotIts) && !errors.Is(err, errWrongStage)
}

// serveIntrospect tells a confidential client about its own tokens (RFC 7662).
func (p *Provider) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	client, form := p.tokenRequest(w, r)
	if client == nil {
		return
	}
	if client.isPublic() {
		p.refuseClient(w, r)
		return
	}
	answer, err := p.introspect(r.Context(), client, form.Get("token"))
	if isFault(err) {
		p.logFault("introspect", err)
		answerUnavailable(w)
		return
	}
	if err != nil {
		answer = map[string]any{"active": false} // whatever the reason
	}
	answerJSON(w, http.StatusOK, answer)
}

// tokenRequest reads what introspection and revocation have in common. It has answered
// when the client is nil.
func (p *Provider) tokenRequest(w http.ResponseWriter, r *http.Request) (*Client, url.Values) {
	form, ok := readForm(w, r)
	if !ok {
		return nil, nil
	}
	client := p.authenticate(w, r, form)
	if client == nil {
		return nil, nil
	}
	if form.Get("token") == "" {
		answerError(w, http.StatusBadRequest, refusal{"invalid_request", "token is missing"})
		return nil, nil
	}
	return client, form
}

func (p *Provider) introspect(ctx context.Context, client *Client, token string) (map[string]any, error) {
	if _, _, isRefresh := familyOf(token); isRefresh {
		return p.introspectRefresh(ctx, client, token)
	}
	l, err := p.findAccess(ctx, token)
	if err != nil {
		return nil, err
	}
	if l.grant.ClientID != client.ID {
		return nil, errNotIts
	}
	answer := p.describe(&l.grant, l.token.Scopes, l.token.EndsAt)
	answer["token_type"] = "Bearer"
	answer["iat"] = l.token.IssuedAt.Unix()
	return answer, nil
}

func (p *Provider) introspectRefresh(ctx context.Context, client *Client, token string) (map[string]any, error) {
	id, _, _ := familyOf(token)
	g, now, err := p.grants.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if g.ClientID != client.ID || g.Stage != stageTokens || g.RefreshHash != hashOf(kindRefresh, token) || !now.Before(g.RefreshEnds) {
		return nil, errNotIts
	}
	if gone, err := p.wasRevoked(ctx, g.Identity); gone || err != nil {
		return nil, errors.Join(err, errNotIts)
	}
	return p.describe(&g, g.Scopes, g.RefreshEnds), nil
}

func (p *Provider) describe(g *grant, scopes []string, endsAt time.Time) map[string]any {
	return map[string]any{
		"active": true, "iss": p.options.Issuer, "sub": g.Identity.Subject, "aud": []string{g.ClientID},
		"client_id": g.ClientID, "scope": strings.Join(scopes, " "), "exp": endsAt.Unix(),
	}
}

// serveRevoke ends a token (RFC 7009): an access token alone, or with a refresh token all
// that the sign-in gave. Tokens that are not known are answered like those that were.
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request) {
	client, form := p.tokenRequest(w, r)
	if client == nil {
		return
	}
	err := p.revoke(r.Context(), client, form.Get("token"))
	switch {
	case errors.Is(err, errForeign):
		answerError(w, http.StatusBadRequest, refusal{"invalid_grant", "the token was given to another client"})
	case isFault(err):
		p.logFault("revoke", err)
		answerUnavailable(w)
	default:
		p.options.Count("revoke", "ok")
		w.WriteHeader(http.StatusOK)
	}
}

var errForeign = errors.New("oidc: another client's")

func (p *Provider) revoke(ctx context.Context, client *Client, token string) error {
	id, family, isRefresh := familyOf(token)
	if !isRefresh {
		var ok bool
		if id, ok = recordOf(token); !ok {
			return errUnknown
		}
	}
	_, err := p.grants.update(ctx, id, func(g *grant, now time.Time) (time.Duration, error) {
		if isRefresh {
			if g.FamilyHash != hashOf(kindFamily, string(family)) {
				return 0, errUnknown
			}
			if g.ClientID != client.ID {
				return 0, errForeign
			}
			g.end()
			return max(g.life(now), p.options.TokenLife), nil
		}
		hash := hashOf(kindAccess, token)
		for i := range g.Access {
			if g.Access[i].Hash == hash {
				if g.ClientID != client.ID {
					return 0, errForeign
				}
				g.Access[i].EndsAt = now
				return g.life(now), nil
			}
		}
		return 0, errUnknown
	})
	return err
}
