package login_test

import (
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

// Faults of docs/reliability.md §3 that the store and the issuer survive; those of docs/reliability.md §3 rows F32 and F33
// are in spool_test.go and guarantees_test.go.

// docs/reliability.md §3 row F22: this machine's clock is an hour or a day off. A ticket lives by the store's
// clock, and what is taken from ours is only how long ago something happened.
func TestService_OwnClockDoesNotJudgeTickets(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		for _, off := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
			alive := r.start(t, login.StartRequest{})
			c := scan(alive.Ticket, "ana")
			c.At = time.Now().Add(off).Round(0) // a wall clock's reading, as the spool keeps it
			r.mustClaim(t, c, login.OutcomeClaimed)
		}
		over := r.start(t, login.StartRequest{})
		s.advance(316 * time.Second) // the store's clock; with Redis ours stands still
		if got := r.now(t, over.Ticket.ID); got.Visible() != login.Expired || got.ExpiresIn() != 0 {
			t.Errorf("%s, %v left", got.Visible(), got.ExpiresIn())
		}
		c := scan(over.Ticket, "ana")
		c.At = time.Now().Add(24 * time.Hour).Round(0)
		r.mustClaim(t, c, login.OutcomeExpired)
	})
}

// docs/reliability.md §3 row F22: services whose clocks differ from ours by up to 30 s take our tokens.
func TestIssuer_Verify_LeewayOf30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := mustIssuer(t, login.IssuerOptions{Keys: mustKeys(t, rfc8037Key)})
		id := login.Identity{AppID: "wx1", OpenID: "ana"}
		for _, c := range []struct {
			what  string
			iat   time.Duration
			wants bool
		}{
			{"from 29 s ahead", 29 * time.Second, true},
			{"from 31 s ahead", 31 * time.Second, false},
			{"from an hour ahead", time.Hour, false},
			{"over for 29 s", -(15*time.Minute + 29*time.Second), true},
			{"over for 31 s", -(15*time.Minute + 31*time.Second), false},
			{"from a day ago", -24 * time.Hour, false},
		} {
			token, err := i.Issue(t.Context(), id, "jti", time.Now().Add(c.iat))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := i.Verify(token.JWT); (err == nil) != c.wants {
				t.Errorf("%s: %v", c.what, err)
			}
		}
	})
}

// docs/reliability.md §3 row F31: the scan comes before a socket is bound, after it has left, after the end; and
// follow and scan come in any order.
func TestService_EventsOutOfOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		unbound, err := r.Start(t.Context(), login.StartRequest{Account: "main"})
		if err != nil {
			t.Fatal(err)
		}
		r.mustClaim(t, scan(unbound.Ticket, "ana"), login.OutcomeClaimed)
		r.mustClaim(t, scan(unbound.Ticket, "ana"), login.OutcomeSame)
		if got, err := r.Resume(t.Context(), unbound.Ticket.WeChat, unbound.Resume, "late", false); err != nil || !got.Pending() {
			t.Errorf("bound after the scan: %+v, %v", got, err)
		}
		never := scan(unbound.Ticket, "ana")
		never.Scene, never.WeChat = "L1.AAAAAAAAAAAAAAAAAAAAAA", "gQnever"
		r.mustClaim(t, never, login.OutcomeUnknown)

		late := r.start(t, login.StartRequest{})
		s.advance(316 * time.Second)
		got := r.mustClaim(t, scan(late.Ticket, "bob"), login.OutcomeExpired)
		if got.JTI != "" || got.OpenID != "" {
			t.Errorf("a late scan left %+v", got)
		}
		if _, err := r.Result(t.Context(), got); err == nil {
			t.Error("a token for a late scan")
		}
		s.advance(11 * time.Minute)
		r.mustClaim(t, scan(late.Ticket, "bob"), login.OutcomeUnknown)
	})
}

// docs/reliability.md §3 row F34
func TestService_Cancel_ClosedPageIsToldToTheScanner(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		if got, err := r.Cancel(t.Context(), a.Ticket.ID, a.Ticket.SocketID); err != nil || got.State != login.Cancelled {
			t.Fatalf("cancel: %+v, %v", got, err)
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeCancelled)
	})
}
