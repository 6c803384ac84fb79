package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRateLimitRefillsAndSaysWhen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyedRate[string](Rate{N: 6, Per: time.Minute}, 0)
		for i := range 6 {
			if ok, _ := l.allow("a"); !ok {
				t.Fatalf("event %d of 6 was refused", i+1)
			}
		}
		ok, wait := l.allow("a")
		if ok || wait != 10 {
			t.Fatalf("the seventh: ok %v, retry after %d s, want 10", ok, wait)
		}
		if ok, _ := l.allow("b"); !ok {
			t.Fatal("another key pays for the first")
		}
		time.Sleep(10 * time.Second)
		if ok, _ := l.allow("a"); !ok {
			t.Fatal("refused after the time it named")
		}
	})
}

func TestRateLimitOff(t *testing.T) {
	t.Parallel()
	l := newKeyedRate[string](Rate{Off: true}, 0)
	for range 1000 {
		if ok, _ := l.allow("a"); !ok {
			t.Fatal("off still limits")
		}
	}
}

// A flood of addresses must not cost memory without end.
func TestRateLimitForgetsIdleKeysAndIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyedRate[int](Rate{N: 1, Per: time.Second}, 0)
		for i := range 3 * maxLimitKeys {
			l.allow(i)
		}
		if n := len(l.buckets); n > maxLimitKeys {
			t.Fatalf("%d buckets", n)
		}
		time.Sleep(2 * time.Second)
		if ok, _ := l.allow(-1); !ok {
			t.Fatal("still refused when all others are idle")
		}
		if n := len(l.buckets); n > 2000 {
			t.Fatalf("%d idle buckets kept", n)
		}
	})
}

func TestCountLimit(t *testing.T) {
	t.Parallel()
	c := newKeyedCount[string](Count{N: 2})
	for i, want := range []bool{true, true, false} {
		if c.acquire("a") != want {
			t.Fatalf("place %d: want %v", i+1, want)
		}
	}
	c.release("a")
	if !c.acquire("a") {
		t.Fatal("a released place was not free")
	}
	c.release("a")
	c.release("a")
	if len(c.openPerKey) != 0 {
		t.Fatalf("%d keys left", len(c.openPerKey))
	}
}
