package login_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"posthouse/internal/login"
)

// Abuses of docs/reliability.md §4 that are about the ticket; the webhook's (29 to 33) are
// in package callback, the browser's in package gateway.

// docs/reliability.md §4 row 34.
func TestService_TicketAloneGivesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		for _, secret := range []string{"", a.Ticket.WeChat, a.Ticket.ResumeHash, a.Resume[:42], a.Resume + "A", strings.Repeat("x", 1<<20)} {
			_, err := r.Resume(t.Context(), a.Ticket.WeChat, secret, "thief", false)
			wantErr(t, err, login.ErrUnauthorized)
		}
		_, unknown := r.Resume(t.Context(), "nothing", a.Resume, "thief", false)
		_, wrong := r.Resume(t.Context(), a.Ticket.WeChat, "nothing", "thief", false)
		if unknown.Error() != wrong.Error() {
			t.Errorf("an unknown ticket (%v) can be told from a wrong secret (%v)", unknown, wrong)
		}
		if got := r.now(t, a.Ticket.ID); got.SocketID != "socket-1" {
			t.Errorf("bound to %q", got.SocketID)
		}
	})
}

// docs/reliability.md §4 row 34: a million guesses find nothing. What can be guessed are 128 bits of a scene
// and 256 bits of a secret; counting is only to see that nothing short-cuts them.
func TestService_GuessesFindNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		guesses := 2000
		if s.rdb == nil && !testing.Short() {
			guesses = 1_000_000
		}
		for n := range guesses {
			guess := fmt.Sprintf("%043d", n)
			if _, err := r.Resume(t.Context(), a.Ticket.WeChat, guess, "thief", false); err == nil {
				t.Fatalf("the secret %s was taken", guess)
			}
			if n%10 != 0 {
				continue
			}
			guessed := login.Claim{AppID: "wx-main", Scene: login.ScenePrefix + guess[21:], OpenID: "thief"}
			if _, o, err := r.Claim(t.Context(), guessed); err != nil || o != login.OutcomeUnknown {
				t.Fatalf("the scene %s is %s, %v", guessed.Scene, o, err)
			}
		}
		if got := r.now(t, a.Ticket.ID); got.SocketID != "socket-1" || got.OpenID != "ana" {
			t.Errorf("%+v", got)
		}
	})
}

// docs/reliability.md §4 row 40.
func TestService_Cancel_AgainstScanHasOneWinner(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		for range 50 {
			a := r.start(t, login.StartRequest{})
			var wg sync.WaitGroup
			var outcome login.Outcome
			var ended login.Ticket
			wg.Go(func() { _, outcome, _ = r.Claim(t.Context(), scan(a.Ticket, "ana")) })
			wg.Go(func() { ended, _ = r.Cancel(t.Context(), a.Ticket.ID, a.Ticket.SocketID) })
			wg.Wait()
			if (outcome == login.OutcomeClaimed) == ended.Moved {
				t.Fatalf("claim %s, cancel moved %v: not exactly one winner", outcome, ended.Moved)
			}
			if want := map[bool]login.State{true: login.Cancelled, false: login.Done}[ended.Moved]; r.now(t, a.Ticket.ID).State != want {
				t.Fatalf("state %s, want %s", r.now(t, a.Ticket.ID).State, want)
			}
		}
	})
}
