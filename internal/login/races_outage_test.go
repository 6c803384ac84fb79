package login_test

import (
	"path/filepath"
	"testing"
	"time"

	"posthouse/internal/login"
)

// docs/wechat.md §3.3 races 12 to 15: the store or an answer is lost on the way.

// docs/wechat.md §3.3 race 12
func TestService_Claim_StoreIsDownAtTheCallback(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		spool, err := login.OpenSpool(filepath.Join(t.TempDir(), "claims"))
		if err != nil {
			t.Fatal(err)
		}
		defer spool.Close()
		r := newRig(t, s, func(o *login.ServiceOptions) { o.Spool = spool })
		a, b := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		r.store.away.Store(true)
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSpooled)
		r.mustClaim(t, scan(b.Ticket, "cleo"), login.OutcomeSpooled)
		r.store.away.Store(false)
		// The store is back but the spool is not replayed yet: ana was first.
		r.mustClaim(t, scan(a.Ticket, "bob"), login.OutcomeSpooled)
		if !r.ReplaySpool(t.Context()) || spool.Len() != 0 {
			t.Fatalf("%d claims stayed", spool.Len())
		}
		if got := r.now(t, a.Ticket.ID); got.OpenID != "ana" || got.State != login.Done {
			t.Errorf("the ticket went to %q (%s)", got.OpenID, got.State)
		}
		if n := r.ledger.notifications(); len(n) != 2 || n[0].ID != a.Ticket.ID || n[1].ID != b.Ticket.ID {
			t.Errorf("notified %+v", n)
		}
	})
}

// docs/wechat.md §3.3 race 12
func TestSpool_ClaimIsJudgedByItsArrival(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a, b := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		s.advance(300*time.Second + 20*time.Second)
		if got, err := r.Expire(t.Context(), a.Ticket.ID); err != nil || got.State != login.Expired {
			t.Fatalf("after the grace: %+v, %v", got, err)
		}
		inTime := scan(a.Ticket, "ana")
		inTime.At = time.Now().Add(-6 * time.Second)
		if got := r.mustClaim(t, inTime, login.OutcomeClaimed); got.State != login.Done || got.JTI == "" {
			t.Errorf("claimed into %+v", got)
		}
		tooLate := scan(b.Ticket, "bob")
		tooLate.At = time.Now().Add(-4 * time.Second)
		r.mustClaim(t, tooLate, login.OutcomeExpired)
	})
}

// docs/wechat.md §3.3 race 12
func TestService_Claim_WithoutSpoolThereIsNoSuccess(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		r.store.away.Store(true)
		_, _, err := r.Claim(t.Context(), scan(a.Ticket, "ana"))
		wantErr(t, err, login.ErrStoreUnavailable)
	})
}

// docs/wechat.md §3.3 race 13
func TestService_Start_StoreIsDown(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.store.away.Store(true)
		_, err := r.Start(t.Context(), login.StartRequest{Account: "main", SocketID: "s"})
		wantErr(t, err, login.ErrStoreUnavailable)
		if r.weChat.calls.Load() != 0 {
			t.Error("a QR code was burned")
		}
	})
}

// docs/wechat.md §3.3 race 14
func TestService_LostWritesFailClosed(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Challenge: challenge})
		code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed), "code")
		s.lose()
		_, err := r.Exchange(t.Context(), code, verifier)
		wantErr(t, err, login.ErrUnauthorized)
		_, err = r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "s", false)
		wantErr(t, err, login.ErrUnauthorized)
		if got, err := r.Tickets(t.Context(), []string{a.Ticket.ID}); err != nil || len(got) != 0 {
			t.Errorf("tickets %v, %v", got, err)
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeUnknown)
	})
}

// docs/wechat.md §3.3 race 15
func TestService_Exchange_LostAnswerCanBeAskedForAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Challenge: challenge})
		code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed), "code")
		first, err := r.Exchange(t.Context(), code, verifier)
		if err != nil {
			t.Fatal(err)
		}
		s.advance(29 * time.Second)
		again, err := r.Exchange(t.Context(), code, verifier)
		if err != nil || again.JWT != first.JWT {
			t.Fatalf("repeat: %v, same token: %v", err, again.JWT == first.JWT)
		}
		s.advance(2 * time.Second)
		_, err = r.Exchange(t.Context(), code, verifier)
		wantErr(t, err, login.ErrUnauthorized)
	})
}
