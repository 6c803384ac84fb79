package login_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"posthouse/internal/login"
)

// The model: a ticket in thirty lines, without atomicity, storage or hashing.
type model struct {
	state          login.State
	exp            time.Duration // on the model's own clock
	openID, socket string
	secret         string
	delivered      bool
	asked          bool
	jti            string // as the store told it when the claim won
}

func (m *model) visible(now time.Duration) login.State {
	if (m.state == login.Waiting || m.state == login.Claimed) && now >= m.exp {
		return login.Expired
	}
	if m.state == login.Claimed && !m.asked {
		return login.Waiting
	}
	return m.state
}

func (m *model) claim(now time.Duration, openID string, confirm bool) login.Outcome {
	switch {
	case m.state == login.Waiting, m.state == login.Expired && m.openID == "":
		if now > m.exp+15*time.Second {
			m.state = login.Expired
			return login.OutcomeExpired
		}
		m.openID, m.state = openID, login.Done
		if confirm {
			m.state, m.exp = login.Claimed, max(m.exp, now+time.Minute)
		}
		return login.OutcomeClaimed
	case m.state != login.Done && m.state != login.Claimed:
		return login.Outcome(m.state)
	case m.openID == openID:
		return login.OutcomeSame
	}
	return login.OutcomeTaken
}

func (m *model) confirm(now time.Duration, openID string, ok bool) login.Outcome {
	switch {
	case m.openID == "":
		return login.OutcomeUnknown
	case m.openID != openID:
		return login.OutcomeTaken
	case m.state == login.Done:
		return login.OutcomeSame
	case m.state != login.Claimed:
		return login.Outcome(m.state)
	case now > m.exp:
		m.state = login.Expired
		return login.OutcomeExpired
	case !ok:
		m.state = login.Denied
		return login.OutcomeDenied
	}
	m.state = login.Done
	return login.OutcomeClaimed
}

func (m *model) end(now time.Duration, to login.State) {
	over := m.exp
	if m.state == login.Waiting {
		over += 15 * time.Second
	}
	if (m.state == login.Waiting || m.state == login.Claimed) && (to != login.Expired || now > over) {
		m.state = to
	}
}

// drift is how far a real server's clock may run on by itself during one check.
const drift = 400 * time.Millisecond

// close reports whether now is so near to a moment when something ends that the
// drift would decide.
func (m *model) close(now, life time.Duration) bool {
	for _, end := range []time.Duration{life, life + 15*time.Second, m.exp, m.exp + 15*time.Second} {
		if (now - end).Abs() < drift {
			return true
		}
	}
	return false
}

// checkModel compares a store with the model under random steps. With a clock that
// runs by itself, moments at which something ends are avoided.
func checkModel(t *rapid.T, ctx context.Context, store Store, advance func(time.Duration), runs bool, id string) {
	var now time.Duration
	life := time.Duration(rapid.IntRange(1, 300).Draw(t, "life")) * time.Second
	m := &model{state: login.Waiting, exp: life, socket: "s0", secret: "hash-of-secret"}
	wechat := "wechat-" + id
	if _, err := store.Create(ctx, login.Ticket{ID: id, WeChat: wechat, AppID: "wx1", SocketID: "s0", ResumeHash: m.secret, Number: "47"}, life); err != nil {
		t.Fatal(err)
	}
	person := rapid.SampledFrom([]string{"ana", "bob", "cleo"})
	socket := rapid.SampledFrom([]string{"s0", "s1", "s2"})
	fatal := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"advance": func(t *rapid.T) {
			d := time.Duration(rapid.SampledFrom([]int{1, 7, 14, 16, 59, 61}).Draw(t, "s"))*time.Second + 500*time.Millisecond
			for runs && m.close(now+d, life) {
				d += drift
			}
			if now+d < life+10*time.Minute { // the tail is another test's
				now += d
				advance(d)
			}
		},
		"claim": func(t *rapid.T) {
			who, confirm := person.Draw(t, "who"), rapid.Bool().Draw(t, "confirm")
			got, o, err := store.Claim(ctx, login.Claim{AppID: "wx1", Scene: id, OpenID: who, Confirm: confirm})
			fatal(err)
			if want := m.claim(now, who, confirm); o != want {
				t.Fatalf("claim by %s at %v: %s, want %s", who, now, o, want)
			}
			if o == login.OutcomeClaimed {
				if m.jti != "" {
					t.Fatal("a second jti")
				}
				m.jti = got.JTI
			}
		},
		"claim by another account": func(t *rapid.T) {
			_, o, err := store.Claim(ctx, login.Claim{AppID: "wx2", Scene: id, OpenID: "ana"})
			fatal(err)
			if o != login.OutcomeForeign {
				t.Fatalf("foreign claim: %s", o)
			}
		},
		"ask": func(t *rapid.T) {
			who := person.Draw(t, "who")
			_, err := store.Ask(ctx, id, who)
			switch fits := m.state == login.Claimed && m.openID == who; {
			case fits && err == nil:
				m.asked = true
			case fits || !errors.Is(err, login.ErrUnauthorized):
				t.Fatalf("ask %s: %v", who, err)
			}
		},
		"confirm": func(t *rapid.T) {
			who, ok := person.Draw(t, "who"), rapid.Bool().Draw(t, "ok")
			_, o, err := store.Confirm(ctx, id, who, ok)
			fatal(err)
			if want := m.confirm(now, who, ok); o != want {
				t.Fatalf("confirm by %s: %s, want %s", who, o, want)
			}
		},
		"end": func(t *rapid.T) {
			to := rapid.SampledFrom([]login.State{login.Expired, login.Replaced, login.Cancelled, login.Denied}).Draw(t, "to")
			_, err := store.End(ctx, id, to, "model", "")
			fatal(err)
			m.end(now, to)
		},
		"resume": func(t *rapid.T) {
			s := socket.Draw(t, "socket")
			_, err := store.Resume(ctx, wechat, m.secret, s, false)
			fatal(err)
			m.socket = s
		},
		"resume with a wrong secret": func(t *rapid.T) {
			if _, err := store.Resume(ctx, wechat, "wrong", "thief", false); !errors.Is(err, login.ErrUnauthorized) {
				t.Fatalf("thief: %v", err)
			}
		},
		"unbind": func(t *rapid.T) {
			s := socket.Draw(t, "socket")
			fatal(store.Unbind(ctx, id, s))
			if m.socket == s {
				m.socket = ""
			}
		},
		"delivered": func(t *rapid.T) {
			fatal(store.Delivered(ctx, id))
			m.delivered = m.delivered || m.state == login.Done
		},
		"": func(t *rapid.T) {
			got, err := store.Get(ctx, id)
			fatal(err)
			want := fmt.Sprint(m.state, m.visible(now), m.openID, m.socket, m.delivered, m.jti)
			if is := fmt.Sprint(got.State, got.Visible(), got.OpenID, got.SocketID, got.Delivered, got.JTI); is != want {
				t.Fatalf("at %v the store says %s\nthe model       %s", now, is, want)
			}
		},
	})
}

// inBubble hides the test's deadline, which means nothing in a bubble's time.
type inBubble struct{ rapid.TB }

func TestMemoryAgainstTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rapid.Check(inBubble{t}, func(rt *rapid.T) {
			n++
			checkModel(rt, t.Context(), login.NewMemory(), time.Sleep, false, fmt.Sprint("L1.", n))
		})
	})
}

func TestRedisAgainstTheModel(t *testing.T) {
	rdb := redisClient(t, []string{single(t)}, false)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s := redisFixture(t, rdb)
		checkModel(rt, t.Context(), s.Store, s.advance, true, fmt.Sprint("L1.", n))
	})
}

// docs/reliability.md §4 row 40: everything that may happen to a ticket at once, ten
// thousand times, and exactly one winner each time.
func TestService_Claim_ExactlyOneWinnerIn10000Interleavings(t *testing.T) {
	interleave := func(t *testing.T, store Store, rounds int) {
		for n := range rounds {
			id := fmt.Sprint("L1.race-", n)
			if _, err := store.Create(t.Context(), login.Ticket{ID: id, AppID: "wx1", ResumeHash: "h", WeChat: "w" + id}, time.Minute); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var winners []login.Ticket
			contest := func(do func() (login.Ticket, bool, error)) func() {
				return func() {
					ticket, won, err := do()
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					} else if won {
						winners = append(winners, ticket)
					}
				}
			}
			claim := func(who string) func() {
				return contest(func() (login.Ticket, bool, error) {
					ticket, o, err := store.Claim(t.Context(), login.Claim{AppID: "wx1", Scene: id, OpenID: who})
					return ticket, o == login.OutcomeClaimed, err
				})
			}
			end := func(to login.State) func() {
				return contest(func() (login.Ticket, bool, error) {
					ticket, err := store.End(t.Context(), id, to, "race", "")
					return ticket, ticket.Moved, err
				})
			}
			var wg sync.WaitGroup
			for _, racer := range []func(){
				claim("ana"), end(login.Replaced), claim("bob"), end(login.Cancelled), claim("ana"),
				func() { store.Resume(t.Context(), "w"+id, "h", "socket", false) },
			} {
				wg.Go(racer)
			}
			wg.Wait()
			if len(winners) != 1 {
				t.Fatalf("round %d: %d winners: %+v", n, len(winners), winners)
			}
			got, err := store.Get(t.Context(), id)
			if err != nil || got.State != winners[0].State || got.OpenID != winners[0].OpenID || got.JTI != winners[0].JTI {
				t.Fatalf("round %d: %+v, %v; the winner was told %+v", n, got, err, winners[0])
			}
		}
	}
	t.Run("memory", func(t *testing.T) { interleave(t, login.NewMemory(), 10_000) })
	t.Run("redis", func(t *testing.T) {
		rounds := 10_000
		if testing.Short() {
			rounds = 500
		}
		interleave(t, redisFixture(t, redisClient(t, []string{single(t)}, false)), rounds)
	})
}
