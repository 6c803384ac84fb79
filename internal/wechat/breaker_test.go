package wechat_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/wechat"
)

// docs/reliability.md §3 row F27: after five failures nothing is asked for five seconds; then one call tries.
func TestClient_CircuitOpensAfterFiveFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		f.handle(pathQR, refused)
		for i := range 8 {
			e := asError(t, f.create(t))
			if e.Class != wechat.ClassRetry || e.Until.IsZero() != (i < 4) {
				t.Errorf("call %d: %v until %v", i, e, e.Until)
			}
		}
		if n := f.count(pathQR); n != 5 {
			t.Errorf("asked %d times", n)
		}
		// Another API has its own circuit.
		if err := f.client.SendText(t.Context(), "oA", "x"); err != nil {
			t.Error(err)
		}
		<-time.After(5 * time.Second)
		_ = f.create(t) // tries, fails: open again
		_ = f.create(t)
		if n := f.count(pathQR); n != 6 {
			t.Errorf("asked %d times", n)
		}
		<-time.After(5 * time.Second)
		// While the one tries, the others do not.
		gate := make(chan struct{})
		f.handle(pathQR, func(*http.Request) (*http.Response, error) {
			<-gate
			return ok(`{"ticket":"gQ","expire_seconds":60,"url":"http://x"}`)
		})
		var wg sync.WaitGroup
		var good, shed atomic.Int32
		for range 5 {
			wg.Go(func() {
				if create(f.client) == nil {
					good.Add(1)
				} else {
					shed.Add(1)
				}
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if good.Load() != 1 || shed.Load() != 4 || f.count(pathQR) != 7 {
			t.Errorf("%d good, %d shed, asked %d times", good.Load(), shed.Load(), f.count(pathQR))
		}
		if err := f.create(t); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}

// docs/reliability.md §3 row F27: a WeChat that takes 30 s costs three, and at most 32 calls wait for it.
func TestClient_SlowWeChatIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		if err := f.create(t); err != nil {
			t.Fatal(err)
		}
		var now, most atomic.Int32
		f.handle(pathQR, func(r *http.Request) (*http.Response, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			return hangs(r)
		})
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if e := asError(t, create(f.client)); e.Class != wechat.ClassRetry {
					t.Errorf("%v", e)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 3*time.Second || most.Load() != 32 {
			t.Errorf("took %v, %d in flight", took, most.Load())
		}
	})
}

// docs/reliability.md §3 row F27: only a connection that never was is tried again.
func TestClient_OnlyConnectErrorsAreRetried(t *testing.T) {
	t.Parallel()
	f := &fakeWeChat{}
	dials := 0
	f.handle(pathQR, func(*http.Request) (*http.Response, error) {
		if dials++; dials == 1 {
			return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("refused")}
		}
		return ok(`{"ticket":"gQ","expire_seconds":60,"url":"http://x"}`)
	})
	if err := f.create(t); err != nil || dials != 2 {
		t.Errorf("%v after %d", err, dials)
	}
	f.handle(pathQR, func(*http.Request) (*http.Response, error) {
		dials++
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("refused")}
	})
	if err := f.create(t); err == nil || dials != 4 {
		t.Errorf("%v after %d", err, dials)
	}
	f.handle(pathQR, func(*http.Request) (*http.Response, error) {
		dials++
		return nil, &net.OpError{Op: "read", Err: fmt.Errorf("reset")}
	})
	if err := f.create(t); err == nil || dials != 5 {
		t.Errorf("%v after %d", err, dials)
	}
}

// docs/reliability.md §3 row F28: a busy WeChat is asked again after 0.2, 0.5 and 1 s, and then no more.
func TestClient_BusyWeChatIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		busy := 2
		f.handle(pathQR, func(*http.Request) (*http.Response, error) {
			if busy--; busy >= 0 {
				return ok(`{"errcode":-1,"errmsg":"system error"}`)
			}
			return ok(`{"ticket":"gQ","expire_seconds":60,"url":"http://x"}`)
		})
		start := time.Now()
		if err := f.create(t); err != nil || time.Since(start) != 700*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		f.answer(pathQR, `{"errcode":-1,"errmsg":"system error"}`)
		start = time.Now()
		if e := asError(t, f.create(t)); e.Code != -1 || e.Class != wechat.ClassRetry || time.Since(start) != 1700*time.Millisecond {
			t.Errorf("%v after %v", e, time.Since(start))
		}
		if n := f.count(pathQR); n != 7 {
			t.Errorf("asked %d times", n)
		}
	})
}

// An operator's mistake is remembered for 30 s, so that a login storm does not
// ask about it again and again.
func TestConfigurationErrorsAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		f.answer(pathQR, `{"errcode":48001,"errmsg":"api unauthorized rid: 68f1aaaa-0bbbbbbb-1ccccccc"}`)
		for range 100 {
			if e := asError(t, f.create(t)); e.Code != 48001 || e.Class != wechat.ClassConfiguration || e.RID == "" || e.Until.IsZero() {
				t.Fatalf("%v", e)
			}
		}
		if n := f.count(pathQR); n != 1 {
			t.Errorf("asked %d times", n)
		}
		<-time.After(30 * time.Second)
		f.handle(pathQR, nil)
		if err := f.create(t); err != nil {
			t.Error(err)
		}
	})
}

// docs/reliability.md §3 row F28: a spent quota stays spent until midnight in Shanghai; once a minute one
// call looks whether an operator cleared it.
func TestClient_SpentQuotaIsNotAskedForUntilMidnight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC, 8 h in Shanghai
		f := &fakeWeChat{}
		f.answer(pathQR, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`)
		for range 60 {
			for range 10 {
				if e := asError(t, f.create(t)); e.Class != wechat.ClassQuota || e.Until.IsZero() {
					t.Fatalf("%v", e)
				}
			}
			<-time.After(time.Minute)
		}
		if n := f.count(pathQR); n != 60 {
			t.Errorf("asked %d times in an hour", n)
		}
		_ = f.create(t)
		f.handle(pathQR, nil)
		if err := f.create(t); err == nil {
			t.Error("asked although the quota is spent")
		}
		// An operator clears it: at once.
		if err := f.client.ClearQuota(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := f.create(t); err != nil {
			t.Error(err)
		}
		// Just before midnight the pause ends with the day.
		f.answer(pathQR, `{"errcode":45009,"errmsg":"x"}`)
		<-time.After(time.Until(time.Date(2000, 1, 1, 16, 0, 0, 0, time.UTC).Add(-10 * time.Second)))
		e := asError(t, f.create(t))
		if got := time.Until(e.Until); got != 10*time.Second {
			t.Errorf("until %v, in %v", e.Until, got)
		}
	})
}

func TestTheMinuteLimitPausesToTheNextMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		<-time.After(20 * time.Second)
		f.answer(pathQR, `{"errcode":45011,"errmsg":"api minute-quota reach limit"}`)
		e := asError(t, f.create(t))
		if d := time.Until(e.Until); e.Class != wechat.ClassRate || d < 40*time.Second || d > 45*time.Second {
			t.Errorf("%v, for %v", e, d)
		}
		_ = f.create(t)
		if n := f.count(pathQR); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// A person who closes the page says nothing about WeChat.
func TestACallerWhoGivesUpIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeWeChat{}
		if err := f.create(t); err != nil {
			t.Fatal(err)
		}
		f.handle(pathQR, hangs)
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if _, err := f.client.CreateQRCode(ctx, "L1.x", time.Minute); err == nil {
				t.Error("no error")
			}
		}
		f.handle(pathQR, nil)
		if err := f.create(t); err != nil {
			t.Error(err)
		}
	})
}
