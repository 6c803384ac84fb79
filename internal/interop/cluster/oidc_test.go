package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"posthouse/socketio/client"
)

const (
	oidcSecret   = "a secret of thirty-two characters"
	oidcRedirect = "http://127.0.0.1:1/callback"
)

// oidcLogin is one person's sign-in to an application, by a browser that reaches another
// replica at each step.
type oidcLogin struct {
	person, sim string
	browser     *http.Client // keeps cookies, follows nothing

	verifier, next, request, challenge string
	openID, loginCode, code            string
	tokens, refreshed                  map[string]any
	qr                                 struct{ Ticket, Resume string }
}

// oidcStep does one step at a replica.
type oidcStep struct {
	name string
	do   func(ctx context.Context, l *oidcLogin, base string) error
}

// Each step of a sign-in is another replica's, and the replica of the step before is killed:
// no sign-in is lost, and none is answered twice.
func TestOIDC_Cluster_EachStepOnAnotherReplicaWithKills(t *testing.T) {
	dir := t.TempDir()
	yaml := `
clients:
  - id: app
    secret-file: app.secret
    redirect-uris: [` + oidcRedirect + `]
    scopes: [openid, offline_access]
`
	for name, text := range map[string]string{"posthouse.yaml": yaml, "app.secret": oidcSecret} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, nil, nil, []string{
		"POSTHOUSE_CONFIG=" + filepath.Join(dir, "posthouse.yaml"), "POSTHOUSE_ISSUER=http://127.0.0.1:1",
		"POSTHOUSE_LIMIT_QRCODES_PER_BROWSER=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_NODE=off",
	})
	all := make([]*oidcLogin, logins())
	for i := range all {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &oidcLogin{
			person: fmt.Sprint("person-", i), sim: c.WeChat, verifier: oauth2.GenerateVerifier(),
			browser: &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		}
	}
	steps := []oidcStep{
		{"authorize", authorize}, {"page", openPage}, {"qrcode", askQRCode}, {"scan", resumeAndScan}, {"finish", finish},
		{"continue", goOn}, {"token", exchange}, {"userinfo", userinfo}, {"refresh", refresh}, {"replay", replay},
	}
	down := -1
	for i, step := range steps {
		at := i % len(c.Bases)
		failures := runStep(t.Context(), step, all, c.Bases[at])
		for _, err := range failures[:min(len(failures), 5)] {
			t.Error(err)
		}
		if len(failures) > 0 {
			t.Fatalf("step %s: %d of %d sign-ins were lost", step.name, len(failures), len(all))
		}
		if down >= 0 {
			c.StartReplica(t, down)
		}
		c.Replicas[at].Kill()
		down = at
	}
	openIDs := map[string]bool{}
	for _, l := range all {
		openIDs[l.openID] = true
	}
	t.Logf("%d sign-ins of %d persons, %d kills", len(all), len(openIDs), len(steps))
	if len(openIDs) != len(all) {
		t.Errorf("%d sign-ins are of %d persons", len(all), len(openIDs))
	}
}

// runStep does a step of all sign-ins, some at once, and returns what failed.
func runStep(ctx context.Context, step oidcStep, all []*oidcLogin, base string) (failures []error) {
	var mu sync.Mutex // guards failures
	var wait sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, l := range all {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := step.do(ctx, l, base); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, fmt.Errorf("%s of %s: %w", step.name, l.person, err))
			}
		})
	}
	wait.Wait()
	return failures
}

// call sends a request and returns the status, the Location and the body.
func (l *oidcLogin) call(ctx context.Context, method, target, contentType, body string, header ...string) (*http.Response, string, error) {
	q, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if contentType != "" {
		q.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	r, err := l.browser.Do(q)
	if err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r, string(text), err
}

func authorize(ctx context.Context, l *oidcLogin, base string) error {
	q := url.Values{
		"client_id": {"app"}, "redirect_uri": {oidcRedirect}, "response_type": {"code"}, "scope": {"openid offline_access"},
		"state": {l.person}, "code_challenge": {oauth2.S256ChallengeFromVerifier(l.verifier)}, "code_challenge_method": {"S256"},
	}
	r, body, err := l.call(ctx, http.MethodGet, base+"/oauth/authorize?"+q.Encode(), "", "")
	if err != nil {
		return err
	}
	if l.next = r.Header.Get("Location"); !strings.HasPrefix(l.next, "/login?request=") {
		return fmt.Errorf("%s %q %s", r.Status, l.next, body)
	}
	return nil
}

var oidcAttribute = regexp.MustCompile(`data-(request|challenge)="([^"]*)"`)

func openPage(ctx context.Context, l *oidcLogin, base string) error {
	r, body, err := l.call(ctx, http.MethodGet, base+l.next, "", "")
	if err != nil {
		return err
	}
	for _, m := range oidcAttribute.FindAllStringSubmatch(body, -1) {
		if m[1] == "request" {
			l.request = m[2]
		} else {
			l.challenge = m[2]
		}
	}
	if l.request == "" || l.challenge == "" {
		return errors.New(r.Status)
	}
	return nil
}

func askQRCode(ctx context.Context, l *oidcLogin, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, base+"/login", &client.Options{Transports: []string{"websocket"}})
	if err != nil {
		return err
	}
	defer s.Close()
	l.qr, err = client.Call[struct{ Ticket, Resume string }](ctx, s, "qrcode", map[string]any{"challenge": l.challenge})
	if err == nil && l.qr.Ticket == "" {
		err = errors.New("no ticket")
	}
	return err
}

// resumeAndScan comes back elsewhere with the resume secret; then the person scans.
func resumeAndScan(ctx context.Context, l *oidcLogin, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, base+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
	if err != nil {
		return err
	}
	defer s.Close()
	codes := make(chan string, 8)
	s.On("code", func(e *client.Event) {
		var answer struct{ Code string }
		if e.Bind(&answer) == nil {
			codes <- answer.Code
		}
		_ = e.Ack() // the connection may have gone
	})
	if _, err := client.Call[map[string]any](ctx, s, "resume", map[string]string{"ticket": l.qr.Ticket, "resume": l.qr.Resume}); err != nil {
		return err
	}
	ask, err := json.Marshal(map[string]any{"person": l.person, "ticket": l.qr.Ticket, "follow": true})
	if err != nil {
		return err
	}
	r, body, err := l.call(ctx, http.MethodPost, l.sim+"/sim/scan", "application/json", string(ask))
	if err != nil {
		return err
	}
	var scanned struct{ OpenID string }
	if err := json.Unmarshal([]byte(body), &scanned); err != nil || scanned.OpenID == "" {
		return fmt.Errorf("scan: %s %s", r.Status, body)
	}
	l.openID = scanned.OpenID
	select {
	case l.loginCode = <-codes:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no code: %w; the scan said %s", ctx.Err(), body)
	}
}

func finish(ctx context.Context, l *oidcLogin, base string) error {
	body, err := json.Marshal(map[string]string{"request": l.request, "code": l.loginCode})
	if err != nil {
		return err
	}
	r, text, err := l.call(ctx, http.MethodPost, base+"/oauth/finish", "application/json", string(body))
	if err != nil {
		return err
	}
	var answer struct{ Continue string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Continue == "" {
		return fmt.Errorf("%s %s", r.Status, text)
	}
	l.next = answer.Continue
	return nil
}

func goOn(ctx context.Context, l *oidcLogin, base string) error {
	r, text, err := l.call(ctx, http.MethodGet, base+l.next, "", "")
	if err != nil {
		return err
	}
	to, err := url.Parse(r.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(r.Header.Get("Location"), oidcRedirect) || to.Query().Get("state") != l.person {
		return fmt.Errorf("%s %s %s", r.Status, r.Header.Get("Location"), text)
	}
	if l.code = to.Query().Get("code"); l.code == "" {
		return fmt.Errorf("answer %s", to)
	}
	return nil
}

// post sends a form of the application to the provider and decodes the answer.
func (l *oidcLogin) post(ctx context.Context, target string, pairs ...string) (int, map[string]any, error) {
	form := url.Values{"client_id": {"app"}, "client_secret": {oidcSecret}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r, text, err := l.call(ctx, http.MethodPost, target, "application/x-www-form-urlencoded", form.Encode())
	if err != nil {
		return 0, nil, err
	}
	var answer map[string]any
	err = json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&answer)
	return r.StatusCode, answer, err
}

func (l *oidcLogin) exchangeAt(ctx context.Context, base string) (int, map[string]any, error) {
	return l.post(ctx, base+"/oauth/token", "grant_type", "authorization_code", "code", l.code, "redirect_uri", oidcRedirect, "code_verifier", l.verifier)
}

func exchange(ctx context.Context, l *oidcLogin, base string) error {
	status, answer, err := l.exchangeAt(ctx, base)
	if err != nil || status != http.StatusOK || answer["id_token"] == nil || answer["refresh_token"] == nil {
		return fmt.Errorf("%d %v %w", status, answer["error"], err)
	}
	l.tokens = answer
	return nil
}

func userinfo(ctx context.Context, l *oidcLogin, base string) error {
	r, text, err := l.call(ctx, http.MethodGet, base+"/oauth/userinfo", "", "", "Authorization", "Bearer "+l.tokens["access_token"].(string))
	if err != nil {
		return err
	}
	var info struct{ Sub string }
	if err := json.Unmarshal([]byte(text), &info); err != nil || info.Sub != l.openID {
		return fmt.Errorf("%s: %s is not %s", r.Status, text, l.openID)
	}
	return nil
}

func refresh(ctx context.Context, l *oidcLogin, base string) error {
	status, answer, err := l.post(ctx, base+"/oauth/token", "grant_type", "refresh_token", "refresh_token", l.tokens["refresh_token"].(string))
	if err != nil || status != http.StatusOK || answer["access_token"] == nil {
		return fmt.Errorf("%d %v %w", status, answer["error"], err)
	}
	l.refreshed = answer
	return userinfo(ctx, l, base)
}

// replay spends the code once more, which must give nothing and end what it gave.
func replay(ctx context.Context, l *oidcLogin, base string) error {
	if status, answer, err := l.exchangeAt(ctx, base); err != nil || status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		return fmt.Errorf("%d %v %w", status, answer["error"], err)
	}
	_, answer, err := l.post(ctx, base+"/oauth/introspect", "token", l.refreshed["access_token"].(string))
	if err != nil || answer["active"] != false {
		return fmt.Errorf("a token outlives the replay of its code: %v %w", answer["active"], err)
	}
	return nil
}
