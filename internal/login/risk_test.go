package login_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/login"
)

// The confirm step in mode risk (docs/wechat.md §4.2).

// visitor is a browser somewhere.
type visitor struct{ browser, network string }

var home = visitor{"browser-1", "203.0.113.*"}

// riskyScan starts a login from v and lets openID scan it.
func (r *rig) riskyScan(t *testing.T, v visitor, openID string) login.Ticket {
	t.Helper()
	a := r.start(t, login.StartRequest{Browser: v.browser, Network: v.network, Agent: "Chrome, Windows"})
	c := scan(a.Ticket, openID)
	c.Risk = true
	got := r.mustClaim(t, c, login.OutcomeClaimed)
	if got.Agent != "Chrome, Windows" || got.Network != v.network {
		t.Errorf("the ticket forgot where it is shown: %+v", got)
	}
	return got
}

func (r *rig) wantAsked(t *testing.T, got login.Ticket, why login.Unusual) {
	t.Helper()
	if got.State != login.Claimed || !got.Moved || got.Pending() {
		t.Fatalf("%s (%s) instead of a question", got.State, got.Reason)
	}
	if n := r.ledger.count("confirm asked:" + string(why)); n == 0 {
		t.Fatalf("asked, but not because of %q: %v", why, r.ledger.counts)
	}
}

func (r *rig) wantPassed(t *testing.T, got login.Ticket) {
	t.Helper()
	if got.State != login.Done || !got.Moved || !got.Pending() || got.JTI == "" {
		t.Fatalf("not passed: %+v, %v", got, r.ledger.counts)
	}
}

func (r *rig) yes(t *testing.T, got login.Ticket, openID string) {
	t.Helper()
	if _, o, err := r.Confirm(t.Context(), got.AppID, openID, got.Number, time.Time{}); err != nil || o != login.OutcomeClaimed {
		t.Fatalf("confirmed: %s, %v", o, err)
	}
}

func TestRiskAsksOncePerNetworkAndBrowser(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		first := r.riskyScan(t, home, "ana")
		r.wantAsked(t, first, login.UnusualNetwork)
		again := scan(first, "ana")
		again.Risk = true
		if got := r.mustClaim(t, again, login.OutcomeSame); got.State != login.Claimed {
			t.Errorf("a second scan made it %s", got.State)
		}
		r.yes(t, first, "ana")
		s.advance(time.Hour)
		passed := r.riskyScan(t, home, "ana")
		r.wantPassed(t, passed)
		if n := r.ledger.notifications(); n[len(n)-1].ID != passed.ID || n[len(n)-1].State != login.Done {
			t.Errorf("notified %+v", n[len(n)-1])
		}
		r.wantAsked(t, r.riskyScan(t, visitor{home.browser, "198.51.100.*"}, "ana"), login.UnusualNetwork)
		r.wantAsked(t, r.riskyScan(t, visitor{"browser-2", home.network}, "ana"), login.UnusualBrowser)
		r.wantAsked(t, r.riskyScan(t, visitor{"", home.network}, "ana"), login.UnusualBrowser)
		r.wantAsked(t, r.riskyScan(t, home, "bob"), login.UnusualNetwork) // what is ana's is not bob's
		s.advance(91 * 24 * time.Hour)
		r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualNetwork)
	})
}

// A login that was not confirmed teaches nothing: an attacker's browser stays unknown.
func TestRiskLearnsOnlyFromTheConfirmed(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		for range 3 {
			r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualNetwork)
		}
		denied := r.riskyScan(t, home, "ana")
		if _, o, err := r.Deny(t.Context(), denied.AppID, "ana", time.Time{}); err != nil || o != login.OutcomeDenied {
			t.Fatalf("denied: %s, %v", o, err)
		}
		r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualNetwork)
	})
}

func TestRiskAsksWhenThereAreMany(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.yes(t, r.riskyScan(t, home, "ana"), "ana")
		for range 4 {
			r.wantPassed(t, r.riskyScan(t, home, "ana"))
		}
		r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualOften)
		s.advance(10*time.Minute + time.Second)
		r.wantPassed(t, r.riskyScan(t, home, "ana"))
	})
}

// "Not me" after a login that passed takes it back, and its marks with it.
func TestRiskNotMeIsAskedAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.yes(t, r.riskyScan(t, home, "ana"), "ana")
		passed := r.riskyScan(t, home, "ana")
		r.wantPassed(t, passed)
		if got, o, err := r.Deny(t.Context(), passed.AppID, "ana", time.Time{}); err != nil || o != login.OutcomeDenied || !got.Revoked {
			t.Fatalf("%s, %+v, %v", o, got, err)
		}
		if revoked, err := s.Revoked(t.Context(), 100); err != nil || !slices.Contains(revoked, passed.JTI) {
			t.Errorf("revoked %v, %v", revoked, err)
		}
		r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualNetwork)
	})
}

func TestRiskIsForgottenWithThePerson(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.yes(t, r.riskyScan(t, home, "ana"), "ana")
		s.advance(time.Hour) // her ticket is gone by itself, what is remembered is not
		if s.rdb != nil {
			for _, key := range s.keys(t) {
				if strings.Contains(key, "ana") {
					t.Errorf("key %s names her", key)
				}
				if !strings.Contains(key, ":k:") {
					continue
				}
				all, err := s.rdb.HGetAll(t.Context(), key).Result()
				if err != nil || len(all) == 0 || strings.Contains(fmt.Sprint(all), "203.0.113") || strings.Contains(fmt.Sprint(all), home.browser) {
					t.Errorf("%s: %v, %v", key, all, err)
				}
				if ttl := s.rdb.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > 90*24*time.Hour {
					t.Errorf("%s lives %v", key, ttl)
				}
			}
		}
		if err := r.Forget(t.Context(), "wx-main", "ana", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if s.rdb != nil {
			for _, key := range s.keys(t) {
				if strings.Contains(key, ":k:") {
					t.Errorf("%s is still there", key)
				}
			}
		}
		r.wantAsked(t, r.riskyScan(t, home, "ana"), login.UnusualNetwork)
	})
}

// Sixteen networks and browsers are known, the one used last of all longest.
func TestRiskMemoryIsBounded(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		mark := func(n int) login.Marks {
			return login.Marks{Ticket: fmt.Sprint("t", n), Network: fmt.Sprint("n", n), Browser: fmt.Sprint("b", n)}
		}
		weigh := func(n int) login.Unusual {
			t.Helper()
			u, err := s.AssessRisk(t.Context(), "wx", "ana", mark(n))
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		for n := range 40 {
			s.advance(11 * time.Minute)
			weigh(n)
			if err := s.Trust(t.Context(), "wx", "ana", mark(n)); err != nil {
				t.Fatal(err)
			}
		}
		s.advance(11 * time.Minute)
		if u := weigh(23); u != login.UnusualNetwork {
			t.Errorf("the oldest: %q", u)
		}
		if u := weigh(24); u != "" {
			t.Errorf("the sixteenth: %q", u)
		}
		for n := range 40 {
			weigh(100 + n)
		}
		if s.rdb != nil {
			for _, key := range s.keys(t) {
				if n := s.rdb.HLen(t.Context(), key).Val(); n > 2*16+5 {
					t.Errorf("%s has %d fields", key, n)
				}
			}
		}
		// A person forgotten while a login was under way stays forgotten.
		if err := s.Distrust(t.Context(), "wx", "ana"); err != nil {
			t.Fatal(err)
		}
		if err := s.Trust(t.Context(), "wx", "ana", mark(24)); err != nil {
			t.Fatal(err)
		}
		if u := weigh(24); u != login.UnusualNetwork {
			t.Errorf("after forgetting: %q", u)
		}
	})
}

// undecided is a store that cannot tell about risks.
type undecided struct{ Store }

func (undecided) AssessRisk(context.Context, string, string, login.Marks) (login.Unusual, error) {
	return "", errAway
}

func TestRiskAsksWhenTheStoreCannotTell(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		r.yes(t, r.riskyScan(t, home, "ana"), "ana")
		blind := newRig(t, s, func(o *login.ServiceOptions) { o.Store = undecided{s} })
		got := blind.riskyScan(t, home, "ana")
		blind.wantAsked(t, got, login.UnusualUnknown)
		if _, err := blind.Result(t.Context(), got); err == nil {
			t.Error("a result without an answer")
		}
		blind.yes(t, got, "ana")
	})
}
