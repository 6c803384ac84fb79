package wechat_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/wechat"
)

// spyCache is a cache with faults.
type spyCache struct {
	wechat.TokenCache
	mu   sync.Mutex // guards what follows
	fail bool
	hang bool
}

func (c *spyCache) set(fail, hang bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.hang = fail, hang
}

func (c *spyCache) trouble(ctx context.Context) error {
	c.mu.Lock()
	fail, hang := c.fail, c.hang
	c.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
		return ctx.Err()
	case fail:
		return errors.New("away")
	}
	return nil
}

func (c *spyCache) Load(ctx context.Context, id string) ([]byte, time.Duration, error) {
	if err := c.trouble(ctx); err != nil {
		return nil, 0, err
	}
	return c.TokenCache.Load(ctx, id)
}

func (c *spyCache) Lock(ctx context.Context, id string, d time.Duration) (wechat.TokenLease, error) {
	if err := c.trouble(ctx); err != nil {
		return nil, err
	}
	return c.TokenCache.Lock(ctx, id, d)
}

func (c *spyCache) Allow(ctx context.Context, id, what string, d time.Duration) (bool, error) {
	if err := c.trouble(ctx); err != nil {
		return false, err
	}
	return c.TokenCache.Allow(ctx, id, what, d)
}

// A lock that was lost does not overwrite what came after it.
func TestALostLeaseStoresNothing(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, cache wechat.TokenCache, wait func(time.Duration)) {
		ctx := t.Context()
		slow, err := cache.Lock(ctx, "wxA", 50*time.Millisecond)
		if err != nil || slow == nil {
			t.Fatal(err)
		}
		if l, err := cache.Lock(ctx, "wxA", time.Second); l != nil || err != nil {
			t.Fatalf("locked twice, %v", err)
		}
		if l, err := cache.Lock(ctx, "wxB", time.Second); l == nil || err != nil {
			t.Fatalf("another account's: %v", err)
		}
		wait(80 * time.Millisecond)
		fast, err := cache.Lock(ctx, "wxA", 5*time.Second)
		if err != nil || fast == nil {
			t.Fatalf("not freed: %v", err)
		}
		if err := fast.Store(ctx, []byte("new"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := slow.Store(ctx, []byte("old"), time.Minute); !errors.Is(err, wechat.ErrLeaseLost) {
			t.Errorf("stored: %v", err)
		}
		if err := slow.Release(ctx); err != nil {
			t.Error(err)
		}
		if l, err := cache.Lock(ctx, "wxA", time.Second); l != nil || err != nil {
			t.Errorf("another's lock was released, %v", err)
		}
		if box, left, err := cache.Load(ctx, "wxA"); string(box) != "new" || left <= 0 || left > time.Minute || err != nil {
			t.Errorf("%q %v %v", box, left, err)
		}
		if box, _, err := cache.Load(ctx, "wxC"); box != nil || err != nil {
			t.Errorf("%q %v", box, err)
		}
		for _, want := range []bool{true, false} {
			if got, err := cache.Allow(ctx, "wxA", "force", time.Minute); got != want || err != nil {
				t.Errorf("allowed %v, %v", got, err)
			}
		}
	}
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			test(t, wechat.NewMemoryTokenCache(), func(d time.Duration) { <-time.After(d) })
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, wechat.NewRedisTokenCache(redisServer(t)), func(d time.Duration) { <-time.After(d) })
	})
}
