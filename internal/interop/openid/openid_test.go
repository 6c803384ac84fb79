// Package openid_test signs people in to applications of other authors, through the
// built gateway as their OpenID Provider, with a browser and the local WeChat.
package openid_test

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

const secret = "a secret of thirty-two characters"

// gatewayFor runs a gateway whose only client has this redirect URI.
func gatewayFor(t *testing.T, port int, origin, secretFile, more string) string {
	t.Helper()
	dir := t.TempDir()
	yaml := fmt.Sprintf(`
issuer: http://127.0.0.1:%d
clients:
  - id: app
    name: Notes
    redirect-uris: [%s/callback]
    logout-redirect-uris: [%s/bye]
    scopes: [openid, profile, wechat, offline_access]
%s%s`, port, origin, origin, secretFile, more)
	for name, text := range map[string]string{"posthouse.yaml": yaml, "app.secret": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base, _ := testenv.GatewayAt(t, port, "POSTHOUSE_CONFIG="+filepath.Join(dir, "posthouse.yaml"))
	return base
}

// signIn lets a person sign in by a browser and returns what the application shows.
func signIn(t *testing.T, start, gateway, person string) string {
	t.Helper()
	return testenv.Node(t, 2*time.Minute, filepath.Join("testdata", "signin.mjs"), start, gateway, person, os.Getenv("POSTHOUSE_TEST_SCREENSHOTS"))
}

// application is a relying party of github.com/coreos/go-oidc and golang.org/x/oauth2.
type application struct {
	t        *testing.T
	verifier string
	results  chan map[string]any

	ready    chan struct{} // closed when the fields below are set: they need the server's address
	config   oauth2.Config
	provider *gooidc.Provider
}

const (
	state = "state of the application"
	nonce = "nonce of the application"
)

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	<-a.ready
	switch r.URL.Path {
	case "/start":
		http.Redirect(w, r, a.config.AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(a.verifier)), http.StatusFound)
	case "/callback":
		result, err := a.answer(r)
		if err != nil {
			a.t.Error(err)
			result = map[string]any{"error": err.Error()}
		}
		a.results <- result
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>in</title><p id="result">%s</p>`, template.HTMLEscapeString(fmt.Sprint(result["sub"])))
	}
}

func (a *application) answer(r *http.Request) (map[string]any, error) {
	ctx := r.Context()
	if r.FormValue("state") != state || r.FormValue("error") != "" {
		return nil, fmt.Errorf("answer %s", r.URL)
	}
	tokens, err := a.config.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, err
	}
	raw, _ := tokens.Extra("id_token").(string)
	idToken, err := a.provider.Verifier(&gooidc.Config{ClientID: a.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if idToken.Nonce != nonce {
		return nil, fmt.Errorf("nonce %q", idToken.Nonce)
	}
	if err := idToken.VerifyAccessToken(tokens.AccessToken); err != nil {
		return nil, err
	}
	claims := map[string]any{}
	if err := idToken.Claims(&claims); err != nil {
		return nil, err
	}
	info, err := a.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return nil, err
	}
	if info.Subject != idToken.Subject {
		return nil, fmt.Errorf("userinfo is of %q", info.Subject)
	}
	old := *tokens
	old.Expiry = time.Now().Add(-time.Hour) // oauth2 refreshes
	fresh, err := a.config.TokenSource(ctx, &old).Token()
	if err != nil {
		return nil, err
	}
	if fresh.RefreshToken == tokens.RefreshToken {
		return nil, fmt.Errorf("the refresh token did not rotate")
	}
	if _, err := a.provider.UserInfo(ctx, oauth2.StaticTokenSource(fresh)); err != nil {
		return nil, err
	}
	claims["raw"] = raw
	return claims, nil
}

// Discovery, code flow, userinfo, refresh and logout by Go's relying party.
func TestOIDC_RelyingParty_GoOIDC(t *testing.T) {
	testenv.NodeDir(t)
	testenv.Need(t, "chromium")
	for _, algorithm := range []string{"RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			app := &application{t: t, verifier: oauth2.GenerateVerifier(), results: make(chan map[string]any, 8), ready: make(chan struct{})}
			server := httptest.NewServer(app)
			defer server.Close()
			base := gatewayFor(t, testenv.FreePort(t), server.URL, "    secret-file: app.secret\n", "    id-token-signed-response-alg: "+algorithm+"\n")
			provider, err := gooidc.NewProvider(t.Context(), base)
			if err != nil {
				t.Fatal(err)
			}
			app.provider = provider
			app.config = oauth2.Config{
				ClientID: "app", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: server.URL + "/callback",
				Scopes: []string{gooidc.ScopeOpenID, "profile", "wechat", gooidc.ScopeOfflineAccess},
			}
			close(app.ready)
			out := signIn(t, server.URL+"/start", base, "ana")
			claims := <-app.results
			if sub, _ := claims["sub"].(string); sub == "" || !strings.Contains(out, sub) || claims["openid"] != sub {
				t.Errorf("the browser shows %q, claims %v", out, claims)
			}
			var doc struct {
				EndSession string `json:"end_session_endpoint"`
			}
			if err := provider.Claims(&doc); err != nil {
				t.Fatal(err)
			}
			leave(t, doc.EndSession+"?id_token_hint="+claims["raw"].(string)+"&post_logout_redirect_uri="+server.URL+"/bye&state=s", server.URL+"/bye?state=s")
		})
	}
}

// leave opens a logout and checks where it leads.
func leave(t *testing.T, from, want string) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	client.CloseIdleConnections()
	if got := r.Header.Get("Location"); got != want {
		t.Errorf("logout leads to %q, want %q (%s)", got, want, r.Status)
	}
}

// The same by npm's openid-client, with a secret and without one.
func TestOIDC_RelyingParty_OpenIDClient(t *testing.T) {
	node := testenv.NodeDir(t, "openid-client")
	testenv.Need(t, "chromium")
	for name, c := range map[string]struct{ secretFile, secret string }{
		"confidential": {"    secret-file: app.secret\n", secret}, "public": {},
	} {
		t.Run(name, func(t *testing.T) {
			port := testenv.FreePort(t)
			origin := "http://127.0.0.1:" + strconv.Itoa(port)
			base := gatewayFor(t, testenv.FreePort(t), origin, c.secretFile, "")
			app := testenv.Start(t, []string{"NODE_PATH=" + filepath.Join(node, "node_modules")}, "node",
				filepath.Join("testdata", "application.mjs"), strconv.Itoa(port), base, "app", c.secret)
			testenv.Until(t, 20*time.Second, "the application listens", func() bool { return strings.Contains(app.Output(), "listening") })
			out := signIn(t, origin+"/start", base, "ana")
			var result struct {
				Claims, Info                      map[string]any
				Refreshed, Active, Revoked, MixUp bool
				Logout                            string
			}
			if err := json.Unmarshal([]byte(strings.TrimSpace(strings.SplitN(out, "\n", 2)[0])), &result); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, app.Output())
			}
			if result.Claims["sub"] == "" || result.Claims["sub"] != result.Info["openid"] || !result.Refreshed || !result.MixUp {
				t.Errorf("result %+v", result)
			}
			if c.secret != "" && (!result.Active || !result.Revoked) {
				t.Errorf("introspection: %+v", result)
			}
			leave(t, result.Logout, origin+"/bye?state=s")
		})
	}
}
