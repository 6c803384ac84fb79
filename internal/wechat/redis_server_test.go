package wechat_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
)

// redisServer starts a Redis of its own for the test, or skips it.
func redisServer(t *testing.T) redis.UniversalClient {
	t.Helper()
	addr, _ := testenv.Redis(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
