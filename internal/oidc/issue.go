package oidc

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// How people are authenticated, in claims amr and acr.
const authMethod = "wechat_oa"

// request is a grant as package op wants it when it makes tokens.
type request struct {
	grant  *grant
	scopes []string
}

func (q request) GetAMR() []string       { return []string{authMethod} }
func (q request) GetAudience() []string  { return []string{q.grant.ClientID} }
func (q request) GetAuthTime() time.Time { return q.grant.Identity.AuthTime }
func (q request) GetClientID() string    { return q.grant.ClientID }
func (q request) GetScopes() []string    { return q.scopes }
func (q request) GetSubject() string     { return q.grant.Identity.Subject }

// codeRequest is the request of a code.
type codeRequest struct{ request }

var _ op.AuthRequest = codeRequest{}

func (q codeRequest) GetID() string                         { return "" }
func (q codeRequest) GetACR() string                        { return authMethod }
func (q codeRequest) GetCodeChallenge() *oidc.CodeChallenge { return nil } // checked before
func (q codeRequest) GetNonce() string                      { return q.grant.Nonce }
func (q codeRequest) GetRedirectURI() string                { return q.grant.RedirectURI }
func (q codeRequest) GetResponseType() oidc.ResponseType    { return oidc.ResponseTypeCode }
func (q codeRequest) GetResponseMode() oidc.ResponseMode    { return "" }
func (q codeRequest) GetState() string                      { return q.grant.State }
func (q codeRequest) Done() bool                            { return true }

// refreshRequest is the request of a refresh token.
type refreshRequest struct{ request }

var _ op.RefreshTokenRequest = refreshRequest{}

// SetCurrentScopes implements op.RefreshTokenRequest; the scopes were narrowed before.
func (q refreshRequest) SetCurrentScopes([]string) {}

// issuance is the making of one answer of the token endpoint. It is what package op calls
// its storage: the tokens were noted in the grant before, in the step that spent the code
// or the refresh token, and are handed to it here.
type issuance struct {
	op.Storage // nil: op.CreateTokenResponse calls what is implemented below

	provider        *Provider
	client          *Client
	access, refresh string
	endsAt          time.Time
}

// respond makes the answer: the ID token and the tokens of the grant.
func (t issuance) respond(ctx context.Context, q op.IDTokenRequest, code string) (*oidc.AccessTokenResponse, error) {
	ctx = op.ContextWithIssuer(ctx, t.provider.options.Issuer)
	client := opClient{t.client, t.provider.options.TokenLife}
	answer, err := op.CreateTokenResponse(ctx, q, client, creator{t}, true, code, t.refresh)
	if err != nil {
		return nil, err
	}
	answer.RefreshToken = t.refresh
	answer.State = ""
	answer.ExpiresIn = uint64(t.provider.options.TokenLife / time.Second)
	return answer, nil
}

// creator is op.TokenCreator.
type creator struct{ storage issuance }

func (c creator) Storage() op.Storage { return c.storage }
func (c creator) Crypto() op.Crypto   { return plainTokens{} }

// plainTokens leaves access tokens as they are: they are secrets of 256 bits, and nothing
// needs to be hidden in them. Package op appends the subject, which is cut off again.
type plainTokens struct{}

func (plainTokens) Encrypt(s string) (string, error) {
	token, _, _ := strings.Cut(s, ":")
	return token, nil
}

func (plainTokens) Decrypt(s string) (string, error) { return s, nil }

// The methods of op.Storage that op.CreateTokenResponse calls.

func (t issuance) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return t.access, t.endsAt, nil
}

func (t issuance) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (access, refresh string, endsAt time.Time, err error) {
	return t.access, t.refresh, t.endsAt, nil
}

func (t issuance) DeleteAuthRequest(context.Context, string) error { return nil } // its record lives on

func (t issuance) SigningKey(ctx context.Context) (op.SigningKey, error) {
	return t.provider.keys.signer(ctx, t.client.Algorithm)
}

func (t issuance) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil // deprecated; see SetUserinfoFromRequest
}

// SetUserinfoFromRequest puts claims of the person into the ID token.
func (t issuance) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, q op.IDTokenRequest, scopes []string) error {
	var g *grant
	switch q := q.(type) {
	case codeRequest:
		g = q.grant
	case refreshRequest:
		g = q.grant
		info.AppendClaims("acr", authMethod) // op leaves it out of refreshed tokens
	}
	info.Subject = q.GetSubject()
	for name, value := range claimsOf(t.client, g.Identity, scopes) {
		info.AppendClaims(name, value)
	}
	return nil
}

// reservedClaims are never a constant of a client.
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash",
	"client_id", "sid", "appid", "openid", "unionid", "ctx",
}

// ReservedClaim reports a claim that only the provider makes.
func ReservedClaim(name string) bool { return slices.Contains(reservedClaims, name) }

// claimsOf are the claims of a person beside sub, as far as scopes allow.
func claimsOf(client *Client, id Identity, scopes []string) map[string]any {
	claims := map[string]any{}
	for name, text := range client.Claims {
		claims[name] = strings.ReplaceAll(text, "{sub}", id.Subject)
	}
	put := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	if slices.Contains(scopes, oidc.ScopeProfile) {
		put("nickname", id.Nickname)
		put("picture", id.Picture)
		put("locale", id.Locale)
	}
	if slices.Contains(scopes, scopeWeChat) {
		put("appid", id.AppID)
		put("openid", id.OpenID)
		put("unionid", id.UnionID)
	}
	return claims
}
