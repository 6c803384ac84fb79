package loglimit_test

import (
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
