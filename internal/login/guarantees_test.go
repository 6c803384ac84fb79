package login_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/login"
)

// The guarantees of docs/wechat.md §3.4 that the store and the service give.

// docs/wechat.md §3.4 guarantee G1
func TestService_Claim_AtMostOneOpenIDPerAttempt(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		for range 20 {
			a := r.start(t, login.StartRequest{})
			outcomes := make([]login.Outcome, 8)
			tickets := make([]login.Ticket, 8)
			var wg sync.WaitGroup
			for i := range outcomes {
				wg.Go(func() {
					tickets[i], outcomes[i], _ = r.Claim(t.Context(), scan(a.Ticket, fmt.Sprint("person-", i)))
				})
			}
			wg.Wait()
			winners := 0
			for i, o := range outcomes {
				switch o {
				case login.OutcomeClaimed:
					winners++
					if got := r.now(t, a.Ticket.ID); got.OpenID != fmt.Sprint("person-", i) {
						t.Fatalf("%d won, the ticket says %q", i, got.OpenID)
					}
				case login.OutcomeTaken:
				default:
					t.Fatalf("outcome %q", o)
				}
			}
			if winners != 1 {
				t.Fatalf("%d winners", winners)
			}
		}
	})
}

// docs/wechat.md §3.4 guarantee G2
func TestService_AtMostOneTokenPerAttemptEver(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		tokens := map[string]bool{}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		for i := range 5 {
			s.advance(7 * time.Second)
			r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSame)
			b, err := r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, fmt.Sprint("socket-", i), false)
			if err != nil || !b.Pending() {
				t.Fatalf("resume %d: %+v, %v", i, b, err)
			}
			tokens[r.mustResult(t, b, "token")] = true
		}
		if len(tokens) != 1 {
			t.Errorf("%d different tokens", len(tokens))
		}
		for range 2 {
			if err := r.Delivered(t.Context(), a.Ticket.ID); err != nil {
				t.Fatal(err)
			}
		}
		b, err := r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "last", false)
		if err != nil || b.Pending() || b.State != login.Done || b.ExpiresIn() != 0 {
			t.Errorf("after delivery: %+v, %v", b, err)
		}
	})
}

// docs/wechat.md §3.4 guarantee G3
func TestService_Exchange_CodeIsSingleUseShortAndBound(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		claimed := func() (login.Ticket, string) {
			t.Helper()
			a := r.start(t, login.StartRequest{Challenge: challenge})
			ticket := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
			return ticket, r.mustResult(t, ticket, "code")
		}
		wrong := strings.Repeat("w", 43)
		refused := func(code, verifier string) {
			t.Helper()
			_, err := r.Exchange(t.Context(), code, verifier)
			wantErr(t, err, login.ErrUnauthorized)
		}

		_, code := claimed()
		s.advance(61 * time.Second)
		refused(code, verifier)

		_, code = claimed()
		for range 4 {
			refused(code, wrong)
		}
		if _, err := r.Exchange(t.Context(), code, verifier); err != nil {
			t.Errorf("after four wrong verifiers: %v", err)
		}
		refused(code, wrong)

		_, code = claimed()
		for range 2 { // an answer that was lost is repeated, for a while
			if _, err := r.Exchange(t.Context(), code, verifier); err != nil {
				t.Errorf("at once: %v", err)
			}
		}
		s.advance(login.RepeatTime + time.Second)
		refused(code, verifier)

		ticket, code := claimed()
		for range 5 {
			refused(code, wrong)
		}
		refused(code, verifier)
		fresh := r.mustResult(t, ticket, "code")
		refused(code, verifier)
		if _, err := r.Exchange(t.Context(), fresh, verifier); err != nil {
			t.Errorf("the code after a burned one: %v", err)
		}
		if _, err := r.Result(t.Context(), r.now(t, ticket.ID)); err == nil {
			t.Error("a code was made for an exchanged ticket")
		}

		_, code = claimed()
		for _, v := range []string{challenge + "=", "short", strings.Repeat("v", 129), strings.Repeat("é", 30)} {
			refused(code, v)
		}
		for _, c := range []string{"unknown", strings.Repeat("c", 1<<16)} {
			refused(c, verifier)
		}
		_, err := r.Exchange(t.Context(), code, "")
		wantErr(t, err, login.ErrBadRequest)
		_, err = r.Exchange(t.Context(), "", verifier)
		wantErr(t, err, login.ErrBadRequest)
	})
}

// docs/wechat.md §3.4 guarantee G3
func TestService_Exchange_OneWinnerWhenACodeIsSpentAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Challenge: challenge})
		code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed), "code")
		var mu sync.Mutex
		tokens := map[string]int{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if token, err := r.Exchange(t.Context(), code, verifier); err == nil {
					mu.Lock()
					tokens[token.JWT]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(tokens) != 1 {
			t.Errorf("tokens %d, want one (the same proofs repeat)", len(tokens))
		}
	})
}

// docs/wechat.md §3.4 guarantee G5, docs/reliability.md §3 row F33
func TestService_Claim_DurableBeforeSuccess(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		// The replica dies here: another one finds the claim and its jti.
		other := newRig(t, s, nil)
		if got := other.now(t, a.Ticket.ID); !got.Pending() || got.JTI == "" || got.IssuedAt.IsZero() {
			t.Errorf("not durable: %+v", got)
		}
		// and a repeated push makes it notify again, as long as nothing was delivered
		other.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSame)
		if len(other.ledger.notifications()) != 1 {
			t.Error("the repeated push did not notify")
		}
		other.Delivered(t.Context(), a.Ticket.ID)
		other.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSame)
		if len(other.ledger.notifications()) != 1 {
			t.Error("a delivered result was announced again")
		}
	})
}

// docs/wechat.md §3.4 guarantee G6
func TestService_RepeatsAndDisorderChangeNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		for _, end := range []login.State{login.Done, login.Replaced, login.Cancelled} {
			a := r.start(t, login.StartRequest{})
			if end == login.Done {
				r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
			} else if _, err := s.End(t.Context(), a.Ticket.ID, end, "test", ""); err != nil {
				t.Fatal(err)
			}
			before := r.now(t, a.Ticket.ID)
			for _, openID := range []string{"ana", "bob", "ana"} {
				if _, _, err := r.Claim(t.Context(), scan(a.Ticket, openID)); err != nil {
					t.Fatal(err)
				}
				for _, to := range []login.State{login.Expired, login.Replaced, login.Cancelled, login.Denied} {
					if got, err := s.End(t.Context(), a.Ticket.ID, to, "again", ""); err != nil || got.Moved {
						t.Fatalf("%s → %s: %+v, %v", end, to, got, err)
					}
				}
			}
			after := r.now(t, a.Ticket.ID)
			before.Now = after.Now
			if before != after {
				t.Errorf("%s changed:\n%+v\n%+v", end, before, after)
			}
		}
	})
}

// docs/wechat.md §3.4 guarantee G7
func TestService_NoSecretInTheQRCodeNorInTheStore(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Challenge: challenge})
		secret, err := base64.RawURLEncoding.DecodeString(a.Resume)
		if err != nil || len(secret) != 32 {
			t.Errorf("resume secret of %d bytes, %v", len(secret), err)
		}
		if !login.IsScene(a.Ticket.ID) || len(a.Ticket.ID) != 25 {
			t.Errorf("scene %q", a.Ticket.ID)
		}
		code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed), "code")
		shown := fmt.Sprintf("%+v %s %s", r.now(t, a.Ticket.ID), a.URL, a.ImageURL)
		for _, secret := range []string{a.Resume, code, verifier} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s is not secret:\n%s", secret, shown)
			}
		}
	})
}

// docs/wechat.md §3.4 guarantee G10
func TestService_EveryAttemptEndsOnceWithAReason(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		done, replaced, cancelled := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		expired := r.start(t, login.StartRequest{Replaces: replaced.Ticket.ID})
		r.Claim(t.Context(), scan(done.Ticket, "ana"))
		r.Cancel(t.Context(), cancelled.Ticket.ID, cancelled.Ticket.SocketID)
		s.advance(316 * time.Second)
		for range 2 { // no login counts twice
			for _, a := range []login.Started{done, replaced, cancelled, expired} {
				if _, err := r.Expire(t.Context(), a.Ticket.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.mustClaim(t, scan(expired.Ticket, "late"), login.OutcomeExpired)
		if got := r.now(t, expired.Ticket.ID); got.Reason != "timeout" {
			t.Errorf("a late scan changed the reason to %q", got.Reason)
		}
		for _, reason := range []string{"done:scan", "replaced:refreshed", "cancelled:cancelled", "expired:timeout"} {
			if n := r.ledger.count("attempt " + reason); n != 1 {
				t.Errorf("%s counted %d times", reason, n)
			}
		}
	})
}
