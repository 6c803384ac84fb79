package wechat

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	breakAfter = 5                // failures in a row
	breakTime  = 5 * time.Second  // then nothing is asked, then one call tries
	configTime = 30 * time.Second // an operator's mistake is not cured sooner
	quotaProbe = time.Minute      // an operator may clear the quota before midnight
)

// shanghai is the zone WeChat's days end in. China has no summer time, so the
// zone database is not needed.
var shanghai = time.FixedZone("CST", 8*60*60)

// breaker keeps a failing API from being hammered: the error is remembered and
// returned without asking, until its time is over; then a single call tries.
type breaker struct {
	mu       sync.Mutex // guards what follows
	failures int
	open     bool
	until    time.Time
	trying   bool
	last     Error
}

// allow reports that a call may be made (nil), or the remembered error. Every
// allowed call must be reported.
func (b *breaker) allow(now time.Time) *Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return nil
	}
	if now.Before(b.until) || b.trying {
		e := b.last
		e.Until = b.until
		if e.cause != nil {
			e.cause = errCircuit
		}
		return &e
	}
	b.trying = true
	return nil
}

// report tells how an allowed call ended, and sets err.Until when it closed the
// way.
func (b *breaker) report(now time.Time, err *Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	trial := b.trying
	b.trying = false
	if err == nil {
		b.open, b.failures = false, 0
		return
	}
	var pause time.Duration
	switch err.Class {
	case ClassConfiguration:
		pause = configTime
	case ClassQuota:
		// Spent until midnight; a cheap look once a minute notices when an
		// operator clears it.
		pause = min(quotaProbe, untilMidnight(now))
	case ClassRate:
		pause = time.Minute - time.Duration(now.UnixNano()%int64(time.Minute)) + rand.N(5*time.Second)
	case ClassRetry, ClassRefresh:
		if b.failures++; b.failures >= breakAfter || trial {
			pause = breakTime
		}
	default: // WeChat works; it was our question
		b.open, b.failures = false, 0
		return
	}
	if pause > 0 {
		b.open, b.until, b.last = true, now.Add(pause), *err
		err.Until = b.until
	}
}

// abandon ends an allowed call that told nothing about the API.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

// reset forgets everything.
func (b *breaker) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open, b.failures, b.trying = false, 0, false
}

func untilMidnight(now time.Time) time.Duration {
	y, m, d := now.In(shanghai).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, shanghai).Sub(now)
}

// callersOwn reports whether the caller gave up, which says nothing about WeChat.
func callersOwn(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
