package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posthouse/internal/oidc"
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

// The first key of a kind signs, all are published, and hints of the earlier one are good.
func TestOIDC_Keys_RotateAndES256(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"new.pem", "old.pem"} {
		_, text, err := oidc.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, writeFile(t, filepath.Join(dir, name), text))
	}
	files = append(files, writeFile(t, filepath.Join(dir, "ec.pem"), ecPEM(t)))
	const ec = "  - id: ec\n    redirect-uris: [https://ec.example.com/cb]\n    id-token-signed-response-alg: ES256\n"
	p := startProvider(t, ec, "--oidc-key-file="+strings.Join(files, ","))
	b := p.person(t, "ana")
	kids := map[any]any{}
	for _, k := range b.get("/.well-known/jwks.json").json(t)["keys"].([]any) {
		key := k.(map[string]any)
		kids[key["kid"]] = key["alg"]
	}
	if len(kids) != 4 {
		t.Errorf("keys %v", kids)
	}
	if algorithms, _ := json.Marshal(b.get("/.well-known/openid-configuration").json(t)["id_token_signing_alg_values_supported"]); string(algorithms) != `["RS256","ES256","EdDSA"]` {
		t.Errorf("algorithms %s", algorithms)
	}
	spa := []string{"client_id", "ec", "redirect_uri", "https://ec.example.com/cb"}
	header, _ := claimsIn(t, b.tokens(exchangeForm(b.code(spa...), append(spa, "client_secret", "")...))["id_token"])
	if header["alg"] != "ES256" || kids[header["kid"]] != "ES256" {
		t.Errorf("header %v", header)
	}
	before := b.tokens(exchangeForm(b.code()))["id_token"]

	// The same keys in another order, after a restart at the same issuer.
	rotated := startProvider(t, ec, "--issuer="+p.url, "--oidc-key-file="+strings.Join([]string{files[1], files[0], files[2]}, ","))
	c := rotated.person(t, "ana")
	after := c.tokens(exchangeForm(c.code()))["id_token"]
	h1, _ := claimsIn(t, before)
	h2, _ := claimsIn(t, after)
	if h1["kid"] == h2["kid"] || kids[h1["kid"]] != "RS256" || kids[h2["kid"]] != "RS256" {
		t.Errorf("kids %v and %v", h1["kid"], h2["kid"])
	}
	if r := c.get("/oauth/end_session?id_token_hint=" + before.(string)); r.StatusCode != http.StatusOK {
		t.Errorf("a hint of the earlier key: %s", r.Status)
	}
}

func ecPEM(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writeFile(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// With unionid: on the subject is the unionid, and a person without one is refused.
func TestOIDC_Subject_IsTheUnionID(t *testing.T) {
	p := startProvider(t, "", "--wechat-unionid=on")
	b := p.person(t, "a person that WeChat does not know")
	b.openID = "oUnknownPerson"
	refused := b.logIn()
	if q := refused.location(t).Query(); q.Get("error") != "temporarily_unavailable" || q.Get("state") != "st4te" || q.Has("code") {
		t.Errorf("without a unionid: %s", refused.Header.Get("Location"))
	}
	r, err := http.Post(p.url+"/sim/follow", "application/json", strings.NewReader(`{"person":"ana"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var follower struct{ OpenID string }
	if err := json.NewDecoder(r.Body).Decode(&follower); err != nil {
		t.Fatal(err)
	}
	b.openID = follower.OpenID
	_, claims := claimsIn(t, b.tokens(exchangeForm(b.code("scope", "openid wechat")))["id_token"])
	if claims["sub"] == b.openID || claims["sub"] != claims["unionid"] || claims["openid"] != b.openID {
		t.Errorf("claims %v of %s", claims, b.openID)
	}
}

// Scope profile says what WeChat says, and nothing that it does not.
func TestOIDC_Profile_IsNeverInvented(t *testing.T) {
	p := startProvider(t, "")
	r, err := http.Post(p.url+"/sim/follow", "application/json", strings.NewReader(`{"person":"ana"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var follower struct{ OpenID string }
	if err := json.NewDecoder(r.Body).Decode(&follower); err != nil {
		t.Fatal(err)
	}
	b := p.person(t, follower.OpenID)
	tokens := b.tokens(exchangeForm(b.code("scope", "openid profile")))
	info := b.userinfo(tokens["access_token"]).json(t)
	if _, claims := claimsIn(t, tokens["id_token"]); claims["locale"] != "zh-CN" || info["locale"] != "zh-CN" {
		t.Errorf("locale %v and %v", claims["locale"], info["locale"])
	}
	for _, name := range []string{"nickname", "picture", "name", "email_verified", "openid"} {
		if _, has := info[name]; has {
			t.Errorf("%s is %v", name, info[name])
		}
	}
	if info := b.userinfo(b.tokens(exchangeForm(b.code("scope", "openid")))["access_token"]).json(t); info["locale"] != nil {
		t.Errorf("without the scope: %v", info)
	}
}
