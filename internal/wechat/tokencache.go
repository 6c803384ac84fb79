package wechat

import (
	"context"
	"errors"
	"sync"
	"time"
)

// TokenCache shares an account's access token between replicas. What it stores
// is sealed; times are the cache's own, so that clocks may differ. When a cache
// fails, clients ask WeChat directly, which is safe with stable_token.
type TokenCache interface {
	// Load returns the stored box and how long it still lives; nil when there is
	// none.
	Load(ctx context.Context, appID string) (box []byte, left time.Duration, err error)
	// Lock takes the right to ask WeChat for d; a nil lease when another has it.
	Lock(ctx context.Context, appID string, d time.Duration) (TokenLease, error)
	// Allow reports true at most once in every period, for the whole cluster.
	Allow(ctx context.Context, appID, what string, every time.Duration) (bool, error)
}

// TokenLease is a lock that is held.
type TokenLease interface {
	// Store keeps box for life, unless the lock was lost meanwhile: a replica
	// that was held up must not overwrite a newer token.
	Store(ctx context.Context, box []byte, life time.Duration) error
	// Release gives the lock back if it is still held.
	Release(ctx context.Context) error
}

// ErrLeaseLost answers Store after the lock went to another process.
var ErrLeaseLost = errors.New("wechat: the token's lock was lost")

// MemoryTokenCache is a TokenCache for the clients of one process.
type MemoryTokenCache struct {
	mu    sync.Mutex // guards all below
	boxes map[string]memoryBox
	locks map[string]*memoryLease
	until map[string]time.Time
}

type memoryBox struct {
	box  []byte
	ends time.Time
}

type memoryLease struct {
	c     *MemoryTokenCache
	appID string
	ends  time.Time
}

// NewMemoryTokenCache makes an empty cache.
func NewMemoryTokenCache() *MemoryTokenCache {
	return &MemoryTokenCache{
		boxes: map[string]memoryBox{}, locks: map[string]*memoryLease{}, until: map[string]time.Time{},
	}
}

// Load implements TokenCache.
func (c *MemoryTokenCache) Load(_ context.Context, appID string) ([]byte, time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.boxes[appID]
	left := time.Until(b.ends)
	if b.box == nil || left <= 0 {
		return nil, 0, nil
	}
	return b.box, left, nil
}

// Lock implements TokenCache.
func (c *MemoryTokenCache) Lock(_ context.Context, appID string, d time.Duration) (TokenLease, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.locks[appID]; l != nil && time.Now().Before(l.ends) {
		return nil, nil
	}
	l := &memoryLease{c: c, appID: appID, ends: time.Now().Add(d)}
	c.locks[appID] = l
	return l, nil
}

// Allow implements TokenCache.
func (c *MemoryTokenCache) Allow(_ context.Context, appID, what string, every time.Duration) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := appID + " " + what
	if time.Now().Before(c.until[key]) {
		return false, nil
	}
	c.until[key] = time.Now().Add(every)
	return true, nil
}

// Store implements TokenLease.
func (l *memoryLease) Store(_ context.Context, box []byte, life time.Duration) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.c.locks[l.appID] != l || !time.Now().Before(l.ends) {
		return ErrLeaseLost
	}
	l.c.boxes[l.appID] = memoryBox{box, time.Now().Add(life)}
	return nil
}

// Release implements TokenLease.
func (l *memoryLease) Release(context.Context) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.c.locks[l.appID] == l {
		delete(l.c.locks, l.appID)
	}
	return nil
}
