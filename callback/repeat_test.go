package callback_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// docs/reliability.md §4 row 30: a push seen before changes nothing and says nothing; WeChat's own
// retry, another delivery of the same event, gets the answer that was lost.
func TestPush_ReplaysAreRefusedAndRetriesAnswered(t *testing.T) {
	t.Parallel()
	for _, mode := range []wechat.Mode{wechat.Secure, wechat.Plain} {
		r := newRig(t, func(o *callback.Options) {
			o.Accounts[0].Mode = mode
			o.Accounts[0].Phrases = map[callback.Phrase]string{callback.LoggedIn: callback.LoggedInEN}
		})
		deliver, key := func(body string) *http.Request { return secure(body) }, wechat.Secret(aesKey)
		if mode == wechat.Plain {
			deliver, key = func(body string) *http.Request { return request(body, time.Now()) }, ""
		}
		body := scan(alice)
		first := deliver(body)
		sent := readBody(first)
		if said := words(t, key, r.send(again(first, sent)).body); said != callback.LoggedInEN {
			t.Fatalf("%s: %q", mode, said)
		}
		if got := r.send(again(first, sent)); got.status != 200 || got.body != "success" {
			t.Errorf("%s replay: %d %q", mode, got.status, got.body)
		}
		if said := words(t, key, r.send(deliver(body)).body); said != callback.LoggedInEN {
			t.Errorf("%s retry: %q", mode, said)
		}
		if n := len(r.claims.made()); n != 1 {
			t.Errorf("%s: %d claims", mode, n)
		}
	}
}

// docs/reliability.md §4 row 29: in plain mode the signature does not cover the body, so a query
// that leaked must not carry another one.
func TestPush_PlainQueryCarriesOneBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, plain)
	seen := request(event(alice, "LOCATION", "", time.Now()), time.Now())
	if got := r.send(seen); got.status != 200 {
		t.Fatal(got.status)
	}
	if got := r.send(again(seen, scan(bob))); got.status != 200 || got.body != "success" {
		t.Errorf("%d %q", got.status, got.body)
	}
	// Nor may the query of the URL's verification.
	verify := request("", time.Now())
	q := verify.URL.RawQuery
	verify.Method, verify.URL.RawQuery = http.MethodGet, q+"&echostr=123"
	if got := r.send(verify); got.body != "123" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("%q %v", got.body, got.header)
	}
	verify.Method, verify.URL.RawQuery = http.MethodPost, q
	if got := r.send(again(verify, scan(bob))); got.status != 200 || got.body != "success" {
		t.Errorf("%d %q", got.status, got.body)
	}
	if n := len(r.claims.made()); n != 0 {
		t.Errorf("%d claims", n)
	}
}

// docs/reliability.md §3 row F30: three copies at once to three replicas that share a store.
func TestPush_CopiesToThreeReplicasAreOneLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, store := &claims{}, newDedupe()
		shared.do = func(_ context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
			<-time.After(300 * time.Millisecond) // a claim that takes a while
			return login.Ticket{ID: c.Scene, State: login.Expired}, login.OutcomeExpired, nil
		}
		var wg sync.WaitGroup
		start, body := time.Now(), scan(alice)
		for range 3 {
			r := newRig(t, func(o *callback.Options) { partsOf(o).claims, o.Dedupe = shared, store })
			wg.Go(func() {
				got := r.send(secure(body))
				if got.status != 200 || !strings.Contains(words(t, aesKey, got.body), "已过期") {
					t.Errorf("%d %q", got.status, got.body)
				}
			})
		}
		wg.Wait()
		if n := len(shared.made()); n != 1 {
			t.Errorf("%d claims", n)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// docs/reliability.md §3 row F32: with the effect stored nowhere WeChat gets no answer, and asks again;
// never "success".
//
// docs/reliability.md §3 row F33
func TestPush_NoSuccessWithoutDurability(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.dedupe.fail = errors.New("away")
		r.claims.fail = func(n int) error {
			if n <= 2 {
				return fmt.Errorf("%w: dial tcp 10.0.0.9:6379: refused", login.ErrStoreUnavailable)
			}
			return nil
		}
		body := scan(alice)
		for n := range 2 {
			start := time.Now()
			got := r.send(secure(body))
			if !got.aborted {
				t.Fatalf("delivery %d: answered %d %q", n, got.status, got.body)
			}
			if took := time.Since(start); took < 5*time.Second || took > 5500*time.Millisecond {
				t.Errorf("delivery %d: silent for %v", n, took)
			}
		}
		r.dedupe.fail = nil
		if got := r.send(secure(body)); got.body != "success" {
			t.Errorf("%d %q", got.status, got.body)
		}
		if r.counts.of("answered default login silence") != 2 || r.counts.of("claimed default error") != 2 {
			t.Errorf("%v", r.counts.all())
		}
	})
}

// A store that cannot dedupe stops no login: claims are idempotent.
func TestPush_LoginWithoutDedupe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.dedupe.slow = time.Hour
		start := time.Now()
		if got := r.send(secure(scan(alice))); got.body != "success" || len(r.claims.made()) != 1 {
			t.Errorf("%+v", got)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// docs/reliability.md §3 row F33: the replica that took the push died at it. The retry waits out its lease
// and does the work; the retry after that finds it done.
func TestPush_RetryTakesOverFromADeadReplica(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newDedupe()
		dead := newRig(t, func(o *callback.Options) { o.Dedupe = store })
		dead.claims.do = func(ctx context.Context, _ login.Claim) (login.Ticket, login.Outcome, error) {
			<-ctx.Done()
			return login.Ticket{}, "", ctx.Err()
		}
		body := scan(alice)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { dead.send(secure(body)) })
		<-time.After(5 * time.Second) // WeChat gives up and tries again
		r := newRig(t, func(o *callback.Options) { o.Dedupe = store })
		again := time.Now()
		if got := r.send(secure(body)); got.body != "success" || len(r.claims.made()) != 1 {
			t.Errorf("%+v, %d claims", got, len(r.claims.made()))
		}
		if took := time.Since(again); took > 1500*time.Millisecond {
			t.Errorf("took %v after %v", took, again.Sub(start))
		}
		wg.Wait()
	})
}

// Two copies at once, and the one that works on it never ends: the other may not
// say "success" on its word, so it claims as well.
func TestPush_CopyDoesNotTrustAHungReplica(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newDedupe()
		hung := newRig(t, func(o *callback.Options) { o.Dedupe = store })
		hung.claims.do = func(ctx context.Context, _ login.Claim) (login.Ticket, login.Outcome, error) {
			<-ctx.Done()
			return login.Ticket{}, "", ctx.Err()
		}
		body := scan(alice)
		var wg sync.WaitGroup
		wg.Go(func() { hung.send(secure(body)) })
		synctest.Wait()
		r := newRig(t, func(o *callback.Options) { o.Dedupe = store })
		r.claims.do = func(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
			if ends, ok := ctx.Deadline(); !ok || time.Until(ends) < 400*time.Millisecond {
				t.Errorf("%v left to claim", time.Until(ends))
			}
			return login.Ticket{ID: c.Scene, State: login.Done}, login.OutcomeClaimed, nil
		}
		start := time.Now()
		if got := r.send(secure(body)); got.body != "success" || len(r.claims.made()) != 1 {
			t.Errorf("%+v, %d claims", got, len(r.claims.made()))
		}
		if took := time.Since(start); took > 4500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		wg.Wait()
	})
}

// A broken notifier costs a moment: the holder finds the result in the store.
func TestPush_NotifierMayFail(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.notifier.err = errors.New("pub/sub is away at 10.0.0.9")
	if got := r.send(secure(scan(alice))); got.body != "success" {
		t.Errorf("%q", got.body)
	}
	if r.counts.of("fault default notify") != 1 {
		t.Errorf("%v", r.counts.all())
	}
	r = newRig(t, func(o *callback.Options) { o.Notifier = nil })
	if got := r.send(secure(scan(alice))); got.body != "success" {
		t.Errorf("%q", got.body)
	}
}
