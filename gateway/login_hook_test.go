package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"posthouse/internal/login"
)

// The back end hears of a login, of its end and of a person who leaves, signed.
func TestLoginHook_TellsOfDoneRevokedAndLeft(t *testing.T) {
	key := []byte("0123456789abcdef01234567")
	heard := make(chan loginNotice, 8)
	failures := 1 // the first post is answered 500, and comes again
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "."))
		mac.Write(body)
		if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
			t.Errorf("signature %q", r.Header.Get("webhook-signature"))
		}
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var n loginNotice
		if err := json.Unmarshal(body, &n); err != nil || n.ID != r.Header.Get("webhook-id") {
			t.Errorf("body %s: %v", body, err)
		}
		heard <- n
		w.WriteHeader(http.StatusNoContent)
	}))
	defer backend.Close()
	secret := writeFile(t, filepath.Join(t.TempDir(), "key"), "whsec_"+base64.StdEncoding.EncodeToString(key)+"\n")
	p := startProvider(t, "login-hook: {url: \""+backend.URL+"\", secret-file: "+secret+"}\n")
	appID := p.accounts.inOrder[0].AppID
	next := func(kind string) loginNotice {
		t.Helper()
		select {
		case n := <-heard:
			if n.Type != kind || n.AppID != appID || n.OpenID != "ana" || n.Account != "default" || n.Time == "" {
				t.Errorf("notice %+v, want %s", n, kind)
			}
			return n
		case <-time.After(20 * time.Second):
			t.Fatalf("no notice of %s", kind)
			return loginNotice{}
		}
	}
	started, err := p.loginService.Start(t.Context(), login.StartRequest{Account: "default", Context: "invite=7"})
	if err != nil {
		t.Fatal(err)
	}
	claim := login.Claim{AppID: appID, Scene: started.Ticket.ID, OpenID: "ana"}
	ticket, _, err := p.loginService.Claim(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	if done := next("login.done"); done.JTI != ticket.JTI || done.Context != "invite=7" {
		t.Errorf("notice %+v", done)
	}
	if _, _, err := p.loginService.Claim(t.Context(), claim); err != nil { // WeChat's repeat
		t.Fatal(err)
	}
	if _, _, err := p.loginService.Deny(t.Context(), appID, "ana", time.Time{}); err != nil {
		t.Fatal(err)
	}
	if revoked := next("login.revoked"); revoked.JTI != ticket.JTI {
		t.Errorf("notice %+v", revoked)
	}
	if err := p.loginService.Forget(t.Context(), appID, "ana", time.Now()); err != nil {
		t.Fatal(err)
	}
	next("person.left")
}
