package oidc

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// send asks a handler, with a browser's cookies when there are some.
func send(h http.Handler, method, target, contentType, body, cookies string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantUncached checks what every answer of these endpoints promises.
func wantUncached(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= http.StatusInternalServerError || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d, Cache-Control %q: %s", w.Code, w.Header().Get("Cache-Control"), w.Body)
	}
}

// FuzzFinish posts any body to the endpoint of the login page's script, which has begun
// nothing: the answer is a refusal, and no browser goes on.
func FuzzFinish(f *testing.F) {
	h := newFuzzProvider(f)
	for _, s := range []string{
		`{"request":"x","code":"y"}`, `{"request":"` + newSecret(make([]byte, idSize)) + `","code":"y"}`, `{"code":"y"}`, `[]`, `null`, ``, `{"request":1}`,
		strings.Repeat("[", 20000), `{"request":"x","code":"y"} junk`, "\xff",
	} {
		f.Add(s, "")
	}
	f.Add(`{"request":"x","code":"y"}`, "__Host-posthouse-signin="+encode(make([]byte, secretSize)))
	f.Add(`{"request":"x","code":"y"}`, "__Host-posthouse-signin=; __Host-posthouse-signin=x")
	f.Fuzz(func(t *testing.T, body, cookies string) {
		w := send(h, http.MethodPost, "/oauth/finish", "application/json", body, cookies)
		wantUncached(t, w)
		var told map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told["error"] == nil || told["continue"] != nil ||
			w.Code != http.StatusBadRequest && w.Code != http.StatusForbidden {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzContinue opens any link of a request, with any cookies: a browser without an answered
// request is sent nowhere.
func FuzzContinue(f *testing.F) {
	h := newFuzzProvider(f)
	for _, s := range []string{"request=" + newSecret(make([]byte, idSize)), "request=x&request=y", "request=%0d%0aX:y", "", "%zz"} {
		f.Add(s, "__Host-posthouse-signin="+encode(make([]byte, secretSize)))
	}
	f.Fuzz(func(t *testing.T, query, cookies string) {
		w := send(h, http.MethodGet, "/oauth/continue?"+query, "", "", cookies)
		wantUncached(t, w)
		if w.Code != http.StatusBadRequest && w.Code != http.StatusForbidden || w.Header().Get("Location") != "" {
			t.Fatalf("%d %s", w.Code, w.Header().Get("Location"))
		}
	})
}

// FuzzLogout sends any query and any cookies to the end of a session: a browser is led to the
// client's own registered address alone.
func FuzzLogout(f *testing.F) {
	h := newFuzzProvider(f)
	for _, s := range []string{
		"", "client_id=app&post_logout_redirect_uri=https://app.example.com/bye&state=a%0d%0ab", "client_id=app&post_logout_redirect_uri=https://evil.example/",
		"post_logout_redirect_uri=https://app.example.com/bye", "id_token_hint=eyJhbGciOiJub25lIn0.e30.", "id_token_hint=a.b.c&client_id=app", "client_id=app&client_id=app", "%zz",
	} {
		f.Add(s, "")
		f.Add(s, "__Host-posthouse-session="+encode(make([]byte, idSize)))
	}
	f.Fuzz(func(t *testing.T, query, cookies string) {
		w := send(h, http.MethodGet, "/oauth/end_session?"+query, "", "", cookies)
		wantUncached(t, w)
		to := w.Header().Get("Location")
		if to == "" {
			return
		}
		rest, ok := strings.CutPrefix(to, fuzzLogout)
		if u, err := url.Parse(to); err != nil || !ok || rest != "" && !strings.HasPrefix(rest, "?state=") || u.Fragment != "" || strings.ContainsAny(to, "\r\n") {
			t.Fatalf("a browser is sent to %q, %v", to, err)
		}
	})
}

// FuzzTokenUse sends any token to the endpoints that read one, which have issued none: none is
// active, and none tells of a person.
func FuzzTokenUse(f *testing.F) {
	h := newFuzzProvider(f)
	for _, s := range []string{
		"", "x", newSecret(make([]byte, idSize)), newRefreshSecret(make([]byte, idSize), make([]byte, familySize)), "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("A", 5000), "\x00",
	} {
		f.Add(s, "access_token")
		f.Add(s, "refresh_token")
	}
	f.Fuzz(func(t *testing.T, token, hint string) {
		form := url.Values{"client_id": {"app"}, "client_secret": {fuzzSecret}, "token": {token}, "token_type_hint": {hint}}.Encode()
		w := send(h, http.MethodPost, "/oauth/introspect", "application/x-www-form-urlencoded", form, "")
		wantUncached(t, w)
		var told map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told["active"] == true || w.Code == http.StatusOK && len(told) != 1 {
			t.Fatalf("introspection %d %s", w.Code, w.Body)
		}
		w = send(h, http.MethodPost, "/oauth/revoke", "application/x-www-form-urlencoded", form, "")
		wantUncached(t, w)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Fatalf("revocation %d %s", w.Code, w.Body)
		}
		r := httptest.NewRequest(http.MethodGet, "/oauth/userinfo", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		wantUncached(t, w)
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), `"sub"`) {
			t.Fatalf("userinfo %d %s", w.Code, w.Body)
		}
	})
}

// FuzzRecord reads what Redis holds under a request's key: what no replica wrote is unknown,
// and a record under another id does not open.
func FuzzRecord(f *testing.F) {
	rs := records[grant]{store: NewMemory(), prefix: "g:"}
	id, other := make([]byte, idSize), append(make([]byte, idSize-1), 1)
	good, err := rs.seal(id, grant{ClientID: "app"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var g grant
		if err := rs.open(id, data, &g); err == nil && g.ClientID != "app" {
			t.Fatalf("%x opens", data)
		}
		if err := rs.open(other, data, &g); err == nil {
			t.Fatalf("%x opens under another id", data)
		}
	})
}

// FuzzKeys reads any text as the file of keys: what is accepted has a kind that signs.
func FuzzKeys(f *testing.F) {
	_, text, err := GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text + text)
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			if k.alg != jose.RS256 && k.alg != jose.ES256 {
				t.Fatalf("a key that signs %q", k.alg)
			}
		}
	})
}
