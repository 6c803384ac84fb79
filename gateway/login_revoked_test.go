package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/internal/login"
)

// unlisted is a store that cannot tell what was revoked, and counts who asks.
type unlisted struct {
	login.Store
	away  atomic.Bool
	calls atomic.Int64
}

func (u *unlisted) Revoked(ctx context.Context, most int) ([]string, error) {
	u.calls.Add(1)
	if u.away.Load() {
		return nil, login.ErrStoreUnavailable
	}
	return u.Store.Revoked(ctx, most)
}

// docs/reliability.md §4 row 38: "not me" takes a token back that was already handed
// out, and programs that verify tokens can know within two seconds.
func TestLogin_RevokedTokenIsKnownWithinTwoSeconds(t *testing.T) {
	s := newSite(t, nil)
	store := &unlisted{Store: s.store}
	service, err := login.NewService(&login.ServiceOptions{Store: store, Issuer: s.issuer, QRCodes: s.codes, Notifier: s})
	if err != nil {
		t.Fatal(err)
	}
	s.loginService = service
	list := func() (int, revokedAnswer) {
		t.Helper()
		answer, err := http.Get(s.url + "/login/revoked")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var got revokedAnswer
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, got
	}
	_, fields := s.post(t, exchangeBody(s.code(t), testVerifier))
	token, _ := fields["token"].(string)
	claims, err := s.issuer.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	if status, got := list(); status != 200 || got.Revoked == nil || len(got.Revoked) != 0 || !got.Complete {
		t.Errorf("before: %d %+v", status, got)
	}
	if _, o, err := s.loginService.Deny(t.Context(), "wx-default", "ana", time.Time{}); err != nil || o != login.OutcomeDenied {
		t.Fatalf("%s, %v", o, err)
	}
	said := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, got := list(); !slices.Contains(got.Revoked, claims.JTI); _, got = list() {
		if time.Since(said) > 2*time.Second {
			t.Fatalf("not listed: %+v", got)
		}
		<-tick.C
	}
	if n := store.calls.Load(); n > 4 {
		t.Errorf("the store was asked %d times in %v", n, time.Since(said))
	}
	if answer, _ := s.post(t, exchangeBody(s.code(t), testVerifier)); answer.StatusCode != 200 {
		t.Errorf("the next login: %d", answer.StatusCode)
	}
	store.away.Store(true)
	s.revocations.askedAt = time.Time{}
	if status, _ := list(); status != http.StatusServiceUnavailable {
		t.Errorf("while the store is away: %d", status)
	}
}
