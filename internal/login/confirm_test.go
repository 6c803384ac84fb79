package login_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"posthouse/internal/login"
)

func confirmed(c login.Claim) login.Claim { c.Confirm = true; return c }

func TestConfirmWithTheRightNumber(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		got := r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeClaimed)
		if got.State != login.Claimed || len(got.Number) != 2 || got.Pending() {
			t.Fatalf("claimed into %+v", got)
		}
		if _, err := r.Result(t.Context(), got); !errors.Is(err, login.ErrNoResult) {
			t.Errorf("an unconfirmed scan gives a result: %v", err)
		}
		r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeSame)
		r.mustClaim(t, confirmed(scan(a.Ticket, "bob")), login.OutcomeTaken)
		if _, o, err := r.Confirm(t.Context(), a.Ticket.AppID, "bob", got.Number, time.Time{}); err != nil || o != login.OutcomeUnknown {
			t.Errorf("bob confirms: %s, %v", o, err)
		}
		done, o, err := r.Confirm(t.Context(), a.Ticket.AppID, "ana", got.Number, time.Time{})
		if err != nil || o != login.OutcomeClaimed || done.State != login.Done || done.JTI != got.JTI || !done.Pending() {
			t.Fatalf("confirmed: %s, %+v, %v", o, done, err)
		}
		if _, o, _ := r.Confirm(t.Context(), a.Ticket.AppID, "ana", got.Number, time.Time{}); o != login.OutcomeSame {
			t.Errorf("confirmed again: %s", o)
		}
		if n := r.ledger.notifications(); len(n) != 2 || n[0].State != login.Claimed || n[1].State != login.Done {
			t.Errorf("notified %+v", n)
		}
	})
}

// asking is a store that is watched at the moment a page is told to ask.
type asking struct {
	Store
	err     error // what the store says, if not what is asked for
	lastErr error // whether the person's answer would have been understood
}

func (a *asking) Ask(ctx context.Context, id, openID string) (login.Ticket, error) {
	if a.err != nil {
		return login.Ticket{}, a.err
	}
	_, a.lastErr = a.Last(ctx, "wx-main", openID, time.Time{})
	return a.Store.Ask(ctx, id, openID)
}

// An answer that comes at once, from another replica, is understood: the number
// stands on the page only when the way from the person to the ticket does.
func TestTheNumberIsShownOnceItsAnswerIsUnderstood(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		watched := &asking{Store: s.Store, err: errAway}
		r := newRig(t, s, func(o *login.ServiceOptions) { o.Store = watched })
		a := r.start(t, login.StartRequest{})
		if _, _, err := r.Claim(t.Context(), confirmed(scan(a.Ticket, "ana"))); !errors.Is(err, login.ErrStoreUnavailable) {
			t.Fatalf("a claim that could not ask: %v", err) // so WeChat repeats it
		}
		if page := r.now(t, a.Ticket.ID); page.State != login.Claimed || page.Visible() != login.Waiting {
			t.Errorf("half claimed, the page shows %s", page.Visible())
		}
		if n := r.ledger.notifications(); len(n) > 0 {
			t.Errorf("notified of half a claim: %+v", n)
		}
		watched.err, watched.lastErr = nil, errors.New("not asked")
		got := r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeSame)
		if got.Visible() != login.Claimed || watched.lastErr != nil {
			t.Errorf("the page shows %s; the person's ticket: %v", got.Visible(), watched.lastErr)
		}
		if n := r.ledger.notifications(); len(n) != 1 || n[0].Visible() != login.Claimed {
			t.Errorf("notified %+v", n)
		}
		if _, o, err := r.Confirm(t.Context(), "wx-main", "ana", got.Number, time.Time{}); err != nil || o != login.OutcomeClaimed {
			t.Errorf("confirmed: %s, %v", o, err)
		}
	})
}

func TestConfirmWithAWrongNumberDenies(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		claimed := r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeClaimed)
		wrong := "10"
		if claimed.Number == wrong {
			wrong = "11"
		}
		got, o, err := r.Confirm(t.Context(), a.Ticket.AppID, "ana", wrong, time.Time{})
		if err != nil || o != login.OutcomeDenied || got.State != login.Denied {
			t.Fatalf("%s, %+v, %v", o, got, err)
		}
		if _, o, _ = r.Confirm(t.Context(), a.Ticket.AppID, "ana", claimed.Number, time.Time{}); o != login.OutcomeDenied {
			t.Errorf("a second guess: %s", o)
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeDenied)
	})
}

func TestConfirmComesTooLate(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		s.advance(310 * time.Second) // claimed in the grace: there is still a minute to confirm
		got := r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeClaimed)
		if got.Visible() != login.Claimed || got.ExpiresIn() < 59*time.Second {
			t.Errorf("%s, %v left", got.Visible(), got.ExpiresIn())
		}
		s.advance(61 * time.Second)
		if _, o, err := r.Confirm(t.Context(), a.Ticket.AppID, "ana", got.Number, time.Time{}); err != nil || o != login.OutcomeExpired {
			t.Errorf("%s, %v", o, err)
		}
		if now := r.now(t, a.Ticket.ID); now.State != login.Expired || now.Reason != "confirm_timeout" {
			t.Errorf("ended as %s: %s", now.State, now.Reason)
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeExpired)
	})
}

// docs/reliability.md §4 row 38.
func TestService_Deny_DeniesOrRevokes(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		if _, o, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{}); err != nil || o != login.OutcomeUnknown {
			t.Errorf("nothing to deny: %s, %v", o, err)
		}
		a := r.start(t, login.StartRequest{})
		r.mustClaim(t, confirmed(scan(a.Ticket, "ana")), login.OutcomeClaimed)
		got, o, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{})
		if err != nil || o != login.OutcomeDenied || got.State != login.Denied {
			t.Errorf("claimed: %s, %s, %v", o, got.State, err)
		}

		b := r.start(t, login.StartRequest{Challenge: challenge})
		done := r.mustClaim(t, scan(b.Ticket, "ana"), login.OutcomeClaimed)
		code := r.mustResult(t, done, "code")
		got, o, err = r.Deny(t.Context(), "wx-main", "ana", time.Time{})
		if err != nil || o != login.OutcomeDenied || !got.Revoked || got.Pending() {
			t.Errorf("done: %s, %+v, %v", o, got, err)
		}
		_, err = r.Exchange(t.Context(), code, verifier)
		wantErr(t, err, login.ErrUnauthorized)
		_, err = r.Result(t.Context(), got)
		wantErr(t, err, login.ErrNoResult)
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || !slices.Contains(revoked, done.JTI) {
			t.Errorf("revoked %v, %v", revoked, err)
		}
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || slices.Contains(revoked, "another") {
			t.Errorf("another: %v, %v", revoked, err)
		}
		s.advance(15*time.Minute + 31*time.Second) // its end, and the leeway
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || len(revoked) != 0 {
			t.Errorf("listed for ever: %v, %v", revoked, err)
		}
		if n := r.ledger.count("attempt revoked"); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// A token outlives its ticket, and can be taken back all the same.
//
// docs/reliability.md §4 row 38
func TestService_Deny_AfterTheTicketIsGone(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, func(o *login.ServiceOptions) { o.TokenTTL = 12 * time.Hour })
		var tokens []string
		for range 70 { // more than are known of one person
			a := r.start(t, login.StartRequest{})
			tokens = append(tokens, r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed).JTI)
			s.advance(time.Second)
		}
		s.advance(time.Hour)
		if _, err := s.Last(t.Context(), "wx-main", "ana", time.Time{}); !errors.Is(err, login.ErrUnauthorized) {
			t.Errorf("the ticket: %v", err)
		}
		for range 2 { // the latest, however often it is said
			got, o, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{})
			if err != nil || o != login.OutcomeDenied || !got.Revoked {
				t.Fatalf("%s, %+v, %v", o, got, err)
			}
			if revoked, err := s.Revoked(t.Context(), 100); err != nil || len(revoked) != 1 || revoked[0] != tokens[69] {
				t.Errorf("revoked %v, %v; want %s", revoked, err, tokens[69])
			}
		}
		if err := r.Forget(t.Context(), "wx-main", "ana", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || len(revoked) != 64 {
			t.Errorf("%d revoked, %v", len(revoked), err)
		}
		if _, o, err := r.Deny(t.Context(), "wx-main", "ana", time.Time{}); err != nil || o != login.OutcomeUnknown {
			t.Errorf("once forgotten: %s, %v", o, err)
		}
		s.advance(12*time.Hour + time.Minute)
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || len(revoked) != 0 {
			t.Errorf("listed for ever: %v, %v", revoked, err)
		}
	})
}

func TestForgetRemovesThePerson(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		c := scan(a.Ticket, "ana")
		c.UnionID = "union-ana"
		done := r.mustClaim(t, c, login.OutcomeClaimed)
		for range 2 {
			if err := r.Forget(t.Context(), "wx-main", "ana", time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		got := r.now(t, a.Ticket.ID)
		if got.OpenID == "ana" || got.UnionID != "" || !got.Revoked {
			t.Errorf("kept %+v", got)
		}
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || !slices.Contains(revoked, done.JTI) {
			t.Errorf("revoked %v, %v", revoked, err)
		}
		for _, openID := range []string{"ana", "bob"} {
			r.mustClaim(t, scan(a.Ticket, openID), login.OutcomeTaken)
		}
	})
}

func TestTypedCode(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.weChat.typed, r.weChat.err = true, errors.New("no quota")
		if _, err := r.Start(t.Context(), login.StartRequest{}); err == nil {
			t.Error("a page that cannot show a code got one")
		}
		a := r.start(t, login.StartRequest{Typed: true})
		if len(a.Code) != 8 || a.URL != "" {
			t.Fatalf("started %+v", a)
		}
		by := func(openID, text string) login.Outcome {
			t.Helper()
			_, o, err := r.ClaimCode(t.Context(), login.Claim{AppID: a.Ticket.AppID, OpenID: openID}, text)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		for _, text := range []string{"", "hello", "00000000x", "uuuuuuuu", "zzzzzzz0"} {
			if o := by("ana", text); o != login.OutcomeUnknown {
				t.Errorf("%q: %s", text, o)
			}
		}
		if o := by("ana", a.Code); o != login.OutcomeClaimed {
			t.Errorf("the code: %s", o)
		}
		if o := by("bob", a.Code); o != login.OutcomeTaken {
			t.Errorf("the code again: %s", o)
		}
		b, err := r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "s2", false)
		if err != nil || !b.Pending() {
			t.Errorf("resumed %+v, %v", b, err)
		}
	})
}

// A person who cannot scan asks for a code to type; it costs no QR code.
func TestTypedCodeOnRequest(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Typed: true, PreferTyped: true})
		if len(a.Code) != 8 || a.URL != "" || r.weChat.calls.Load() != 0 {
			t.Fatalf("started %+v with %d QR codes", a, r.weChat.calls.Load())
		}
		claim := login.Claim{AppID: a.Ticket.AppID, OpenID: "ana"}
		if _, o, err := r.ClaimCode(t.Context(), claim, a.Code); o != login.OutcomeClaimed || err != nil {
			t.Errorf("%s, %v", o, err)
		}
		r.weChat.noTyped = true
		if b := r.start(t, login.StartRequest{Typed: true, PreferTyped: true}); b.Code != "" || b.URL == "" {
			t.Errorf("an account without codes to type: %+v", b)
		}
	})
}
