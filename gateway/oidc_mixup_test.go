package gateway

import (
	"encoding/base64"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An application that knows several providers tells by iss whose answer it is: every answer
// has it, once, and a parameter of the request does not change it.
func TestOIDC_Attack_MixUp_EveryAnswerHasIss(t *testing.T) {
	p := startProvider(t, "")
	good := p.person(t, "ana").logIn("iss", "https://evil.example")
	refused := p.person(t, "ana").authorize("prompt", "none", "iss", "https://evil.example")
	elsewhere := p.person(t, "ana").authorize("redirect_uri", "https://grafana.example.com/cb?keep=a%20b", "response_type", "token")
	for name, r := range map[string]reply{"code": good, "error": refused, "error beside a query": elsewhere} {
		if iss := r.location(t).Query()["iss"]; len(iss) != 1 || iss[0] != p.url {
			t.Errorf("%s: iss %q", name, iss)
		}
	}
	form := html.UnescapeString(p.person(t, "ana").authorize("prompt", "none", "response_mode", "form_post").body)
	if strings.Count(form, `name="iss"`) != 1 || !strings.Contains(form, `value="`+p.url+`"`) {
		t.Errorf("form_post: %s", form)
	}
	// The issuer does not follow the Host that a peer names.
	r := p.person(t, "ana").get("/.well-known/openid-configuration", "X-Forwarded-Host", "evil.example")
	if strings.Contains(r.body, "evil.example") {
		t.Errorf("discovery %s", r.body)
	}
}

// A token that names no algorithm, or one of another kind, is refused at every endpoint.
func TestOIDC_Attack_AlgNone(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	tokens := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
	idToken := tokens["id_token"].(string)
	signature := idToken[strings.LastIndexByte(idToken, '.')+1:]
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"None"}`, `{"alg":"NONE","typ":"JWT"}`, `{"alg":""}`, `{"alg":"HS256"}`, `{}`} {
		for _, mark := range []string{"", signature, base64.RawURLEncoding.EncodeToString([]byte("x"))} {
			token := forge(t, idToken, header, mark)
			if r := b.userinfo(token); r.StatusCode != http.StatusUnauthorized {
				t.Errorf("userinfo of %s: %s", header, r.Status)
			}
			if b.isActive(token) {
				t.Errorf("%s is active", header)
			}
			wantError(t, b.token(refreshForm(token)), http.StatusBadRequest, "invalid_grant")
			wantNoRedirect(t, b.get("/oauth/end_session?"+url.Values{"id_token_hint": {token}, "post_logout_redirect_uri": {"https://grafana.example.com/"}}.Encode()))
			wantRedirectError(t, p, b.authorize("id_token_hint", token), "invalid_request")
		}
	}
	// An ID token is no access token either, although its signature is good.
	if r := b.userinfo(idToken); r.StatusCode != http.StatusUnauthorized || b.isActive(idToken) {
		t.Errorf("an ID token as an access token: %s", r.Status)
	}
}
