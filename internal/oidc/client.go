package oidc

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Client is an application that people sign in to.
type Client struct {
	ID                 string
	Secret             string // "": a public client, which must use PKCE
	Name               string // as the login page shows it
	RedirectURIs       []string
	LogoutRedirectURIs []string
	Scopes             []string
	Account            string // which account's code is shown
	Algorithm          string // of its ID tokens: RS256, ES256 or EdDSA
	// Claims are constants; {sub} in one is the subject.
	Claims map[string]string
}

// Scopes that mean something here.
const (
	scopeWeChat = "wechat"
)

// Scopes are all that a client may be configured for.
var Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, scopeWeChat, oidc.ScopeOfflineAccess}

// isPublic reports a client without a secret.
func (c *Client) isPublic() bool { return c.Secret == "" }

// hasSecret compares in a time that tells nothing, its length included.
func (c *Client) hasSecret(secret string) bool {
	a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(c.Secret))
	return c.Secret != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// allowed are the scopes of a request that the client may have, in the request's order.
// Others are left out, as RFC 6749 §3.3 has it.
func (c *Client) allowed(scopes []string) (kept []string) {
	for _, s := range scopes {
		if slices.Contains(c.Scopes, s) && !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// opClient is a Client as package op wants it.
type opClient struct {
	*Client
	life time.Duration
}

var _ op.Client = opClient{}

func (c opClient) GetID() string                       { return c.ID }
func (c opClient) RedirectURIs() []string              { return c.Client.RedirectURIs }
func (c opClient) PostLogoutRedirectURIs() []string    { return c.LogoutRedirectURIs }
func (c opClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c opClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c opClient) LoginURL(id string) string            { return loginPath + id }
func (c opClient) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeBearer }
func (c opClient) IDTokenLifetime() time.Duration       { return c.life }
func (c opClient) DevMode() bool                        { return false }
func (c opClient) IsScopeAllowed(scope string) bool     { return slices.Contains(c.Scopes, scope) }
func (c opClient) IDTokenUserinfoClaimsAssertion() bool { return true } // many applications ask no userinfo
func (c opClient) ClockSkew() time.Duration             { return 0 }

func (c opClient) AuthMethod() oidc.AuthMethod {
	if c.isPublic() {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

func (c opClient) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeRefreshToken}
}

func (c opClient) RestrictAdditionalIdTokenScopes() func([]string) []string { return keepScopes } //nolint:staticcheck // the name is the interface's

func (c opClient) RestrictAdditionalAccessTokenScopes() func([]string) []string { return keepScopes }

func keepScopes(scopes []string) []string { return scopes }
