package wechat

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisTokenCache is a TokenCache in Redis. Its keys are wx:at:{appid} and two
// beside it; the braces keep an account's keys on one node of a cluster.
type RedisTokenCache struct{ rdb redis.UniversalClient }

// NewRedisTokenCache makes a cache on rdb, which stays the caller's to close.
func NewRedisTokenCache(rdb redis.UniversalClient) *RedisTokenCache {
	return &RedisTokenCache{rdb: rdb}
}

type redisLease struct {
	rdb       redis.UniversalClient
	key, lock string
	id        string
}

var (
	storeScript = redis.NewScript(`
if redis.call("GET", KEYS[2]) ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
return 1`)
	releaseScript = redis.NewScript(`
if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end
return 0`)
)

func tokenKey(appID string) string { return "wx:at:{" + appID + "}" }

// Load implements TokenCache.
func (c *RedisTokenCache) Load(ctx context.Context, appID string) ([]byte, time.Duration, error) {
	p := c.rdb.Pipeline()
	box, left := p.Get(ctx, tokenKey(appID)), p.PTTL(ctx, tokenKey(appID))
	if _, err := p.Exec(ctx); errors.Is(err, redis.Nil) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	if left.Val() <= 0 {
		return nil, 0, nil // it ended between the two
	}
	return []byte(box.Val()), left.Val(), nil
}

// Lock implements TokenCache.
func (c *RedisTokenCache) Lock(ctx context.Context, appID string, d time.Duration) (TokenLease, error) {
	l := &redisLease{rdb: c.rdb, key: tokenKey(appID), lock: tokenKey(appID) + ":lock", id: rand.Text()}
	ok, err := setNX(ctx, c.rdb, l.lock, l.id, d)
	if err != nil || !ok {
		return nil, err
	}
	return l, nil
}

// Allow implements TokenCache.
func (c *RedisTokenCache) Allow(ctx context.Context, appID, what string, every time.Duration) (bool, error) {
	return setNX(ctx, c.rdb, tokenKey(appID)+":"+what, "1", every)
}

func setNX(ctx context.Context, rdb redis.UniversalClient, key, value string, d time.Duration) (bool, error) {
	err := rdb.SetArgs(ctx, key, value, redis.SetArgs{Mode: "NX", TTL: d}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, err
}

// Store implements TokenLease.
func (l *redisLease) Store(ctx context.Context, box []byte, life time.Duration) error {
	n, err := storeScript.Run(ctx, l.rdb, []string{l.key, l.lock}, l.id, box, life.Milliseconds()).Int()
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return err
}

// Release implements TokenLease.
func (l *redisLease) Release(ctx context.Context) error {
	return releaseScript.Run(ctx, l.rdb, []string{l.lock}, l.id).Err()
}
