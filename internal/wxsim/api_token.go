package wxsim

import (
	"slices"
	"time"
)

// tokenLength is the length tokens were seen to have.
const tokenLength = 136

type tokenBody struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

func tokenAnswer(t *accessToken, now time.Time) tokenBody {
	return tokenBody{t.value, int(t.expires.Sub(now) / time.Second)}
}

// issueToken is GET /cgi-bin/token: a new token each time.
func issueToken(c *apiCall) (any, *apiError) {
	q := c.r.URL.Query()
	if failure := c.prove(q.Get("grant_type"), q.Get("appid"), q.Get("secret")); failure != nil {
		return nil, failure
	}
	return tokenAnswer(c.account.tokens.issuePlain(c.now, c.freshToken()), c.now), nil
}

// issueStableToken is POST /cgi-bin/stable_token: the same token to every caller.
func issueStableToken(c *apiCall) (any, *apiError) {
	var in struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	if failure := c.bind(&in); failure != nil {
		return nil, failure
	}
	if failure := c.prove(in.GrantType, in.AppID, in.Secret); failure != nil {
		return nil, failure
	}
	token, failure := c.account.tokens.issueStable(c.now, in.ForceRefresh, c.freshToken)
	if failure != nil {
		return nil, failure
	}
	return tokenAnswer(token, c.now), nil
}

func (c *apiCall) freshToken() string { return c.rand.digits(2) + "_" + c.rand.text(tokenLength-3) }

// prove checks the credentials of a token call and finds its account.
func (c *apiCall) prove(grantType, appid, secret string) *apiError {
	switch {
	case grantType != "client_credential":
		return errGrantType
	case appid == "":
		return errNoAppID
	case secret == "":
		return errNoSecret
	}
	if failure := c.proveSecret(appid, secret); failure != nil {
		return failure
	}
	if allowed := c.account.AllowIPs; len(allowed) > 0 && !slices.Contains(allowed, peerIP(c.r)) {
		return errForeignIP(peerIP(c.r))
	}
	return c.count()
}

func (c *apiCall) proveSecret(appid, secret string) *apiError {
	for _, a := range c.accounts {
		if a.AppID == appid {
			c.account = a
		}
	}
	switch {
	case c.account == nil:
		return errAppID
	case c.account.Frozen:
		return errFrozen
	case !sameText(c.account.Secret, secret):
		return errAppSecret
	}
	return nil
}
