package login_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"posthouse/internal/login"
)

// The races of docs/wechat.md §3.3, by number; those about sockets are the gateway's.

// docs/wechat.md §3.3 race 1
func TestService_Resume_SocketReturnsBeforeTheScan(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{SocketID: "old"})
		if err := r.Unbind(t.Context(), a.Ticket.ID, "old"); err != nil {
			t.Fatal(err)
		}
		b, err := r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "new", false)
		if err != nil || b.State != login.Waiting || b.SocketID != "new" || b.ExpiresIn() <= 0 {
			t.Fatalf("resumed %+v, %v", b, err)
		}
		if err := r.Unbind(t.Context(), a.Ticket.ID, "old"); err != nil {
			t.Fatal(err)
		}
		if r.now(t, a.Ticket.ID).SocketID != "new" {
			t.Error("a late farewell of the old socket unbound the new one")
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		if n := r.ledger.notifications(); len(n) != 1 || n[0].SocketID != "new" {
			t.Errorf("notified %+v", n)
		}
		if r.weChat.calls.Load() != 1 {
			t.Error("a new QR code was spent")
		}
	})
}

// docs/wechat.md §3.3 race 2
func TestService_Claim_SocketIsDownAtTheCallback(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Challenge: challenge})
		r.Unbind(t.Context(), a.Ticket.ID, "socket-1")
		claimed := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		lost := r.mustResult(t, claimed, "code")
		s.advance(2 * time.Minute) // the code is over, the ticket's result is not
		b, err := r.Resume(t.Context(), a.Ticket.WeChat, a.Resume, "socket-2", false)
		if err != nil || !b.Pending() {
			t.Fatalf("resumed %+v, %v", b, err)
		}
		fresh := r.mustResult(t, b, "code")
		_, err = r.Exchange(t.Context(), lost, verifier)
		wantErr(t, err, login.ErrUnauthorized)
		token, err := r.Exchange(t.Context(), fresh, verifier)
		if err != nil || token.JTI != claimed.JTI {
			t.Fatalf("exchanged %v, %v", token.JTI, err)
		}
	})
}

// docs/wechat.md §3.3 race 3
func TestService_Claim_CallbackLandsOnAnotherReplica(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		here, there := newRig(t, s, nil), newRig(t, s, nil)
		a := here.start(t, login.StartRequest{SocketID: "here-1"})
		there.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		if n := there.ledger.notifications(); len(n) != 1 || n[0].SocketID != "here-1" || n[0].State != login.Done {
			t.Fatalf("the other replica notified %+v", n)
		}
		if got := here.now(t, a.Ticket.ID); !got.Pending() {
			t.Errorf("a lost publish would lose the login: %+v", got)
		}
	})
}

// docs/wechat.md §3.3 race 5
func TestService_Claim_SamePersonTwice(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		first := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		s.advance(3 * time.Second)
		second := r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeSame)
		if first.JTI == "" || second.JTI != first.JTI || !second.IssuedAt.Equal(first.IssuedAt) {
			t.Errorf("jti %q at %v became %q at %v", first.JTI, first.IssuedAt, second.JTI, second.IssuedAt)
		}
		if r.mustResult(t, first, "token") != r.mustResult(t, second, "token") {
			t.Error("the second token differs")
		}
	})
}

// docs/wechat.md §3.3 race 6
func TestService_Claim_FirstOfTwoPersonsWins(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		r.mustClaim(t, scan(a.Ticket, "bob"), login.OutcomeTaken)
		if got := r.now(t, a.Ticket.ID); got.OpenID != "ana" {
			t.Errorf("the ticket went to %q", got.OpenID)
		}
		if n := len(r.ledger.notifications()); n != 1 {
			t.Errorf("%d notifications", n)
		}
	})
}

// docs/wechat.md §3.3 race 7
func TestStore_Once_RepeatsWhileTheFirstIsSlow(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		once := func(want login.WebhookStage) []byte {
			t.Helper()
			stage, reply, err := s.Once(t.Context(), "event", 5*time.Second)
			if err != nil || stage != want {
				t.Fatalf("stage %v, %v; want %v", stage, err, want)
			}
			return reply
		}
		once(login.StageFirst)
		once(login.StageProcessing)
		if err := s.Finish(t.Context(), "event", []byte("reply"), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := once(login.StageDone); string(got) != "reply" {
			t.Errorf("repeat answered %q", got)
		}
	})
}

// docs/wechat.md §3.3 race 7
func TestStore_Once_ReplicaDiesWhileProcessing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		s.Once(t.Context(), "event", 5*time.Second)
		s.advance(5*time.Second + time.Millisecond)
		if stage, _, err := s.Once(t.Context(), "event", 5*time.Second); err != nil || stage != login.StageFirst {
			t.Fatalf("after the lease: %v, %v; want first", stage, err)
		}
	})
}

// docs/wechat.md §3.3 race 8
func TestService_Claim_DuplicateHoursLater(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		s.Once(t.Context(), "event", 5*time.Second)
		s.Finish(t.Context(), "event", nil, 24*time.Hour)
		s.advance(23 * time.Hour)
		if stage, _, _ := s.Once(t.Context(), "event", 5*time.Second); stage != login.StageDone {
			t.Errorf("stage %v after 23 h", stage)
		}
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeUnknown)
		s.advance(time.Hour)
		if stage, _, _ := s.Once(t.Context(), "event", 5*time.Second); stage != login.StageFirst {
			t.Errorf("stage %v after 24 h", stage)
		}
	})
}

// docs/wechat.md §3.3 race 9
func TestService_Claim_CodeExpiresWhileTheFollowPageIsOpen(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		slow, late := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		s.advance(300*time.Second + 10*time.Second)
		got, err := r.Expire(t.Context(), slow.Ticket.ID)
		if err != nil || got.Visible() != login.Expired || got.ExpiresIn() != 0 || got.Moved {
			t.Fatalf("in the grace: %+v, %v", got, err)
		}
		if got := r.mustClaim(t, scan(slow.Ticket, "ana"), login.OutcomeClaimed); got.State != login.Done {
			t.Errorf("claimed into %s", got.State)
		}
		s.advance(6 * time.Second)
		r.mustClaim(t, scan(late.Ticket, "bob"), login.OutcomeExpired)
		if got := r.now(t, late.Ticket.ID); got.State != login.Expired || got.OpenID != "" {
			t.Errorf("late ticket is %+v", got)
		}
	})
}

// docs/wechat.md §3.3 race 10
func TestService_Start_RefreshWhileBeingScanned(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		old := r.start(t, login.StartRequest{})
		fresh := r.start(t, login.StartRequest{Replaces: old.Ticket.ID})
		r.mustClaim(t, scan(old.Ticket, "ana"), login.OutcomeReplaced)
		if got := r.now(t, fresh.Ticket.ID); got.State != login.Waiting {
			t.Errorf("the new ticket is %s", got.State)
		}
		r.mustClaim(t, scan(fresh.Ticket, "ana"), login.OutcomeClaimed)
		b, err := r.Resume(t.Context(), old.Ticket.WeChat, old.Resume, "socket-9", false)
		if err != nil || b.Visible() != login.Replaced || b.ExpiresIn() != 0 {
			t.Errorf("the old one resumes as %s, %v", b.Visible(), err)
		}
	})
}

// docs/wechat.md §3.3 race 10
func TestService_Start_FailedRefreshLeavesTheOldCodeUsable(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		old := r.start(t, login.StartRequest{})
		r.weChat.err = errors.New("45009")
		if _, err := r.Start(t.Context(), login.StartRequest{Account: "main", Replaces: old.Ticket.ID}); !errors.Is(err, r.weChat.err) {
			t.Fatalf("refresh: %v", err)
		}
		r.mustClaim(t, scan(old.Ticket, "ana"), login.OutcomeClaimed)
	})
}

// docs/wechat.md §3.3 race 11
func TestService_Claim_ScanAndSubscribeInAnyOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		subscribe := scan(a.Ticket, "ana")
		subscribe.WeChat = ""
		r.mustClaim(t, subscribe, login.OutcomeClaimed)
		byTicket := scan(a.Ticket, "ana")
		byTicket.Scene = ""
		r.mustClaim(t, byTicket, login.OutcomeSame)
	})
}

// docs/wechat.md §3.3 race 17
func TestService_Start_TwoTabsAreTwoAttempts(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a, b := r.start(t, login.StartRequest{SocketID: "tab-a"}), r.start(t, login.StartRequest{SocketID: "tab-b"})
		_, err := r.Resume(t.Context(), a.Ticket.WeChat, b.Resume, "tab-b", false)
		wantErr(t, err, login.ErrUnauthorized)
		r.mustClaim(t, scan(a.Ticket, "ana"), login.OutcomeClaimed)
		if got := r.now(t, b.Ticket.ID); got.State != login.Waiting {
			t.Errorf("the other tab is %s", got.State)
		}
	})
}

// docs/wechat.md §3.3 race 18
func TestService_Forget_UnsubscribeRightAfterTheScan(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		direct, coded := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{Challenge: challenge})
		a := r.mustClaim(t, scan(direct.Ticket, "ana"), login.OutcomeClaimed)
		b := r.mustClaim(t, scan(coded.Ticket, "bob"), login.OutcomeClaimed)
		code := r.mustResult(t, b, "code")
		older := b
		again := r.start(t, login.StartRequest{})
		b = r.mustClaim(t, scan(again.Ticket, "bob"), login.OutcomeClaimed) // his second login
		for _, who := range []string{"ana", "bob"} {
			if err := r.Forget(t.Context(), "wx-main", who, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		got := r.now(t, a.ID)
		if got.Pending() || !got.Revoked {
			t.Errorf("still logged in: %+v", got)
		}
		_, err := r.Result(t.Context(), got)
		wantErr(t, err, login.ErrNoResult)
		_, err = r.Exchange(t.Context(), code, verifier)
		wantErr(t, err, login.ErrUnauthorized)
		revoked, err := s.Revoked(t.Context(), 10)
		if err != nil || !slices.Contains(revoked, a.JTI) || !slices.Contains(revoked, b.JTI) || !slices.Contains(revoked, older.JTI) {
			t.Errorf("revoked %v, %v", revoked, err)
		}
		if n := r.ledger.notifications(); len(n) != 6 || !n[3].Revoked || !n[4].Revoked || !n[5].Revoked {
			t.Errorf("the pages were not told: %+v", n)
		}
	})
}

// Nothing arrives from a person who scans and does not follow: the attempt expires,
// and is counted.
//
// docs/wechat.md §3.3 race 19
func TestService_Expire_ScanWithoutFollow(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		s.advance(301 * time.Second)
		if got := r.now(t, a.Ticket.ID); got.Visible() != login.Expired {
			t.Errorf("after its life: %s", got.Visible())
		}
		s.advance(15 * time.Second)
		got, err := r.Expire(t.Context(), a.Ticket.ID)
		if err != nil || got.State != login.Expired || got.Reason != "timeout" || !got.Moved {
			t.Errorf("%+v, %v", got, err)
		}
		if n := r.ledger.count("attempt expired:timeout"); n != 1 {
			t.Errorf("counted %d times", n)
		}
		s.advance(11 * time.Minute)
		_, err = r.Ticket(t.Context(), a.Ticket.ID)
		wantErr(t, err, login.ErrUnauthorized) // nothing stays
	})
}

// docs/wechat.md §3.3 race 20
func TestService_Claim_AccountsAreNotMixedUp(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{Account: "main"})
		foreign := scan(a.Ticket, "ana")
		foreign.AppID = "wx-other"
		got := r.mustClaim(t, foreign, login.OutcomeForeign)
		if got.State != login.Waiting || got.OpenID != "" || len(r.ledger.notifications()) != 0 {
			t.Errorf("a foreign claim changed %+v", got)
		}
	})
}

// docs/wechat.md §3.3 race 21
func TestService_ClocksOfReplicasDiffer(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		fast := scan(a.Ticket, "ana")
		fast.At = time.Now().Add(24 * time.Hour) // a replica whose clock is a day ahead
		r.mustClaim(t, fast, login.OutcomeClaimed)
	})
}
