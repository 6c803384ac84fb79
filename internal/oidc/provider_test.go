package oidc_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/oidc"
)

// Each part of a sign-in lives as long as docs/oidc.md says, and not longer.
func TestProvider_Lives(t *testing.T) {
	testKeys(t) // outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		request, late := r.request(), r.request()
		time.Sleep(59 * time.Minute)
		if w := r.finish(request); w.Code != http.StatusOK {
			t.Errorf("a request of 59 minutes: %d", w.Code)
		}
		time.Sleep(2 * time.Minute)
		if w := r.finish(late); w.Code != http.StatusForbidden {
			t.Errorf("a request of 61 minutes: %d", w.Code)
		}
		good, old := r.code(), r.code()
		time.Sleep(59 * time.Second)
		status, tokens := r.exchange(good)
		if status != http.StatusOK {
			t.Fatalf("a code of 59 seconds: %d %v", status, tokens)
		}
		time.Sleep(2 * time.Second)
		if status, fields := r.exchange(old); status != http.StatusBadRequest || fields["error"] != "invalid_grant" {
			t.Errorf("a code of 61 seconds: %d %v", status, fields)
		}
		time.Sleep(14*time.Minute + 50*time.Second)
		if !r.isActive(tokens["access_token"]) {
			t.Error("the access token ended early")
		}
		time.Sleep(10 * time.Second)
		if r.isActive(tokens["access_token"]) {
			t.Error("the access token is good after 15 minutes")
		}
		time.Sleep(29 * 24 * time.Hour)
		status, again := r.refresh(tokens["refresh_token"])
		if status != http.StatusOK {
			t.Fatalf("a refresh token of 29 days: %d %v", status, again)
		}
		// A used one is known as such as long as its family lives.
		time.Sleep(29 * 24 * time.Hour)
		if status, _ := r.refresh(tokens["refresh_token"]); status != http.StatusBadRequest {
			t.Errorf("a used refresh token: %d", status)
		}
		if r.isActive(again["refresh_token"]) {
			t.Error("the family outlives a replay")
		}
	})
}

// A code that comes again long after its minute still ends what it gave.
func TestProvider_CodeReplay_IsKnownAsLongAsItsTokens(t *testing.T) {
	testKeys(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		code := r.code()
		_, tokens := r.exchange(code)
		time.Sleep(20 * 24 * time.Hour)
		if status, _ := r.exchange(code); status != http.StatusBadRequest {
			t.Errorf("replay: %d", status)
		}
		if r.isActive(tokens["refresh_token"]) {
			t.Error("the refresh token outlives the replay of its code")
		}
	})
}

// While the store is away an application is told to try again, and nothing is lost.
func TestProvider_StoreAway_SaysTryAgain(t *testing.T) {
	r := newRig(t, nil)
	code := r.code()
	_, tokens := r.exchange(r.code())
	request := r.request()
	r.store.away.Store(true)
	if got := r.authorize().Header().Get("Location"); !strings.Contains(got, "error=temporarily_unavailable") || !strings.Contains(got, "state=s") {
		t.Errorf("authorize: %s", got)
	}
	if w := r.finish(request); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("finish: %d", w.Code)
	}
	if w := r.do(http.MethodGet, "/oauth/continue?request="+request, "", ""); w.Code != http.StatusServiceUnavailable || w.Header().Get("X-Notice") != oidc.WordUnavailable {
		t.Errorf("continue: %d", w.Code)
	}
	for name, status := range map[string]func() (int, map[string]any){
		"code":    func() (int, map[string]any) { return r.exchange(code) },
		"refresh": func() (int, map[string]any) { return r.refresh(tokens["refresh_token"]) },
		"introspect": func() (int, map[string]any) {
			return r.post("/oauth/introspect", "token", tokens["access_token"].(string))
		},
		"revoke": func() (int, map[string]any) { return r.post("/oauth/revoke", "token", tokens["access_token"].(string)) },
	} {
		if status, fields := status(); status != http.StatusServiceUnavailable || fields["error"] != "temporarily_unavailable" {
			t.Errorf("%s: %d %v", name, status, fields)
		}
	}
	if w := r.do(http.MethodGet, "/oauth/userinfo", "", "", "Authorization", "Bearer "+tokens["access_token"].(string)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("userinfo: %d", w.Code)
	}
	r.store.away.Store(false)
	if w := r.finish(request); w.Code != http.StatusOK {
		t.Errorf("finish afterwards: %d", w.Code)
	}
	if status, fields := r.exchange(code); status != http.StatusOK {
		t.Errorf("the code afterwards: %d %v", status, fields)
	}
	if status, fields := r.refresh(tokens["refresh_token"]); status != http.StatusOK {
		t.Errorf("the refresh token afterwards: %d %v", status, fields)
	}
}

// A code is not spent while nothing can sign the ID token.
func TestProvider_KeysAway_CodeStaysGood(t *testing.T) {
	away := true
	keys := testKeys(t)
	r := newRig(t, func(o *oidc.Options) {
		o.Keys = nil
		o.FetchKeys = func(context.Context) ([]oidc.Key, error) {
			if away {
				return nil, errors.New("redis is away")
			}
			return keys, nil
		}
	})
	code := r.code()
	if status, _ := r.exchange(code); status != http.StatusServiceUnavailable {
		t.Errorf("without keys: %d", status)
	}
	if w := r.do(http.MethodGet, "/.well-known/openid-configuration", "", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("discovery without keys: %d", w.Code)
	}
	away = false
	if status, fields := r.exchange(code); status != http.StatusOK {
		t.Errorf("with keys: %d %v", status, fields)
	}
}

// A person whose subject is not known is refused; the openid is no substitute.
func TestProvider_NoSubject_IsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.person = ""
	request := r.request()
	r.finish(request)
	if q := r.goOn(request); q.Get("error") != "temporarily_unavailable" || q.Get("code") != "" {
		t.Errorf("answer %v", q)
	}
}
