package oidc_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/internal/oidc"
)

const (
	issuer   = "https://login.example.com"
	redirect = "https://app.example.com/cb"
	secret   = "a secret of thirty-two characters"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// awayStore is a store that can be away.
type awayStore struct {
	oidc.Store
	away atomic.Bool
}

func (s *awayStore) Load(ctx context.Context, key string) (oidc.Entry, error) {
	if s.away.Load() {
		return oidc.Entry{}, oidc.ErrUnavailable
	}
	return s.Store.Load(ctx, key)
}

// rig is a provider without a network: its handlers are called directly, so that time may
// be a bubble's.
type rig struct {
	t       *testing.T
	p       *oidc.Provider
	store   *awayStore
	routes  *http.ServeMux
	cookies []*http.Cookie
	person  string
}

func newRig(t *testing.T, change func(*oidc.Options)) *rig {
	t.Helper()
	r := &rig{t: t, store: &awayStore{Store: oidc.NewMemory()}, routes: http.NewServeMux(), person: "ana"}
	o := oidc.Options{
		Issuer: issuer, Store: r.store, TokenLife: 15 * time.Minute, Logger: slog.New(slog.DiscardHandler),
		Clients: []oidc.Client{{
			ID: "app", Secret: secret, Name: "App", RedirectURIs: []string{redirect}, Account: "default", Algorithm: "RS256",
			Scopes: []string{"openid", "offline_access"},
		}},
		Keys: testKeys(t),
		JWKS: func(ctx context.Context) ([]byte, error) { return r.p.AppendJWKS(ctx, []byte(`{"keys":[]}`)) },
		SignIn: func(_ context.Context, q oidc.SignIn) (oidc.Identity, error) {
			return oidc.Identity{Subject: r.person, AppID: "wx", OpenID: r.person, JTI: q.Code, AuthTime: time.Now()}, nil
		},
		Notice: func(w http.ResponseWriter, _ *http.Request, status int, n oidc.Notice) {
			w.Header().Set("X-Notice", n.Word)
			w.WriteHeader(status)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.p, err = oidc.New(o); err != nil {
		t.Fatal(err)
	}
	for _, route := range r.p.Routes() {
		r.routes.Handle(route.Path, route.Handler)
	}
	return r
}

var keyTexts = map[string]string{}

// testKeys are RSA keys made once.
func testKeys(t *testing.T) []oidc.Key {
	t.Helper()
	if keyTexts["rsa"] == "" {
		_, text, err := oidc.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		keyTexts["rsa"] = text
	}
	keys, err := oidc.ParseKeys(keyTexts["rsa"])
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (r *rig) do(method, target, contentType, body string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	q := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	for _, c := range r.cookies {
		q.AddCookie(c)
	}
	w := httptest.NewRecorder()
	r.routes.ServeHTTP(w, q)
	r.cookies = append(r.cookies, w.Result().Cookies()...) // a recorder's
	return w
}

func (r *rig) authorize(more ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {"app"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid offline_access"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return r.do(http.MethodGet, "/oauth/authorize?"+q.Encode(), "", "")
}

func (r *rig) finish(request string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do(http.MethodPost, "/oauth/finish", "application/json", `{"request":"`+request+`","code":"`+request+`"}`)
}

// request is the id of a new request.
func (r *rig) request() string {
	r.t.Helper()
	w := r.authorize()
	id, ok := strings.CutPrefix(w.Header().Get("Location"), "/login?request=")
	if !ok {
		r.t.Fatalf("authorize: %d %s", w.Code, w.Header().Get("Location"))
	}
	return id
}

// code signs the person in up to the code.
func (r *rig) code() string {
	r.t.Helper()
	id := r.request()
	if w := r.finish(id); w.Code != http.StatusOK {
		r.t.Fatalf("finish: %d %s", w.Code, w.Body)
	}
	return r.goOn(id).Get("code")
}

func (r *rig) goOn(id string) url.Values {
	r.t.Helper()
	w := r.do(http.MethodGet, "/oauth/continue?request="+id, "", "")
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Query()
}

func (r *rig) post(path string, pairs ...string) (int, map[string]any) {
	r.t.Helper()
	form := url.Values{"client_id": {"app"}, "client_secret": {secret}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	w := r.do(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode())
	var fields map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &fields)
	return w.Code, fields
}

func (r *rig) exchange(code string) (int, map[string]any) {
	r.t.Helper()
	return r.post("/oauth/token", "grant_type", "authorization_code", "code", code, "redirect_uri", redirect, "code_verifier", verifier)
}

func (r *rig) refresh(token any) (int, map[string]any) {
	r.t.Helper()
	return r.post("/oauth/token", "grant_type", "refresh_token", "refresh_token", token.(string))
}

func (r *rig) isActive(token any) bool {
	r.t.Helper()
	_, fields := r.post("/oauth/introspect", "token", token.(string))
	return fields["active"] == true
}
