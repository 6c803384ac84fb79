package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestOIDC_Token_ClientAuthentication(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	bare := func(code string) url.Values { return exchangeForm(code, "client_id", "", "client_secret", "") }
	if r := b.token(bare(b.code()), "Authorization", basic("grafana", clientSecret)); r.StatusCode != http.StatusOK {
		t.Errorf("client_secret_basic: %s %s", r.Status, r.body)
	}
	plain := "Basic " + base64.StdEncoding.EncodeToString([]byte("grafana:"+clientSecret))
	if r := b.token(bare(b.code()), "Authorization", plain); r.StatusCode != http.StatusOK {
		t.Errorf("client_secret_basic without encoding: %s %s", r.Status, r.body)
	}
	wrong := b.token(bare(b.code()), "Authorization", basic("grafana", "wrong"))
	wantError(t, wrong, http.StatusUnauthorized, "invalid_client")
	if !strings.HasPrefix(wrong.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("WWW-Authenticate %q", wrong.Header.Get("WWW-Authenticate"))
	}
	wantError(t, b.token(exchangeForm(b.code()), "Authorization", plain), http.StatusBadRequest, "invalid_request")
	wantError(t, b.token(exchangeForm(b.code(), "client_secret", "")), http.StatusUnauthorized, "invalid_client")
	wantError(t, b.token(exchangeForm(b.code(), "client_id", "nobody")), http.StatusUnauthorized, "invalid_client")
	wantError(t, b.token(bare(b.code())), http.StatusUnauthorized, "invalid_client")
	inURL := b.do(http.MethodPost, "/oauth/token?client_secret="+url.QueryEscape(clientSecret), exchangeForm(b.code(), "client_secret", ""))
	wantError(t, inURL, http.StatusUnauthorized, "invalid_client")
	twice := exchangeForm(b.code())
	twice.Add("code", "x")
	wantError(t, b.token(twice), http.StatusBadRequest, "invalid_request")
	if r := b.get("/oauth/token"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s", r.Status)
	}

	// A client without a secret proves itself by its verifier; its ID token is EdDSA.
	spa := []string{"client_id", "spa", "redirect_uri", "https://spa.example.com/cb"}
	tokens := b.tokens(exchangeForm(b.code(spa...), append(spa, "client_secret", "")...))
	if header, _ := claimsIn(t, tokens["id_token"]); header["alg"] != "EdDSA" || tokens["refresh_token"] != nil {
		t.Errorf("header %v", header)
	}
	wantError(t, b.token(exchangeForm(b.code(spa...), spa...)), http.StatusUnauthorized, "invalid_client")
}

func TestOIDC_Userinfo_RefusesWhatIsNoToken(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	tokens := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
	for _, token := range []any{"", "junk", strings.Repeat("A", 64), tokens["refresh_token"], tokens["id_token"]} {
		r := b.userinfo(token)
		wantError(t, r, http.StatusUnauthorized, "invalid_token")
		if !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("WWW-Authenticate %q", r.Header.Get("WWW-Authenticate"))
		}
	}
	access := tokens["access_token"].(string)
	if r := b.do(http.MethodPost, "/oauth/userinfo", url.Values{"access_token": {access}}); r.StatusCode != http.StatusOK {
		t.Errorf("POST: %s", r.Status)
	}
	wantError(t, b.get("/oauth/userinfo?access_token="+access), http.StatusUnauthorized, "invalid_token")
	wantError(t, b.do(http.MethodPost, "/oauth/userinfo", url.Values{"access_token": {access}}, "Authorization", "Bearer "+access), http.StatusBadRequest, "invalid_request")
}

// A code that the browser was given twice, because it came again, is good once.
func TestOIDC_Continue_AgainKillsTheEarlierCode(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	page := b.openLogin(b.authorize())
	b.finish(page["request"], b.scanCode(page["challenge"]))
	first := b.get("/oauth/continue?request=" + page["request"]).location(t).Query().Get("code")
	second := b.get("/oauth/continue?request=" + page["request"]).location(t).Query().Get("code")
	wantError(t, b.token(exchangeForm(first)), http.StatusBadRequest, "invalid_grant")
	b.tokens(exchangeForm(second))
	if r := b.get("/oauth/continue?request=" + page["request"]); r.StatusCode != http.StatusBadRequest {
		t.Errorf("a sign-in that is over goes on: %s", r.Status)
	}
	if r := b.get("/login?request=" + page["request"]); r.StatusCode != http.StatusBadRequest || strings.Contains(r.body, `id="qr"`) {
		t.Errorf("the page of a sign-in that is over: %s", r.Status)
	}
	for _, junk := range []string{"", "x", strings.Repeat("A", 64)} {
		if r := b.get("/login?request=" + junk); r.StatusCode != http.StatusBadRequest {
			t.Errorf("request %q: %s", junk, r.Status)
		}
	}
}
