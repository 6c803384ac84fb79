package wechat

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// DefaultOpenBase is where WeChat's own browser goes for web authorisation.
const DefaultOpenBase = "https://open.weixin.qq.com"

const apiWebToken = "/sns/oauth2/access_token"

// ErrWebCode answers a code of web authorisation that is unknown, used or old.
var ErrWebCode = errors.New("wechat: the code of the web authorisation is not good")

// WebAuthURL is where a page inside WeChat sends the person, who comes back to redirectURI
// with a code and state, without being asked (scope snsapi_base). WeChat wants the
// parameters in this order.
func WebAuthURL(openBase, appID, redirectURI, state string) string {
	return strings.TrimRight(openBase, "/") + "/connect/oauth2/authorize?appid=" + url.QueryEscape(appID) +
		"&redirect_uri=" + url.QueryEscape(redirectURI) + "&response_type=code&scope=snsapi_base&state=" + url.QueryEscape(state) + "#wechat_redirect"
}

// WebUser returns the openid behind a code of web authorisation, which is good once.
func (c *Client) WebUser(ctx context.Context, code string) (openID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	var out struct {
		OpenID string `json:"openid"`
	}
	k := call{
		api: apiWebToken, method: http.MethodGet,
		query: url.Values{"appid": {c.appID}, "secret": {c.secret.Reveal()}, "code": {code}, "grant_type": {"authorization_code"}},
		into:  &out, whole: func() bool { return ValidOpenID(out.OpenID) },
	}
	badCode := false
	err = c.guard(ctx, k.api, func() (*Error, error) {
		failed := c.exchange(ctx, k, "")
		if failed != nil && (failed.Code == 40029 || failed.Code == 40163 || failed.Code == 41008) {
			badCode = true // the browser's fault, and no sign of an outage
			return nil, nil
		}
		return failed, nil
	})
	if badCode {
		return "", ErrWebCode
	}
	return out.OpenID, err
}
