package login_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

// unions tells unionids, as WeChat's user/info would.
type unions struct {
	off   bool
	calls atomic.Int64
	say   func(ctx context.Context, call int64) (string, error)
}

func (u *unions) Wanted(string) bool { return !u.off }

func (u *unions) UnionID(ctx context.Context, _, openID string) (string, error) {
	n := u.calls.Add(1)
	if u.say != nil {
		return u.say(ctx, n)
	}
	return "union-" + openID, nil
}

func withUnions(u *unions) func(*login.ServiceOptions) {
	return func(o *login.ServiceOptions) { o.UnionIDs = u }
}

// unionIn is the claim of a token.
func (r *rig) unionIn(t *testing.T, jwt string) string {
	t.Helper()
	c, err := r.issuer.Verify(jwt)
	if err != nil {
		t.Fatal(err)
	}
	return c.UnionID
}

func TestUnionIDIsInTheToken(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		u := &unions{}
		r := newRig(t, s, withUnions(u))
		a := r.start(t, login.StartRequest{})
		claimed := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		if u.calls.Load() != 0 {
			t.Error("the webhook waited for WeChat")
		}
		first := r.mustResult(t, claimed, "token")
		if got := r.unionIn(t, first); got != "union-ana" {
			t.Errorf("unionid %q", got)
		}
		// Another replica, after a resume: the very same token, and no second question.
		other := newRig(t, s, withUnions(u))
		again, err := other.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "elsewhere", false)
		if err != nil || again.UnionID != "union-ana" || !again.Unioned {
			t.Fatalf("resumed %+v, %v", again, err)
		}
		if res, err := r.Result(t.Context(), again); err != nil || res.Value != first {
			t.Errorf("the token changed, %v", err)
		}
		if n := u.calls.Load(); n != 1 {
			t.Errorf("WeChat was asked %d times", n)
		}
		// With a challenge it is known before the code is handed out.
		b := r.start(t, login.StartRequest{Challenge: challenge})
		code := r.mustResult(t, r.mustClaim(t, scan(b.Ticket, "bob"), login.OutcomeClaimed), "code")
		if n := u.calls.Load(); n != 2 {
			t.Errorf("WeChat was asked %d times", n)
		}
		token, err := r.Exchange(t.Context(), code, verifier)
		if err != nil || r.unionIn(t, token.JWT) != "union-bob" || u.calls.Load() != 2 {
			t.Errorf("exchanged %v, %d calls", err, u.calls.Load())
		}
	})
}

func TestUnionIDIsNotAskedForWhereItIsNotWanted(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		u := &unions{off: true}
		r := newRig(t, s, withUnions(u))
		a := r.start(t, login.StartRequest{})
		token := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed), "token")
		if got := r.unionIn(t, token); got != "" || u.calls.Load() != 0 {
			t.Errorf("unionid %q after %d calls", got, u.calls.Load())
		}
	})
}

// The first answer is kept, and so is "none": one jti, one set of claims.
func TestUnionIDFirstAnswerWins(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		u := &unions{say: func(_ context.Context, n int64) (string, error) {
			if n == 1 {
				return "", errors.New("46004")
			}
			return "too late", nil
		}}
		r := newRig(t, s, withUnions(u))
		a := r.start(t, login.StartRequest{})
		claimed := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		first := r.mustResult(t, claimed, "token")
		if got := r.unionIn(t, first); got != "" {
			t.Errorf("unionid %q", got)
		}
		// A replica with an older look at the ticket asks again, and is overruled.
		if again := r.mustResult(t, claimed, "token"); again != first || u.calls.Load() != 2 {
			t.Errorf("another token after %d calls", u.calls.Load())
		}
		if r.ledger.count("unionid failed") != 1 || r.ledger.count("unionid known") != 1 {
			t.Errorf("counted %v", r.ledger.counts)
		}

		b := r.start(t, login.StartRequest{})
		claimed = r.mustClaim(t, scan(b.Ticket, "bob"), login.OutcomeClaimed)
		u.say = func(_ context.Context, n int64) (string, error) { return string(rune('a' + n)), nil }
		var mu sync.Mutex
		tokens := map[string]bool{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if res, err := r.Result(t.Context(), claimed); err == nil {
					mu.Lock()
					tokens[res.Value] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(tokens) != 1 {
			t.Errorf("%d tokens", len(tokens))
		}
	})
}

// docs/reliability.md §3 row F27 for user/info: slow costs a moment, never the login.
func TestService_SlowUserInfoDoesNotHoldUpTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unions{say: func(ctx context.Context, _ int64) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}}
		r := newRig(t, &fixture{Store: login.NewMemory()}, withUnions(u))
		a := r.start(t, login.StartRequest{})
		claimed := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		// The browser goes while WeChat is asked: nothing is decided.
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Result(gone, claimed); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("for a browser that left: %v", err)
		}
		if got := r.now(t, a.Ticket.ID); got.Unioned {
			t.Error("an unheard answer was kept")
		}
		began := time.Now()
		token := r.mustResult(t, claimed, "token")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the login waited %v", took)
		}
		u.say = nil
		if again := r.mustResult(t, r.now(t, a.Ticket.ID), "token"); again != token || r.unionIn(t, token) != "" {
			t.Error("the token changed once WeChat was well again")
		}
	})
}

func TestUnionIDIsNotKeptForSomebodyWhoIsForgotten(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		set := func(openID string) error {
			_, err := s.SetUnionID(t.Context(), a.Ticket.ID, openID, "union-x")
			return err
		}
		wantErr(t, set("ana"), login.ErrUnauthorized) // no person has scanned
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		wantErr(t, set("bob"), login.ErrUnauthorized)
		if err := r.Forget(t.Context(), a.Ticket.AppID, "ana", time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantErr(t, set("ana"), login.ErrUnauthorized)
		if got := r.now(t, a.Ticket.ID); got.UnionID != "" {
			t.Errorf("kept %q", got.UnionID)
		}
		_, err := s.SetUnionID(t.Context(), "L1.nothing", "ana", "x")
		wantErr(t, err, login.ErrUnauthorized)
	})
}
