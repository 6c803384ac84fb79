package login_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"posthouse/internal/login"
)

// at is a moment of WeChat's clock in these tests.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

// Pushes arrive in any order. What a person does later stands, whatever arrives first.
func TestForget_EventBeforeTheLogin_LeavesTheLogin(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		old, fresh := r.start(t, login.StartRequest{}), r.start(t, login.StartRequest{})
		claim := func(a login.Started, seconds int) login.Claim {
			c := scan(a.Ticket, "ana")
			c.EventAt = at(seconds)
			return c
		}
		r.mustClaim(t, claim(old, -10), login.OutcomeClaimed)
		r.mustClaim(t, claim(fresh, 0), login.OutcomeClaimed)
		for range 2 {
			if err := r.Forget(t.Context(), "wx-main", "ana", at(-5)); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.now(t, old.Ticket.ID); !got.Revoked || got.OpenID == "ana" {
			t.Errorf("the login before: %+v", got)
		}
		if got := r.now(t, fresh.Ticket.ID); got.Revoked || got.OpenID != "ana" {
			t.Errorf("the login after: %+v", got)
		}
		r.mustResult(t, r.now(t, fresh.Ticket.ID), "token")

		late := r.start(t, login.StartRequest{})
		r.mustClaim(t, claim(late, -6), login.OutcomeLeft) // a scan from before the person left
		if got := r.now(t, late.Ticket.ID); got.State != login.Waiting {
			t.Errorf("after a late scan: %s", got.State)
		}
		// A "not me" from before the login is about nothing that is left.
		if _, o, err := r.Deny(t.Context(), "wx-main", "ana", at(-1)); err != nil || o != login.OutcomeUnknown {
			t.Errorf("a late denial: %s, %v", o, err)
		}
		if _, o, err := r.Deny(t.Context(), "wx-main", "ana", at(0)); err != nil || o != login.OutcomeDenied {
			t.Errorf("a denial of now: %s, %v", o, err)
		}
	})
}

// A number that was typed before the login is no answer to its question.
func TestConfirm_AnswerBeforeTheLogin_DoesNotDenyIt(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		a := r.start(t, login.StartRequest{})
		c := scan(a.Ticket, "ana")
		c.EventAt, c.Confirm = at(0), true
		claimed := r.mustClaim(t, c, login.OutcomeClaimed)
		if _, o, err := r.Confirm(t.Context(), "wx-main", "ana", "00", at(-5)); err != nil || o != login.OutcomeUnknown {
			t.Errorf("a late answer: %s, %v", o, err)
		}
		if _, o, err := r.Confirm(t.Context(), "wx-main", "ana", claimed.Number, at(3)); err != nil || o != login.OutcomeClaimed {
			t.Errorf("the answer: %s, %v", o, err)
		}
	})
}

func TestSpool_ClaimKeepsItsEventTime(t *testing.T) {
	for _, c := range []login.Claim{{Scene: "L1.a", At: at(1), EventAt: at(0)}, {Scene: "L1.a", At: at(1)}} {
		got, ok := login.ReadSpoolLine(login.SpoolLine(c))
		if !ok || !got.EventAt.Equal(c.EventAt) {
			t.Errorf("read %+v, %v; want %+v", got, ok, c)
		}
	}
}

// The model: one person's logins and farewells, judged by when they happened.
func checkEventModel(t *rapid.T, tt *testing.T, r *rig, openID string) {
	type visit struct {
		id            string
		ticket        login.Ticket
		state         login.State
		event         int
		revoked, gone bool
	}
	var visits []*visit
	left, used := -1, map[int]bool{}
	t.Repeat(map[string]func(*rapid.T){
		"claim": func(t *rapid.T) {
			if len(visits) > 6 {
				t.Skip()
			}
			event := rapid.IntRange(0, 100).Filter(func(n int) bool { return !used[n] }).Draw(t, "event")
			used[event] = true
			a := r.start(tt, login.StartRequest{})
			c := scan(a.Ticket, openID)
			c.EventAt, c.Confirm = at(event), rapid.Bool().Draw(t, "confirm")
			_, o, err := r.Claim(tt.Context(), c)
			v := &visit{id: a.Ticket.ID, ticket: a.Ticket, state: login.Waiting, event: event}
			want := login.OutcomeLeft
			if event >= left {
				want, v.state = login.OutcomeClaimed, login.Done
				if c.Confirm {
					v.state = login.Claimed
				}
				visits = append(visits, v)
			}
			if err != nil || o != want {
				t.Fatalf("claim at %d, left at %d: %s, %v", event, left, o, err)
			}
		},
		"forget": func(t *rapid.T) {
			event := rapid.IntRange(0, 100).Draw(t, "event")
			if err := r.Forget(tt.Context(), "wx-main", openID, at(event)); err != nil {
				t.Fatal(err)
			}
			left = max(left, event)
			for _, v := range visits {
				if v.event > event || v.gone {
					continue
				}
				v.gone = true
				if v.state == login.Claimed {
					v.state = login.Denied
				} else if v.state == login.Done {
					v.revoked = true
				}
			}
		},
		"deny": func(t *rapid.T) {
			event := rapid.IntRange(0, 100).Draw(t, "event")
			if _, _, err := r.Deny(tt.Context(), "wx-main", openID, at(event)); err != nil {
				t.Fatal(err)
			}
			var about *visit // the last one that was claimed, or the latest no later than this
			for n, v := range visits {
				if !v.gone && v.event <= event && (about == nil || n == len(visits)-1 || v.event > about.event) {
					about = v
				}
			}
			switch {
			case about == nil:
			case about.state == login.Claimed:
				about.state = login.Denied
			case about.state == login.Done:
				about.revoked = true
			}
		},
		"": func(t *rapid.T) {
			for _, v := range visits {
				got, err := r.Ticket(tt.Context(), v.id)
				if err != nil || got.State != v.state || got.Revoked != v.revoked || (got.OpenID == openID) == v.gone {
					t.Fatalf("claimed at %d: %s, revoked %v, %q, %v; want %+v", v.event, got.State, got.Revoked, got.OpenID, err, v)
				}
			}
		},
	})
}

func TestStores_EventsInAnyOrder_AgainstTheModel(t *testing.T) {
	eachStore(t, func(t *testing.T, s *fixture) {
		r, n := newRig(t, s, nil), 0
		rapid.Check(inBubble{t}, func(rt *rapid.T) {
			n++
			checkEventModel(rt, t, r, fmt.Sprint("person-", n))
		})
	})
}
