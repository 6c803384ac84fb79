package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/testenv"
)

const (
	clientSecret = "a secret of thirty-two characters"
	appVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// appChallenge is the S256 challenge of appVerifier.
var appChallenge = challengeFor(appVerifier)

func challengeFor(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// oidcFile is a configuration with three clients: a confidential one that may stay
// signed in, another one, and one without a secret.
const oidcFile = `
clients:
  - id: grafana
    secret-file: client.secret
    redirect-uris: [https://grafana.example.com/login/generic_oauth, https://grafana.example.com/cb?keep=a%20b]
    logout-redirect-uris: [https://grafana.example.com/, "https://grafana.example.com/bye?x=1"]
    scopes: [openid, profile, wechat, offline_access]
    account: default
    name: Grafana
    claims: {email: "{sub}@wechat.invalid"}
  - id: other
    secret-file: client.secret
    redirect-uris: [https://other.example.com/cb]
  - id: spa
    redirect-uris: [https://spa.example.com/cb]
    id-token-signed-response-alg: EdDSA
`

// provider is a gateway that is an OpenID Provider, served over HTTP.
type provider struct {
	*App
	url string
}

// startProvider runs a gateway with oidcFile and more YAML.
func startProvider(t *testing.T, yaml string, args ...string) *provider {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"client.secret": clientSecret + "\n", "posthouse.yaml": oidcFile + yaml} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := strconv.Itoa(testenv.FreePort(t))
	p := &provider{url: "http://127.0.0.1:" + port}
	args = append([]string{
		"--config=" + filepath.Join(dir, "posthouse.yaml"), "--addr=127.0.0.1:" + port, "--issuer=" + p.url,
		"--limit-handshakes-per-ip=off", "--limit-qrcodes-per-ip=off", "--spool=" + filepath.Join(dir, "spool"),
	}, args...)
	settings := ReadSettings(args, nil, nil)
	for _, problem := range settings.Problems() {
		t.Fatal(problem)
	}
	old := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	app, err := New(settings.Config)
	slog.SetDefault(old)
	if err != nil {
		t.Fatal(err)
	}
	p.App = app
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	testenv.Until(t, 10*time.Second, "the gateway answers", func() bool {
		r, err := http.Get(p.url + "/healthz")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	return p
}

// eachProvider runs f with each store.
func eachProvider(t *testing.T, yaml string, f func(t *testing.T, p *provider)) {
	t.Run("memory", func(t *testing.T) { f(t, startProvider(t, yaml)) })
	t.Run("redis", func(t *testing.T) {
		f(t, startProvider(t, yaml, "--redis-url=redis://"+startRedis(t).addr()))
	})
}

// reply is an HTTP answer that was read.
type reply struct {
	*http.Response
	body string
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(r.body), &fields); err != nil {
		t.Fatalf("%s: %q", r.Status, r.body)
	}
	return fields
}

// location is where a redirect leads.
func (r reply) location(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(r.Header.Get("Location"))
	if err != nil || r.StatusCode != http.StatusFound {
		t.Fatalf("no redirect: %s %q", r.Status, r.body)
	}
	return u
}

// person is a browser with cookies. It follows no redirect.
type person struct {
	t      *testing.T
	p      *provider
	client *http.Client
	openID string
}

func (p *provider) person(t *testing.T, openID string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, p, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, openID}
}

func (b *person) do(method, target string, form url.Values, header ...string) reply {
	b.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = b.p.url + target
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{answer, string(body)}
}

func (b *person) get(target string, header ...string) reply {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil, header...)
}

// wishFor is a good authorization request of grafana, changed by pairs; an empty value
// removes the parameter.
func wishFor(pairs ...string) url.Values {
	q := url.Values{
		"client_id": {"grafana"}, "redirect_uri": {"https://grafana.example.com/login/generic_oauth"}, "response_type": {"code"},
		"scope": {"openid profile"}, "state": {"st4te"}, "nonce": {"n0nce"},
		"code_challenge": {appChallenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func (b *person) authorize(pairs ...string) reply {
	b.t.Helper()
	return b.get("/oauth/authorize?" + wishFor(pairs...).Encode())
}

var pageAttribute = regexp.MustCompile(`data-(request|challenge|account)="([^"]*)"`)

// openLogin opens the login page that a redirect names, and returns its attributes.
func (b *person) openLogin(r reply) map[string]string {
	b.t.Helper()
	page := b.get(r.location(b.t).String())
	if page.StatusCode != http.StatusOK {
		b.t.Fatalf("login page: %s", page.Status)
	}
	found := map[string]string{}
	for _, m := range pageAttribute.FindAllStringSubmatch(page.body, -1) {
		found[m[1]] = m[2]
	}
	return found
}

// scanCode does what the page's script and the phone do: a login that begins with the
// page's challenge, up to its one-time code.
func (b *person) scanCode(challenge string) string {
	b.t.Helper()
	service := b.p.loginService
	started, err := service.Start(b.t.Context(), login.StartRequest{Account: "default", Challenge: challenge})
	if err != nil {
		b.t.Fatal(err)
	}
	ticket, _, err := service.Claim(b.t.Context(), login.Claim{AppID: b.p.accounts.inOrder[0].AppID, Scene: started.Ticket.ID, OpenID: b.openID})
	if err != nil {
		b.t.Fatal(err)
	}
	result, err := service.Result(b.t.Context(), ticket)
	if err != nil {
		b.t.Fatal(err)
	}
	return result.Value
}

func (b *person) finish(request, code string) reply {
	b.t.Helper()
	body, err := json.Marshal(map[string]string{"request": request, "code": code})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.p.url+"/oauth/finish", strings.NewReader(string(body)))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return reply{answer, string(text)}
}

// logIn goes from an authorization request to the answer at the redirect URI.
func (b *person) logIn(pairs ...string) reply {
	b.t.Helper()
	page := b.openLogin(b.authorize(pairs...))
	done := b.finish(page["request"], b.scanCode(page["challenge"]))
	if done.StatusCode != http.StatusOK {
		b.t.Fatalf("finish: %s %s", done.Status, done.body)
	}
	return b.get(done.json(b.t)["continue"].(string))
}

// code is logIn up to the code at the redirect URI.
func (b *person) code(pairs ...string) string {
	b.t.Helper()
	code := b.logIn(pairs...).location(b.t).Query().Get("code")
	if code == "" {
		b.t.Fatal("no code")
	}
	return code
}

// exchangeForm is a good token request of grafana for a code, changed by pairs.
func exchangeForm(code string, pairs ...string) url.Values {
	q := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://grafana.example.com/login/generic_oauth"},
		"code_verifier": {appVerifier}, "client_id": {"grafana"}, "client_secret": {clientSecret},
	}
	for i := 0; i < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func (b *person) token(form url.Values, header ...string) reply {
	b.t.Helper()
	return b.do(http.MethodPost, "/oauth/token", form, header...)
}

// tokens exchanges a code and returns the answer's fields.
func (b *person) tokens(form url.Values) map[string]any {
	b.t.Helper()
	r := b.token(form)
	if r.StatusCode != http.StatusOK {
		b.t.Fatalf("token: %s %s", r.Status, r.body)
	}
	return r.json(b.t)
}

func refreshForm(token any, pairs ...string) url.Values {
	text, _ := token.(string)
	q := exchangeForm("", "code", "", "redirect_uri", "", "code_verifier", "", "grant_type", "refresh_token")
	q.Set("refresh_token", text)
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func (b *person) userinfo(access any) reply {
	b.t.Helper()
	text, _ := access.(string)
	return b.get("/oauth/userinfo", "Authorization", "Bearer "+text)
}

func (b *person) isActive(token any) bool {
	b.t.Helper()
	text, _ := token.(string)
	r := b.do(http.MethodPost, "/oauth/introspect", url.Values{"token": {text}, "client_id": {"grafana"}, "client_secret": {clientSecret}})
	if r.StatusCode != http.StatusOK {
		b.t.Fatalf("introspect: %s %s", r.Status, r.body)
	}
	return r.json(b.t)["active"] == true
}

// wantError checks an OAuth error in a JSON answer.
func wantError(t *testing.T, r reply, status int, code string) {
	t.Helper()
	if r.StatusCode != status || r.json(t)["error"] != code {
		t.Errorf("got %s %s, want %d %s", r.Status, r.body, status, code)
	}
	if r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", r.Header.Get("Cache-Control"))
	}
}

// wantRedirectError checks an OAuth error that went to the redirect URI.
func wantRedirectError(t *testing.T, p *provider, r reply, code string) {
	t.Helper()
	q := r.location(t).Query()
	if !strings.HasPrefix(r.Header.Get("Location"), "https://") || q.Get("error") != code || q.Get("iss") != p.url || q.Get("state") != "st4te" {
		t.Errorf("got %s, want error=%s", r.Header.Get("Location"), code)
	}
}
