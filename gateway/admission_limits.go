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
	mu        sync.Mutex // guards what follows
	perSecond rate.Limit // 0 = off
	burst     int
	buckets   map[K]*rate.Limiter
	sweepAt   int       // size of buckets at which idle ones are looked for
	sweptAt   time.Time // at most once a second, so that a flood does not pay for sweeps
}

// newKeyedRate allows r.N events per r.Per, burst at once (0: r.N).
func newKeyedRate[K comparable](r Rate, burst int) *keyedRate[K] {
	l := &keyedRate[K]{}
	l.setRate(r, burst)
	return l
}

// setRate changes the limit, also of the keys that are known.
func (l *keyedRate[K]) setRate(r Rate, burst int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Off || r.N == 0 {
		l.perSecond, l.buckets = 0, nil
		return
	}
	if burst == 0 {
		burst = r.N
	}
	l.perSecond, l.burst = rate.Limit(float64(r.N)/r.Per.Seconds()), burst
	if l.buckets == nil {
		l.buckets, l.sweepAt = map[K]*rate.Limiter{}, 1024
	}
	now := time.Now()
	for _, b := range l.buckets {
		b.SetLimitAt(now, l.perSecond)
		b.SetBurstAt(now, burst)
	}
}

// allow takes one token of key; when there is none it says after how many whole
// seconds the next one comes.
func (l *keyedRate[K]) allow(key K) (ok bool, retryAfter int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perSecond == 0 {
		return true, 0
	}
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= l.sweepAt {
			l.sweepFull(now)
		}
		if len(l.buckets) >= maxLimitKeys {
			return false, 1
		}
		b = rate.NewLimiter(l.perSecond, l.burst)
		l.buckets[key] = b
	}
	if b.AllowN(now, 1) {
		return true, 0
	}
	missing := 1 - b.TokensAt(now)
	return false, int(math.Ceil(missing / float64(l.perSecond)))
}

// wouldAllow reports whether allow would, without taking a token.
func (l *keyedRate[K]) wouldAllow(key K) (ok bool, retryAfter int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perSecond == 0 {
		return true, 0
	}
	b := l.buckets[key]
	if b == nil {
		return true, 0
	}
	missing := 1 - b.Tokens()
	return missing <= 0, int(math.Ceil(missing / float64(l.perSecond)))
}

// giveBack returns a token of key that allow took for something that did not happen.
func (l *keyedRate[K]) giveBack(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[key]; b != nil {
		b.AllowN(time.Now(), -1) // a negative take adds; the next take caps the bucket at its burst
	}
}

// sweepFull forgets full buckets.
func (l *keyedRate[K]) sweepFull(now time.Time) {
	if now.Sub(l.sweptAt) < time.Second {
		return
	}
	l.sweptAt = now
	for k, b := range l.buckets {
		if b.TokensAt(now) >= float64(l.burst) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = min(maxLimitKeys, max(1024, 2*len(l.buckets)))
}

// keyedCount counts what is open per key.
type keyedCount[K comparable] struct {
	mu         sync.Mutex // guards what follows
	maxPerKey  int        // 0 = off
	openPerKey map[K]int
}

func newKeyedCount[K comparable](c Count) *keyedCount[K] {
	k := &keyedCount[K]{openPerKey: map[K]int{}}
	k.setCount(c)
	return k
}

// setCount changes the limit. What is open is counted without a limit too, so that one
// that comes later finds the right numbers.
func (c *keyedCount[K]) setCount(to Count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxPerKey = to.N
	if to.Off {
		c.maxPerKey = 0
	}
}

// acquire opens one more for key unless the limit is reached. Every true needs
// one release.
func (c *keyedCount[K]) acquire(key K) bool { return c.acquireUpTo(key, 0) }

// acquireUpTo is acquire with another limit, where that is not 0.
func (c *keyedCount[K]) acquireUpTo(key K, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.openPerKey[key]
	if c.maxPerKey == 0 { // no limit: a key beyond the table is not counted
		if n > 0 || len(c.openPerKey) < maxLimitKeys {
			c.openPerKey[key] = n + 1
		}
		return true
	}
	if limit == 0 {
		limit = c.maxPerKey
	}
	if n >= limit || n == 0 && len(c.openPerKey) >= maxLimitKeys {
		return false
	}
	c.openPerKey[key] = n + 1
	return true
}

func (c *keyedCount[K]) release(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.openPerKey[key]--; c.openPerKey[key] <= 0 {
		delete(c.openPerKey, key)
	}
}

const (
	// comebackAge is how long a connection must have lived to let its address come
	// back: a client that connects and disconnects in a loop earns nothing.
	comebackAge = 5 * time.Second
	// comebackLife is how long the right to come back lasts: longer than the delays
	// between the attempts of Socket.IO clients.
	comebackLife = time.Minute
)

// comebacks lets every key open again what it had open before, whatever its rate: an
// office whose connections were cut together returns together. Each connection that
// lived for comebackAge leaves one credit behind, and a new connection takes one
// before it costs a token of a rate. So open connections and credits together are
// never more than were open at once. Safe for concurrent use.
type comebacks[K comparable] struct {
	mu           sync.Mutex // guards what follows; a leaf
	creditsByKey map[K]credit
	sweepAt      int       // size of credits at which expired ones are looked for
	sweptAt      time.Time // at most once a second
}

// credit is the right to open n connections until its time is over.
type credit struct {
	connCount  int
	validUntil time.Time
}

func newComebacks[K comparable]() *comebacks[K] {
	return &comebacks[K]{creditsByKey: map[K]credit{}, sweepAt: 1024}
}

// earnCredit gives key a credit for a connection that lived since then. A full table gives
// none: its clients meet their rate.
func (c *comebacks[K]) earnCredit(key K, since time.Time) {
	now := time.Now()
	if now.Sub(since) < comebackAge {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	had, known := c.creditsByKey[key]
	if !known && len(c.creditsByKey) >= c.sweepAt {
		c.sweepLocked(now)
	}
	if !known && len(c.creditsByKey) >= maxLimitKeys {
		return
	}
	if now.After(had.validUntil) {
		had.connCount = 0
	}
	c.creditsByKey[key] = credit{had.connCount + 1, now.Add(comebackLife)}
}

// spendCredit takes a credit of key and reports whether there was one.
func (c *comebacks[K]) spendCredit(key K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	had, known := c.creditsByKey[key]
	if !known {
		return false
	}
	valid := !time.Now().After(had.validUntil)
	if !valid || had.connCount == 1 {
		delete(c.creditsByKey, key)
	} else {
		c.creditsByKey[key] = credit{had.connCount - 1, had.validUntil}
	}
	return valid
}

// refundCredit gives a spent credit back: another limit refused the connection.
func (c *comebacks[K]) refundCredit(key K) {
	c.earnCredit(key, time.Time{})
}

func (c *comebacks[K]) sweepLocked(now time.Time) {
	if now.Sub(c.sweptAt) < time.Second {
		return
	}
	c.sweptAt = now
	for k, had := range c.creditsByKey {
		if now.After(had.validUntil) {
			delete(c.creditsByKey, k)
		}
	}
	c.sweepAt = min(maxLimitKeys, max(1024, 2*len(c.creditsByKey)))
}
