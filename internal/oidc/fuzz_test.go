package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	fuzzRedirect = "https://app.example.com/cb"
	fuzzLogout   = "https://app.example.com/bye"
	fuzzSecret   = "a secret of thirty-two characters"
)

func newFuzzProvider(f *testing.F) http.Handler {
	key, _, err := GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	p, err := New(Options{
		Issuer: "https://login.example.com", Store: NewMemory(), TokenLife: time.Minute, Logger: slog.New(slog.DiscardHandler),
		Clients: []Client{{ID: "app", Secret: fuzzSecret, Name: "App", RedirectURIs: []string{fuzzRedirect}, LogoutRedirectURIs: []string{fuzzLogout},
			Account: "default", Algorithm: "RS256", Scopes: []string{"openid", "offline_access"}}},
		Keys:   []Key{key},
		JWKS:   func(context.Context) ([]byte, error) { return []byte(`{"keys":[]}`), nil },
		SignIn: func(context.Context, SignIn) (Identity, error) { return Identity{Subject: "ana"}, nil },
		Notice: func(w http.ResponseWriter, _ *http.Request, status int, _ Notice) { w.WriteHeader(status) },
	})
	if err != nil {
		f.Fatal(err)
	}
	routes := http.NewServeMux()
	for _, route := range p.Routes() {
		routes.Handle(route.Path, route.Handler)
	}
	return routes
}

// FuzzToken sends any form to the token endpoint, which has issued nothing: the answer is an
// error of RFC 6749 with its status, and no token.
func FuzzToken(f *testing.F) {
	h := newFuzzProvider(f)
	good := "client_id=app&client_secret=a+secret+of+thirty-two+characters"
	for _, s := range []string{
		good + "&grant_type=authorization_code&code=x&redirect_uri=https://app.example.com/cb&code_verifier=y", good + "&grant_type=refresh_token&refresh_token=x",
		good, good + "&client_id=app", "", "%zz", "grant_type=password", good + "&grant_type=refresh_token&refresh_token=" + newRefreshSecret(make([]byte, idSize), make([]byte, familySize)),
	} {
		f.Add(s, "")
	}
	f.Add("grant_type=refresh_token", "Basic YXBwOmE=")
	f.Fuzz(func(t *testing.T, form, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var told map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		if code, _ := told["error"].(string); code == "" || told["access_token"] != nil || w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("Cache-Control %q", w.Header().Get("Cache-Control"))
		}
	})
}

// FuzzAuthorize sends any query to the authorization endpoint: a browser is sent to the client's
// own address, with an error or not, or to the login page, and nowhere else.
func FuzzAuthorize(f *testing.F) {
	h := newFuzzProvider(f)
	for _, s := range []string{
		"client_id=app&redirect_uri=https://app.example.com/cb&response_type=code&scope=openid&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
		"client_id=app&redirect_uri=https://app.example.com/cb&response_type=token", "client_id=app&redirect_uri=https://evil.example.com/", "client_id=app&redirect_uri=https://app.example.com/cb&redirect_uri=https://evil.example.com",
		"client_id=app&redirect_uri=https://app.example.com/cb&response_type=code&scope=openid&prompt=none&state=%0d%0a", "client_id=app&redirect_uri=https://app.example.com/cb%0a", "", "%zz",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/oauth/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if to := w.Header().Get("Location"); to != "" {
			u, err := url.Parse(to)
			if err != nil || !strings.HasPrefix(to, fuzzRedirect+"?") && !(u.Host == "" && u.Scheme == "" && strings.HasPrefix(to, "/login")) {
				t.Fatalf("a browser is sent to %q, %v", to, err)
			}
			if u.Query().Get("code") != "" {
				t.Fatalf("a code without a login: %q", to)
			}
		}
	})
}

// FuzzSecret reads codes and tokens: what is accepted is their one spelling.
func FuzzSecret(f *testing.F) {
	f.Add(newSecret(make([]byte, idSize)))
	f.Add(newRefreshSecret(make([]byte, idSize), make([]byte, familySize)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := recordOf(s); ok && (len(id) != idSize || !strings.HasPrefix(s, encode(id)[:len(encode(id))-1])) {
			t.Fatalf("%q: %x", s, id)
		}
		if id, family, ok := familyOf(s); ok {
			raw, good := decode(s, idSize+familySize+secretSize)
			if !good || encode(raw) != s || !bytes.HasPrefix(raw, append(append([]byte{}, id...), family...)) {
				t.Fatalf("%q: %x %x", s, id, family)
			}
		}
	})
}
