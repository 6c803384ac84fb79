package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// wantNoRedirect checks that an error stayed on a page of the gateway's own.
func wantNoRedirect(t *testing.T, r reply) {
	t.Helper()
	if r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" || !strings.Contains(r.body, "data-notice=") {
		t.Errorf("got %s, Location %q", r.Status, r.Header.Get("Location"))
	}
}

func TestOIDC_Attack_RedirectURIVariants(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "eve")
	const good = "https://grafana.example.com/login/generic_oauth"
	for _, uri := range []string{
		good + "/", "https://grafana.example.com/login/Generic_oauth", "https://GRAFANA.example.com/login/generic_oauth",
		"HTTPS://grafana.example.com/login/generic_oauth", "https://grafana.example.com:443/login/generic_oauth",
		"https://grafana.example.com/login/x/../generic_oauth", "https://grafana.example.com/login/%67eneric_oauth",
		"https://eve@grafana.example.com/login/generic_oauth", good + "#", good + "#x", good + "?", good + "?x=1", good + " ",
		" " + good, good + "%00", good + "\r\nSet-Cookie: a=b", "https://evil.example/login/generic_oauth",
		"http://grafana.example.com/login/generic_oauth", "//grafana.example.com/login/generic_oauth", "/login/generic_oauth",
		"https://grafana.example.com/cb", "https://other.example.com/cb", "javascript:alert(1)", "", "https://grafana.example.com.evil.example/login/generic_oauth",
	} {
		q := wishFor()
		q.Set("redirect_uri", uri)
		wantNoRedirect(t, b.get("/oauth/authorize?"+q.Encode()))
	}
	wantNoRedirect(t, b.authorize("redirect_uri", ""))
	wantNoRedirect(t, b.get("/oauth/authorize?"+wishFor().Encode()+"&redirect_uri="+url.QueryEscape(good)))
	wantNoRedirect(t, b.authorize("client_id", ""))
	wantNoRedirect(t, b.authorize("client_id", "Grafana"))
	wantNoRedirect(t, b.get("/oauth/authorize?"+wishFor().Encode()+"&client_id=grafana"))
	wantNoRedirect(t, b.get("/oauth/authorize?"+wishFor().Encode()+"&x=%zz"))
	// An error of the rest of the request does not loosen the comparison.
	wantNoRedirect(t, b.authorize("redirect_uri", "https://evil.example/", "scope", ""))
}

func TestOIDC_Attack_CodeReplay_EndsWhatTheCodeGave(t *testing.T) {
	eachProvider(t, "", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		code := b.code("scope", "openid offline_access")
		tokens := b.tokens(exchangeForm(code))
		wantError(t, b.token(exchangeForm(code)), http.StatusBadRequest, "invalid_grant")
		if b.isActive(tokens["access_token"]) || b.isActive(tokens["refresh_token"]) {
			t.Error("what the code gave is still good")
		}
		wantError(t, b.token(refreshForm(tokens["refresh_token"])), http.StatusBadRequest, "invalid_grant")
		wantError(t, b.token(exchangeForm(code)), http.StatusBadRequest, "invalid_grant")
	})
}

// Many replicas are asked for the same code at once: one answer at most has tokens, and
// no token outlives the replay.
func TestOIDC_Attack_CodeReplayAtOnce(t *testing.T) {
	eachProvider(t, "", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		code := b.code()
		answers := make([]reply, 8)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = b.token(exchangeForm(code)) })
		}
		all.Wait()
		given := 0
		for _, r := range answers {
			if r.StatusCode == http.StatusOK {
				given++
				if b.isActive(r.json(t)["access_token"]) {
					t.Error("a token outlives the replay")
				}
			}
		}
		if given != 1 {
			t.Errorf("the code gave tokens %d times", given)
		}
	})
}

func TestOIDC_Attack_RefreshTokenReplay_EndsTheFamily(t *testing.T) {
	eachProvider(t, "", func(t *testing.T, p *provider) {
		b := p.person(t, "ana")
		first := b.tokens(exchangeForm(b.code("scope", "openid offline_access")))
		second := b.tokens(refreshForm(first["refresh_token"]))
		if first["refresh_token"] == second["refresh_token"] {
			t.Error("the refresh token does not rotate")
		}
		third := b.tokens(refreshForm(second["refresh_token"], "scope", "openid"))
		if third["scope"] != "openid" {
			t.Errorf("narrowed scope %v", third["scope"])
		}
		wantError(t, b.token(refreshForm(third["refresh_token"], "scope", "openid wechat")), http.StatusBadRequest, "invalid_scope")
		wantError(t, b.token(refreshForm(third["refresh_token"], "client_id", "other")), http.StatusBadRequest, "invalid_grant")
		if !b.isActive(third["refresh_token"]) {
			t.Fatal("a refused request used the token up")
		}
		wantError(t, b.token(refreshForm(first["refresh_token"])), http.StatusBadRequest, "invalid_grant")
		for _, token := range []any{first["access_token"], second["access_token"], third["access_token"], third["refresh_token"]} {
			if b.isActive(token) {
				t.Error("a token of the family is still good")
			}
		}
	})
}

func TestOIDC_Attack_CodeOfAnotherClientOrURI(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	code := b.code()
	for name, form := range map[string]url.Values{
		"client":          exchangeForm(code, "client_id", "other"),
		"redirect URI":    exchangeForm(code, "redirect_uri", "https://grafana.example.com/cb?keep=a%20b"),
		"no code":         exchangeForm(strings.Repeat("A", 64)),
		"changed code":    exchangeForm(code[:len(code)-4] + "AAAA"),
		"access as code":  exchangeForm("x"),
		"no verifier":     exchangeForm(code, "code_verifier", ""),
		"wrong verifier":  exchangeForm(code, "code_verifier", appVerifier[1:]+"x"),
		"challenge as it": exchangeForm(code, "code_verifier", appChallenge),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, b.token(form), http.StatusBadRequest, "invalid_grant") })
	}
	wantError(t, b.token(exchangeForm(code, "redirect_uri", "")), http.StatusBadRequest, "invalid_request")
	wantError(t, b.token(exchangeForm("", "code", "")), http.StatusBadRequest, "invalid_request")
	wantError(t, b.token(exchangeForm(code, "grant_type", "")), http.StatusBadRequest, "invalid_request")
	for _, grant := range []string{"password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code"} {
		wantError(t, b.token(exchangeForm(code, "grant_type", grant)), http.StatusBadRequest, "unsupported_grant_type")
	}
	b.tokens(exchangeForm(code)) // nothing of it has hurt the owner
}

// A challenge that was stripped on the way is noticed, and a code is bound to one.
func TestOIDC_Attack_PKCEDowngrade(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	code := b.code("code_challenge", "", "code_challenge_method", "")
	wantError(t, b.token(exchangeForm(code)), http.StatusBadRequest, "invalid_grant")
	b.tokens(exchangeForm(code, "code_verifier", ""))
	wantRedirectError(t, p, b.authorize("code_challenge_method", "plain"), "invalid_request")
	wantRedirectError(t, p, b.authorize("code_challenge_method", "s256"), "invalid_request")
}

func TestOIDC_Attack_StateAndNonceUntouched_NoResponseSplitting(t *testing.T) {
	p := startProvider(t, "")
	for _, text := range []string{
		"a b+c&d=e#f?g", "\r\nSet-Cookie: a=b\r\n\r\n<script>", "状态\u202e", `"><script>alert(1)</script>`, "%0d%0aX: y", strings.Repeat("x", 2000), "\x00\x01",
	} {
		b := p.person(t, "ana")
		refused := b.authorize("state", text, "prompt", "none")
		if got := refused.location(t).Query().Get("state"); got != text {
			t.Errorf("state %q came back as %q", text, got)
		}
		answer := b.logIn("state", text, "nonce", text)
		to := answer.location(t)
		if got := to.Query().Get("state"); got != text || to.Host != "grafana.example.com" || len(answer.Cookies()) > 0 {
			t.Errorf("state %q came back as %q", text, got)
		}
		if _, claims := claimsIn(t, b.tokens(exchangeForm(to.Query().Get("code")))["id_token"]); claims["nonce"] != text {
			t.Errorf("nonce %q came back as %q", text, claims["nonce"])
		}
		form := p.person(t, "ana").authorize("state", text, "prompt", "none", "response_mode", "form_post")
		if strings.Contains(form.body, "<script>alert") || strings.Count(form.body, "<script>") != 1 {
			t.Errorf("form_post holds the state as markup: %s", form.body)
		}
	}
	// Without a state there is none in the answer.
	if q := p.person(t, "ana").authorize("state", "", "prompt", "none").location(t).Query(); q.Has("state") {
		t.Errorf("answer %v", q)
	}
}

// forge makes a token of a header and the claims of another one.
func forge(t *testing.T, idToken, header, signature string) string {
	t.Helper()
	parts := strings.Split(idToken, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + signature
}

func TestOIDC_Attack_ForgedHintsAndOpenRedirectByLogout(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	tokens := b.tokens(exchangeForm(b.code()))
	hint := tokens["id_token"].(string)
	header, _ := claimsIn(t, hint)
	kid, _ := json.Marshal(header["kid"])
	signature := hint[strings.LastIndexByte(hint, '.')+1:]
	leave := func(pairs ...string) reply {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Add(pairs[i], pairs[i+1])
		}
		return b.get("/oauth/end_session?" + q.Encode())
	}
	const good = "https://grafana.example.com/"
	for name, pairs := range map[string][]string{
		"alg none":               {"id_token_hint", forge(t, hint, `{"alg":"none"}`, ""), "post_logout_redirect_uri", good},
		"alg none with the kid":  {"id_token_hint", forge(t, hint, `{"alg":"none","kid":`+string(kid)+`}`, signature), "post_logout_redirect_uri", good},
		"HS256 by a public key":  {"id_token_hint", forge(t, hint, `{"alg":"HS256","kid":`+string(kid)+`}`, signature), "post_logout_redirect_uri", good},
		"no signature":           {"id_token_hint", hint[:strings.LastIndexByte(hint, '.')+1], "post_logout_redirect_uri", good},
		"junk":                   {"id_token_hint", "junk", "post_logout_redirect_uri", good},
		"junk alone":             {"id_token_hint", "junk"},
		"hint of another client": {"id_token_hint", hint, "client_id", "other", "post_logout_redirect_uri", good},
		"no client":              {"post_logout_redirect_uri", good},
		"unknown client":         {"client_id", "nobody", "post_logout_redirect_uri", good},
		"client without the URI": {"client_id", "other", "post_logout_redirect_uri", good},
		"URI not registered":     {"client_id", "grafana", "post_logout_redirect_uri", "https://evil.example/"},
		"URI with a suffix":      {"client_id", "grafana", "post_logout_redirect_uri", good + "x"},
		"URI without its slash":  {"client_id", "grafana", "post_logout_redirect_uri", "https://grafana.example.com"},
		"URI of a login":         {"client_id", "grafana", "post_logout_redirect_uri", "https://grafana.example.com/login/generic_oauth"},
		"URI twice":              {"client_id", "grafana", "post_logout_redirect_uri", good, "post_logout_redirect_uri", "https://evil.example/"},
		"line break in the URI":  {"client_id", "grafana", "post_logout_redirect_uri", good + "\r\nX: y"},
	} {
		t.Run(name, func(t *testing.T) { wantNoRedirect(t, leave(pairs...)) })
	}
	if r := leave(); r.StatusCode != http.StatusOK || r.Header.Get("Location") != "" {
		t.Errorf("nothing asked: %s", r.Status)
	}
	if r := leave("client_id", "grafana", "post_logout_redirect_uri", "https://grafana.example.com/bye?x=1", "state", "s"); r.Header.Get("Location") != "https://grafana.example.com/bye?x=1&state=s" {
		t.Errorf("logout leads to %q", r.Header.Get("Location"))
	}
	if r := leave("id_token_hint", hint); r.StatusCode != http.StatusOK {
		t.Errorf("hint alone: %s", r.Status)
	}
	wantRedirectError(t, p, b.authorize("id_token_hint", forge(t, hint, `{"alg":"none"}`, "")), "invalid_request")
}

// The id of a request is good in the browser that began it, and a login code for the
// request that it was made for.
func TestOIDC_Attack_LoginCSRF(t *testing.T) {
	p := startProvider(t, "")
	ana, eve := p.person(t, "ana"), p.person(t, "eve")
	link := eve.authorize().location(t).String() // what Eve sends to Ana
	r := ana.get(link)
	if r.StatusCode != http.StatusForbidden || strings.Contains(r.body, "data-challenge") || strings.Contains(r.body, `id="qr"`) {
		t.Errorf("the link in another browser: %s", r.Status)
	}
	mine := ana.openLogin(ana.authorize())
	theirs := eve.openLogin(eve.authorize())
	wantError(t, ana.finish(theirs["request"], ana.scanCode(theirs["challenge"])), http.StatusForbidden, "access_denied")
	// A code of a login elsewhere, and of another request, do not answer this one.
	wantError(t, eve.finish(theirs["request"], ana.scanCode(challengeFor(strings.Repeat("v", 43)))), http.StatusForbidden, "access_denied")
	wantError(t, eve.finish(theirs["request"], ana.scanCode(mine["challenge"])), http.StatusForbidden, "access_denied")
	if got := eve.get("/oauth/continue?request=" + theirs["request"]); got.location(t).Path != "/login" {
		t.Errorf("an unanswered request goes on to %s", got.Header.Get("Location"))
	}
	code := ana.scanCode(mine["challenge"])
	if r := ana.finish(mine["request"], code); r.StatusCode != http.StatusOK {
		t.Errorf("finish: %s %s", r.Status, r.body)
	}
	if r := ana.finish(mine["request"], code); r.StatusCode != http.StatusOK { // its answer was lost
		t.Errorf("finish again: %s %s", r.Status, r.body)
	}
	if r := eve.get("/oauth/continue?request=" + mine["request"]); r.StatusCode != http.StatusForbidden {
		t.Errorf("another browser goes on: %s", r.Status)
	}
	// Another person cannot answer a request that is answered.
	eveAgain := p.person(t, "eve")
	eveAgain.client = ana.client
	wantError(t, eveAgain.finish(mine["request"], eveAgain.scanCode(mine["challenge"])), http.StatusForbidden, "access_denied")
	// Pages of other sites cannot post here.
	body := strings.NewReader(`{"request":"` + mine["request"] + `","code":"x"}`)
	q, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/oauth/finish", body)
	q.Header.Set("Origin", "https://evil.example")
	answer, err := ana.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign origin: %s", answer.Status)
	}
}

func TestOIDC_Attack_TokenEndpointBruteForce(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "eve")
	code := b.code()
	limited := 0
	for range 200 {
		if r := b.token(exchangeForm(code, "client_secret", "guess")); r.StatusCode == http.StatusTooManyRequests {
			limited++
			if r.Header.Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		} else {
			wantError(t, r, http.StatusUnauthorized, "invalid_client")
		}
	}
	if limited < 100 {
		t.Errorf("%d of 200 guesses met the limit", limited)
	}
}

func TestOIDC_Attack_Clickjacking(t *testing.T) {
	p := startProvider(t, "")
	b := p.person(t, "ana")
	login := b.authorize()
	for name, r := range map[string]reply{
		"redirect": login, "login page": b.get(login.location(t).String()), "error page": b.authorize("client_id", "nobody"),
		"other browser": p.person(t, "eve").get(login.location(t).String()), "signed out": b.get("/oauth/end_session"),
		"form_post": b.authorize("prompt", "none", "response_mode", "form_post"),
	} {
		if !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.Header.Get("X-Frame-Options") != "DENY" ||
			r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: header %v", name, r.Header)
		}
	}
}

// What Redis keeps tells a reader neither secrets nor persons.
func TestOIDC_Redis_KeepsNoSecretInTheClear(t *testing.T) {
	server := startRedis(t)
	p := startProvider(t, "session: {age: 1h}\n", "--redis-url=redis://"+server.addr())
	b := p.person(t, "openid-of-ana")
	redirect := b.authorize("scope", "openid offline_access", "nonce", "nonce-of-ana")
	page := b.openLogin(redirect)
	b.finish(page["request"], b.scanCode(page["challenge"]))
	code := b.get("/oauth/continue?request=" + page["request"]).location(t).Query().Get("code")
	tokens := b.tokens(exchangeForm(code))
	secrets := []string{page["request"], code, tokens["access_token"].(string), tokens["refresh_token"].(string), "openid-of-ana", "nonce-of-ana"}
	ctx := t.Context()
	keys, err := p.redisClient.Keys(ctx, "posthouse:oidc:*").Result()
	if err != nil || len(keys) < 2 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for _, key := range keys {
		kept, err := p.redisClient.HGetAll(ctx, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if strings.Contains(key, secret) || strings.Contains(kept["d"], secret) {
				t.Errorf("%s holds %q", key, secret)
			}
		}
		if ttl := p.redisClient.TTL(ctx, key).Val(); ttl <= 0 {
			t.Errorf("%s does not expire", key)
		}
	}
}
