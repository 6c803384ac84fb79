package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// claimsIn reads the claims of a JWT without checking it.
func claimsIn(t *testing.T, token any) (header, claims map[string]any) {
	t.Helper()
	text, _ := token.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %q", text)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func TestOIDC_Flow_FromDiscoveryToLogout(t *testing.T) {
	eachProvider(t, "", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		answer := b.logIn("scope", "openid profile wechat offline_access unknown")
		to := answer.location(t)
		if q := to.Query(); q.Get("state") != "st4te" || q.Get("iss") != p.url || to.Host != "grafana.example.com" {
			t.Fatalf("answer %s", to)
		}
		tokens := b.tokens(exchangeForm(to.Query().Get("code")))
		if tokens["token_type"] != "Bearer" || tokens["expires_in"] != 900.0 || tokens["scope"] != "openid profile wechat offline_access" {
			t.Errorf("token answer %v", tokens)
		}
		header, claims := claimsIn(t, tokens["id_token"])
		if header["alg"] != "RS256" || header["kid"] == "" {
			t.Errorf("header %v", header)
		}
		for name, want := range map[string]any{
			"iss": p.url, "sub": "ana", "nonce": "n0nce", "acr": "wechat_oa", "openid": "ana", "email": "ana@wechat.invalid",
			"appid": p.accounts.inOrder[0].AppID,
		} {
			if claims[name] != want {
				t.Errorf("claim %s is %v, want %v", name, claims[name], want)
			}
		}
		if aud, ok := claims["aud"].([]any); (!ok || len(aud) != 1 || aud[0] != "grafana") && claims["aud"] != "grafana" {
			t.Errorf("aud %v", claims["aud"])
		}
		if claims["auth_time"] == nil || claims["at_hash"] == nil || claims["nickname"] != nil {
			t.Errorf("claims %v", claims)
		}
		info := b.userinfo(tokens["access_token"])
		if f := info.json(t); info.StatusCode != http.StatusOK || f["sub"] != "ana" || f["openid"] != "ana" || f["email"] != "ana@wechat.invalid" {
			t.Errorf("userinfo %s %s", info.Status, info.body)
		}
		if !b.isActive(tokens["access_token"]) || !b.isActive(tokens["refresh_token"]) {
			t.Error("tokens are not active")
		}

		again := b.tokens(refreshForm(tokens["refresh_token"]))
		if _, c := claimsIn(t, again["id_token"]); c["sub"] != "ana" || c["auth_time"] != claims["auth_time"] {
			t.Errorf("refreshed claims %v", c)
		}
		if r := b.userinfo(again["access_token"]); r.StatusCode != http.StatusOK {
			t.Errorf("userinfo after refresh: %s", r.Status)
		}
		out := b.get("/oauth/end_session?" + url.Values{
			"id_token_hint": {again["id_token"].(string)}, "post_logout_redirect_uri": {"https://grafana.example.com/"}, "state": {"a b&c"},
		}.Encode())
		if got := out.Header.Get("Location"); got != "https://grafana.example.com/?state=a+b%26c" {
			t.Errorf("logout leads to %q", got)
		}
	})
}

func TestOIDC_Discovery_SaysWhatIsTrue(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	r := b.get("/.well-known/openid-configuration")
	if r.Header.Get("Cache-Control") != "max-age=3600" || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("header %v", r.Header)
	}
	doc := r.json(t)
	for name, want := range map[string]string{
		"issuer":                                         `"` + p.url + `"`,
		"authorization_endpoint":                         `"` + p.url + `/oauth/authorize"`,
		"token_endpoint":                                 `"` + p.url + `/oauth/token"`,
		"userinfo_endpoint":                              `"` + p.url + `/oauth/userinfo"`,
		"revocation_endpoint":                            `"` + p.url + `/oauth/revoke"`,
		"introspection_endpoint":                         `"` + p.url + `/oauth/introspect"`,
		"end_session_endpoint":                           `"` + p.url + `/oauth/end_session"`,
		"jwks_uri":                                       `"` + p.url + `/.well-known/jwks.json"`,
		"response_types_supported":                       `["code"]`,
		"response_modes_supported":                       `["query","form_post"]`,
		"grant_types_supported":                          `["authorization_code","refresh_token"]`,
		"subject_types_supported":                        `["public"]`,
		"code_challenge_methods_supported":               `["S256"]`,
		"token_endpoint_auth_methods_supported":          `["client_secret_basic","client_secret_post","none"]`,
		"id_token_signing_alg_values_supported":          `["RS256","EdDSA"]`,
		"request_parameter_supported":                    `false`,
		"request_uri_parameter_supported":                `false`,
		"authorization_response_iss_parameter_supported": `true`,
		"ui_locales_supported":                           `["en","zh-CN"]`,
	} {
		if got, _ := json.Marshal(doc[name]); string(got) != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	var algorithms []string
	for _, k := range b.get("/.well-known/jwks.json").json(t)["keys"].([]any) {
		algorithms = append(algorithms, k.(map[string]any)["alg"].(string))
	}
	if slices.Sort(algorithms); !slices.Equal(algorithms, []string{"EdDSA", "RS256"}) {
		t.Errorf("JWKS %v", algorithms)
	}
}

// Without clients the routes are not there.
func TestOIDC_Off_RoutesAre404(t *testing.T) {
	app, err := New(ReadSettings([]string{"--addr=127.0.0.1:0"}, nil, nil).Config)
	if err != nil {
		t.Fatal(err)
	}
	defer app.releaseBound()
	for _, path := range []string{
		"/.well-known/openid-configuration", "/oauth/authorize", "/oauth/token", "/oauth/userinfo", "/oauth/revoke",
		"/oauth/introspect", "/oauth/end_session", "/oauth/finish", "/oauth/continue",
	} {
		w := httptest.NewRecorder()
		app.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestOIDC_Authorize_PromptMaxAgeAndModes(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	wantRedirectError(t, p, b.authorize("prompt", "none"), "login_required")
	for name, pairs := range map[string][]string{
		"prompt none and login":      {"prompt", "none login"},
		"unknown prompt":             {"prompt", "create"},
		"max_age is no number":       {"max_age", "-1"},
		"fragment":                   {"response_mode", "fragment"},
		"no response_type":           {"response_type", ""},
		"plain challenge":            {"code_challenge_method", "plain"},
		"challenge without a method": {"code_challenge_method", ""},
		"method without a challenge": {"code_challenge", ""},
		"challenge of another shape": {"code_challenge", "short"},
	} {
		t.Run(name, func(t *testing.T) { wantRedirectError(t, p, p.person(t, "ana").authorize(pairs...), "invalid_request") })
	}
	wantRedirectError(t, p, b.authorize("response_type", "token"), "unsupported_response_type")
	wantRedirectError(t, p, b.authorize("response_type", "code id_token"), "unsupported_response_type")
	wantRedirectError(t, p, b.authorize("scope", "profile"), "invalid_scope")
	wantRedirectError(t, p, b.authorize("scope", ""), "invalid_scope")
	wantRedirectError(t, p, b.authorize("request", "e30.e30."), "request_not_supported")
	wantRedirectError(t, p, b.authorize("request_uri", "https://evil.example"), "request_uri_not_supported")
	wantRedirectError(t, p, b.get("/oauth/authorize?"+wishFor().Encode()+"&nonce=two"), "invalid_request")

	// A client without a secret must use PKCE.
	spa := []string{"client_id", "spa", "redirect_uri", "https://spa.example.com/cb"}
	wantRedirectError(t, p, b.authorize(append(spa, "code_challenge", "", "code_challenge_method", "")...), "invalid_request")

	form := b.logIn("response_mode", "form_post")
	if form.StatusCode != http.StatusOK || !strings.Contains(form.body, `action="https://grafana.example.com/login/generic_oauth"`) ||
		!strings.Contains(form.body, `name="state" value="st4te"`) || !strings.Contains(form.body, `name="iss"`) || !strings.Contains(form.body, `name="code"`) {
		t.Errorf("form_post: %s %s", form.Status, form.body)
	}
	refused := b.authorize("response_mode", "form_post", "prompt", "none")
	if !strings.Contains(refused.body, `name="error" value="login_required"`) {
		t.Errorf("form_post error: %s", refused.body)
	}

	// POST is GET with a body, and the page speaks the language of ui_locales.
	posted := b.do(http.MethodPost, "/oauth/authorize", wishFor("ui_locales", "fr zh-CN en"))
	page := b.get(posted.location(t).String(), "Accept-Language", "en")
	if !strings.Contains(page.body, `lang="zh-CN"`) || !strings.Contains(page.body, "登录 Grafana") || !strings.Contains(page.body, "grafana.example.com") {
		t.Errorf("page: %s", page.body)
	}
	// A query of the redirect URI stays as it is.
	kept := b.logIn("redirect_uri", "https://grafana.example.com/cb?keep=a%20b")
	if got := kept.Header.Get("Location"); !strings.HasPrefix(got, "https://grafana.example.com/cb?keep=a%20b&code=") {
		t.Errorf("answer %s", got)
	}
}

func TestOIDC_Session_SignsInWithoutAScan(t *testing.T) {
	eachProvider(t, "session: {age: 8h}\n", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		first := b.tokens(exchangeForm(b.code()))
		silent := b.authorize("prompt", "none").location(t)
		second := b.tokens(exchangeForm(silent.Query().Get("code")))
		_, c1 := claimsIn(t, first["id_token"])
		_, c2 := claimsIn(t, second["id_token"])
		if c2["sub"] != "ana" || c1["auth_time"] != c2["auth_time"] {
			t.Errorf("claims %v", c2)
		}
		if got := b.authorize("prompt", "login").location(t); got.Path != "/login" {
			t.Errorf("prompt=login leads to %s", got)
		}
		wantRedirectError(t, p, b.authorize("prompt", "none", "max_age", "0"), "login_required")
		wantRedirectError(t, p, p.person(t, "eve").authorize("prompt", "none"), "login_required")
		// The hint of another person does not fit the session.
		eve := p.person(t, "eve")
		hint := eve.tokens(exchangeForm(eve.code()))["id_token"].(string)
		wantRedirectError(t, p, b.authorize("prompt", "none", "id_token_hint", hint), "login_required")

		if r := b.get("/oauth/end_session"); r.StatusCode != http.StatusOK {
			t.Errorf("end_session: %s", r.Status)
		}
		wantRedirectError(t, p, b.authorize("prompt", "none"), "login_required")
	})
}

// A sign-in that is taken back ends what came of it.
func TestOIDC_Revoked_NotMeAndUnfollowEndTokensAndSessions(t *testing.T) {
	eachProvider(t, "session: {age: 8h}\n", func(t *testing.T, p *provider) {
		appID := p.accounts.inOrder[0].AppID
		for name, takeBack := range map[string]func(openID string) error{
			"not me": func(openID string) error {
				_, _, err := p.loginService.Deny(t.Context(), appID, openID, time.Now())
				return err
			},
			"unfollow": func(openID string) error { return p.loginService.Forget(t.Context(), appID, openID, time.Now()) },
		} {
			t.Run(name, func(t *testing.T) {
				b := p.person(t, "who-"+strings.ReplaceAll(name, " ", "-"))
				tokens := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
				if err := takeBack(b.openID); err != nil {
					t.Fatal(err)
				}
				if b.isActive(tokens["access_token"]) || b.isActive(tokens["refresh_token"]) {
					t.Error("tokens are still active")
				}
				if r := b.userinfo(tokens["access_token"]); r.StatusCode != http.StatusUnauthorized {
					t.Errorf("userinfo: %s", r.Status)
				}
				wantError(t, b.token(refreshForm(tokens["refresh_token"])), http.StatusBadRequest, "invalid_grant")
				wantRedirectError(t, p, b.authorize("prompt", "none"), "login_required")
			})
		}
	})
}

func TestOIDC_Revoke_AccessAloneAndRefreshWithAll(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	revoke := func(token any, pairs ...string) reply {
		form := exchangeForm("", "grant_type", "", "code", "", "redirect_uri", "", "code_verifier", "")
		form.Set("token", token.(string))
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return b.do(http.MethodPost, "/oauth/revoke", form)
	}
	one := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
	if r := revoke(one["access_token"], "token_type_hint", "refresh_token"); r.StatusCode != http.StatusOK {
		t.Errorf("revoke: %s %s", r.Status, r.body)
	}
	if b.isActive(one["access_token"]) || !b.isActive(one["refresh_token"]) {
		t.Error("the access token alone ends")
	}
	two := b.tokens(refreshForm(one["refresh_token"]))
	wantError(t, revoke(two["refresh_token"], "client_id", "other"), http.StatusBadRequest, "invalid_grant")
	if !b.isActive(two["refresh_token"]) {
		t.Error("another client ended the token")
	}
	if r := revoke(two["refresh_token"]); r.StatusCode != http.StatusOK {
		t.Errorf("revoke: %s", r.Status)
	}
	if b.isActive(two["access_token"]) || b.isActive(two["refresh_token"]) {
		t.Error("a refresh token ends all")
	}
	for _, token := range []string{"unknown", two["refresh_token"].(string), strings.Repeat("A", 64)} {
		if r := revoke(token); r.StatusCode != http.StatusOK {
			t.Errorf("revoke of %q: %s %s", token, r.Status, r.body)
		}
	}
}

func TestOIDC_Introspect_IsForConfidentialClientsAndTheirTokens(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	tokens := b.tokens(exchangeForm(b.code()))
	ask := func(pairs ...string) reply {
		form := url.Values{"token": {tokens["access_token"].(string)}}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return b.do(http.MethodPost, "/oauth/introspect", form)
	}
	good := ask("client_id", "grafana", "client_secret", clientSecret).json(t)
	if good["active"] != true || good["sub"] != "ana" || good["client_id"] != "grafana" || good["scope"] != "openid profile" || good["exp"] == nil {
		t.Errorf("introspection %v", good)
	}
	if r := ask("client_id", "other", "client_secret", clientSecret); r.body != "{\"active\":false}\n" {
		t.Errorf("another client: %s", r.body)
	}
	wantError(t, ask("client_id", "spa"), http.StatusUnauthorized, "invalid_client")
	wantError(t, ask(), http.StatusUnauthorized, "invalid_client")
	wantError(t, ask("client_id", "grafana", "client_secret", "wrong"), http.StatusUnauthorized, "invalid_client")
}

// A person who leaves and comes back at once is another visit, also in the same second.
func TestOIDC_Revoked_AVisitAfterLeavingIsGood(t *testing.T) {
	eachProvider(t, "", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		appID := p.accounts.inOrder[0].AppID
		for range 3 { // some of them within one second
			before := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
			if err := p.loginService.Forget(t.Context(), appID, "ana", time.Unix(time.Now().Unix(), 0)); err != nil {
				t.Fatal(err)
			}
			after := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
			if b.isActive(before["access_token"]) || !b.isActive(after["access_token"]) {
				t.Errorf("before %v, after %v", b.isActive(before["access_token"]), b.isActive(after["access_token"]))
			}
		}
	})
}
