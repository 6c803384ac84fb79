package gateway

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxLimitKeys bounds every table of limits: beyond it new keys are refused, so
// that a flood of addresses costs no memory.
const maxLimitKeys = 100_000

// keyedRate is one token bucket per key (an address, a socket, an account).
// Buckets that are full again are forgotten. Safe for concurrent use.
type keyedRate[K comparable] struct {
	limit rate.Limit // 0 = off
	burst int

	mu      sync.Mutex
	buckets map[K]*rate.Limiter
	sweepAt int       // size of buckets at which idle ones are looked for
	swept   time.Time // at most once a second, so that a flood does not pay for sweeps
}

// newKeyedRate allows r.N events per r.Per, burst at once (0: r.N).
func newKeyedRate[K comparable](r Rate, burst int) *keyedRate[K] {
	if r.Off || r.N == 0 {
		return &keyedRate[K]{}
	}
	if burst == 0 {
		burst = r.N
	}
	return &keyedRate[K]{
		limit:   rate.Limit(float64(r.N) / r.Per.Seconds()),
		burst:   burst,
		buckets: map[K]*rate.Limiter{},
		sweepAt: 1024,
	}
}

// allow takes one token of key; when there is none it says after how many whole
// seconds the next one comes.
func (l *keyedRate[K]) allow(key K) (ok bool, retryAfter int) {
	if l.limit == 0 {
		return true, 0
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= l.sweepAt {
			l.sweep(now)
		}
		if len(l.buckets) >= maxLimitKeys {
			return false, 1
		}
		b = rate.NewLimiter(l.limit, l.burst)
		l.buckets[key] = b
	}
	if b.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - b.TokensAt(now)
	return false, int(math.Ceil(missing / float64(l.limit)))
}

// ready reports whether allow would, without taking a token.
func (l *keyedRate[K]) ready(key K) (ok bool, retryAfter int) {
	if l.limit == 0 {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[key]
	if b == nil {
		return true, 0
	}
	missing := 1 - b.Tokens()
	return missing <= 0, int(math.Ceil(missing / float64(l.limit)))
}

// giveBack returns a token of key that allow took for something that did not happen.
func (l *keyedRate[K]) giveBack(key K) {
	if l.limit == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		b.AllowN(time.Now(), -1) // a negative take adds; the next take caps the bucket at its burst
	}
}

// sweep forgets full buckets.
func (l *keyedRate[K]) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for k, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = min(maxLimitKeys, max(1024, 2*len(l.buckets)))
}

// keyedCount counts what is open per key.
type keyedCount[K comparable] struct {
	max int // 0 = off

	mu   sync.Mutex
	open map[K]int
}

func newKeyedCount[K comparable](c Count) *keyedCount[K] {
	if c.Off {
		return &keyedCount[K]{}
	}
	return &keyedCount[K]{max: c.N, open: map[K]int{}}
}

// acquire opens one more for key unless the limit is reached. Every true needs
// one release.
func (c *keyedCount[K]) acquire(key K) bool {
	if c.max == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.open[key]
	if n >= c.max || n == 0 && len(c.open) >= maxLimitKeys {
		return false
	}
	c.open[key] = n + 1
	return true
}

func (c *keyedCount[K]) release(key K) {
	if c.max == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[key]--; c.open[key] <= 0 {
		delete(c.open, key)
	}
}
