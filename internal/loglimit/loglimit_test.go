package loglimit_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/loglimit"
)

func TestLimiter_OneLinePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l loglimit.Limiter
		if held, ok := l.Allow(); held != 0 || !ok {
			t.Fatalf("the first line: %d, %v", held, ok)
		}
		for range 7 {
			if _, ok := l.Allow(); ok {
				t.Fatal("a second line within the interval")
			}
		}
		time.Sleep(loglimit.Interval)
		if held, ok := l.Allow(); held != 7 || !ok {
			t.Fatalf("after the interval: %d left out, %v, want 7, true", held, ok)
		}
	})
}

func TestLimiter_ConcurrentUseWritesOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l loglimit.Limiter
		var written atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, ok := l.Allow(); ok {
					written.Add(1)
				}
			})
		}
		all.Wait()
		if n := written.Load(); n != 1 {
			t.Fatalf("%d lines at once", n)
		}
		time.Sleep(loglimit.Interval)
		if held, ok := l.Allow(); held != 99 || !ok {
			t.Fatalf("%d left out, %v, want 99, true", held, ok)
		}
	})
}

func TestLimiter_Burst_OfAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := loglimit.Limiter{Every: time.Minute, Burst: 3}
		count := func() (lines int, left int64) {
			for range 10 {
				if held, ok := l.Allow(); ok {
					lines++
					left += held
				}
			}
			return lines, left
		}
		if lines, left := count(); lines != 3 || left != 0 {
			t.Errorf("%d lines, %d left out, want 3, 0", lines, left)
		}
		time.Sleep(time.Minute)
		if lines, left := count(); lines != 3 || left != 7 {
			t.Errorf("%d lines, %d left out, want 3, 7", lines, left)
		}
	})
}

func TestKeyed_OneLinePerKeyAndInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := loglimit.Keyed{Every: time.Minute}
		for _, key := range []string{"a", "b"} {
			if held, ok := k.Allow(key); held != 0 || !ok {
				t.Fatalf("first of %s: %d, %v", key, held, ok)
			}
			for range 5 {
				if _, ok := k.Allow(key); ok {
					t.Fatalf("a second line of %s", key)
				}
			}
		}
		time.Sleep(time.Minute)
		for _, key := range []string{"b", "a"} {
			if held, ok := k.Allow(key); held != 5 || !ok {
				t.Errorf("after the interval, of %s: %d, %v, want 5, true", key, held, ok)
			}
		}
	})
}

func TestKeyed_MaxKeys_BoundsLinesAndMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := loglimit.Keyed{MaxKeys: 4}
		flood := func(from int) (lines int, left int64) {
			for i := range 1000 {
				if held, ok := k.Allow(strconv.Itoa(from + i)); ok {
					lines++
					left += held
				}
			}
			return lines, left
		}
		if lines, _ := flood(0); lines != 4 {
			t.Errorf("%d lines, want 4", lines)
		}
		time.Sleep(loglimit.Interval)
		if lines, left := flood(5000); lines != 4 || left != 996 {
			t.Errorf("%d lines, %d left out before, want 4, 996", lines, left)
		}
	})
}
