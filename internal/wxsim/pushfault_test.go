package wxsim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/sleep"
)

func withRules(t *testing.T, s *Sim, rules ...*Rule) {
	t.Helper()
	for _, r := range rules {
		if err := r.check(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.addRules(rules, true, 1); err != nil {
		t.Fatal(err)
	}
}

func TestTimingFaults(t *testing.T) {
	t.Parallel()
	success := answers(200, "success")
	inBubble(t, Options{}, success, func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: "slow", MS: 3000})
		text(t, s, "ann")
		if n.all()[0].at != 3*time.Second {
			t.Errorf("delayed push at %s", n.all()[0].at)
		}
	})
	inBubble(t, Options{}, success, func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: Duplicate, Count: 2}, &Rule{Kind: Duplicate, MS: 90_000, Nth: 2})
		if d := text(t, s, "ann"); len(d) != 3 || len(n.all()) != 3 {
			t.Errorf("%d deliveries", len(d))
		}
	})
	inBubble(t, Options{}, success, func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: Duplicate, MS: 90_000})
		if d := text(t, s, "ann"); len(d) != 1 {
			t.Errorf("the late copy was waited for: %d", len(d))
		}
		if err := sleep.For(t.Context(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(n.all()) != 2 || n.all()[1].at != 90*time.Second {
			t.Errorf("late copy: %d pushes", len(n.all()))
		}
	})
	inBubble(t, Options{}, success, func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: Drop, Times: 1})
		if d := text(t, s, "ann"); len(d) != 0 || len(n.all()) != 0 {
			t.Error("a dropped push was delivered")
		}
		if d := text(t, s, "ann"); len(d) != 1 {
			t.Error("times: 1 struck twice")
		}
	})
}

func TestReorderedPushWaitsForTheNextOne(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: Reorder, Person: "ann"})
		var first sync.WaitGroup
		first.Go(func() { text(t, s, "ann") })
		synctest.Wait()
		text(t, s, "bob")
		first.Wait()
		if len(n.all()) != 2 || !strings.Contains(n.all()[0].body, openIDOf(s.accounts[0].AppID, "bob")) || time.Since(epoch) != 0 {
			t.Error("they did not change places")
		}
		text(t, s, "ann") // alone: goes out after the pause
		if len(n.all()) != 3 || time.Since(epoch) != 5*time.Second {
			t.Errorf("alone after %s", time.Since(epoch))
		}
	})
}

// Every fault that changes bytes must change what a correct receiver decides,
// or what it reads.
func TestFaultsOfThePushAreSeenByAReceiver(t *testing.T) {
	t.Parallel()
	dev := DevAccount()
	dev.PreviousAESKey = strings.Repeat("k", 42) + "A"
	key := mustKey(t, dev.AESKey)
	previous := mustKey(t, dev.PreviousAESKey)
	accepts := func(mode Mode, n *wire, key []byte) bool {
		got := n.all()[len(n.all())-1]
		query := map[string]string{}
		for name := range got.query {
			query[name] = got.query.Get(name)
		}
		return receive(vector{Mode: mode, Query: query, Body: got.body, Token: dev.Token, AppID: dev.AppID}, key, time.Now().Unix())
	}
	for _, mode := range []Mode{Plain, Compat, Secure} {
		a := dev
		a.Mode = mode
		inBubble(t, Options{Accounts: []Account{a}}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
			text(t, s, "ann")
			if !accepts(mode, n, key) {
				t.Fatalf("%s: the push without a fault is refused", mode)
			}
			for _, kind := range []FaultKind{BadSignature, BadMsgSignature, Stale, ForeignAppID, PreviousKey, Garbled, Truncated, Downgrade, Doctype} {
				withRules(t, s, &Rule{Kind: kind})
				text(t, s, "ann")
				// Plain mode has nothing encrypted to break.
				harmless := mode == Plain && kind != BadSignature && kind != Stale && kind != Doctype
				if got := accepts(mode, n, key); got != harmless {
					t.Errorf("%s in %s mode: accepted %v", kind, mode, got)
				}
				if kind == PreviousKey && mode != Plain && !accepts(mode, n, previous) {
					t.Error("the previous key does not open it")
				}
			}
		})
	}
}

func TestFaultsOfTheMessage(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
		s.mu.Lock()
		c := s.addCode(s.accounts[0], "s1", time.Minute, "http://x/sim")
		s.mu.Unlock()
		push := func(kind FaultKind) string {
			withRules(t, s, &Rule{Kind: kind})
			if _, err := s.scan(scanBody{personBody: personBody{Person: "ann"}, Ticket: c.ticket, Follow: true}); err != nil {
				t.Fatal(err)
			}
			return n.all()[len(n.all())-1].body
		}
		push(Delay)
		if body := push(Lowercase); !strings.Contains(body, "[CDATA[scan]]") {
			t.Errorf("lowercase: %s", body)
		}
		if body := push(NoTicket); strings.Contains(body, "Ticket") {
			t.Errorf("no ticket: %s", body)
		}
		if body := push(HugeBody); len(body) < 1<<20 {
			t.Errorf("huge: %d bytes", len(body))
		}
		before := len(n.all())
		_, err := s.unfollow(personBody{Person: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if push(BothEvents); len(n.all()) != before+3 { // unsubscribe, subscribe, SCAN
			t.Errorf("both: %d pushes", len(n.all())-before)
		}
		// Seen by the receiver as what they are, not only as other bytes.
		var kind string
		n.say = func(r *http.Request, _ string) (int, string, error) {
			kind = r.Header.Get("Content-Type")
			return 200, "success", nil
		}
		if push(ContentType); kind != "application/json" {
			t.Errorf("content type: %q", kind)
		}
		if push(Delay); kind != "text/xml" {
			t.Errorf("without the fault: %q", kind)
		}
		withRules(t, s, &Rule{Kind: SlowBody})
		began := time.Now()
		text(t, s, "ann")
		if took := time.Since(began); took < 15*time.Second {
			t.Errorf("a trickled body took %s", took)
		}
	})
}

func TestRulesSelectAndCount(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
		withRules(t, s, &Rule{Kind: Drop, Person: "ann", Event: "TEXT", Nth: 2})
		for range 3 {
			text(t, s, "ann")
			text(t, s, "bob")
		}
		if len(n.all()) != 5 {
			t.Errorf("%d pushes of 6", len(n.all()))
		}
		withRules(t, s, &Rule{Kind: Drop, Probability: 0.5})
		before := len(n.all())
		for range 200 {
			text(t, s, "ann")
		}
		if got := len(n.all()) - before; got < 70 || got > 130 {
			t.Errorf("half of 200 is %d", got)
		}
	})
	for _, bad := range []Rule{{Kind: "x"}, {Kind: Delay, MS: -1}, {Kind: Drop, Probability: 2}, {Kind: Duplicate, Count: 1000}, {Kind: APIStatus, Status: 7}} {
		if bad.check() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// The same seed gives the same people the same faults, however their phones take
// turns.
func TestFaultsFollowTheSeedAndNotTheOrder(t *testing.T) {
	t.Parallel()
	dropped := func(seed uint64, people []string) map[string]bool {
		out := map[string]bool{}
		inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, _ *wire) {
			if err := s.addRules([]*Rule{{Kind: Drop, Probability: 0.3}}, true, seed); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			var mu sync.Mutex
			for _, p := range people {
				all.Go(func() {
					for i := range 3 {
						gone := len(text(t, s, p)) == 0
						mu.Lock()
						out[p+strconv.Itoa(i)] = gone
						mu.Unlock()
					}
				})
			}
			all.Wait()
		})
		return out
	}
	var people []string
	for i := range 40 {
		people = append(people, "p"+strconv.Itoa(i))
	}
	first := dropped(7, people)
	slices.Reverse(people)
	if again := dropped(7, people); !maps.Equal(first, again) {
		t.Error("the same seed, another fate")
	}
	if other := dropped(8, people); maps.Equal(first, other) {
		t.Error("another seed, the same fate")
	}
}
