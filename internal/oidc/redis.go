package oidc

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisTimeout bounds every operation (docs/reliability.md §3 row F3).
const redisTimeout = 2 * time.Second

// Redis is a Store in Redis 5 or later, a single server, Sentinel or a cluster, for any
// number of replicas. Each step is one script on one key:
//
//	posthouse:oidc:g:<hash>  hash: a sign-in, d its sealed record and v its version
//	posthouse:oidc:s:<hash>  the same of a browser's session
//	posthouse:oidc:c:<hash>  the same of a code given in the chat
//	posthouse:oidc:l:<hash>  the same of a person's latest such code
//	posthouse:oidc:p:<hash>  until when the sign-ins of a person were taken back
//	posthouse:oidc:a:<hash>  when that arrived
//	posthouse:oidc:j:<hash>  when a single sign-in was taken back
//
// Every key expires by itself. The clock is the server's. Safe for concurrent use.
type Redis struct{ redisClient redis.UniversalClient }

var _ Store = (*Redis)(nil)

// NewRedis returns a store on rdb, which stays the caller's to close and must honour
// contexts. It does not connect.
func NewRedis(rdb redis.UniversalClient) *Redis { return &Redis{rdb} }

const redisPrefix = "posthouse:oidc:"

var (
	scriptLoad = redis.NewScript(`
local r = redis.call('HMGET', KEYS[1], 'v', 'd')
local t = redis.call('TIME')
return {r[1] or '0', r[2] or '', t[1], t[2]}`)
	scriptSave = redis.NewScript(`
local v = redis.call('HGET', KEYS[1], 'v') or '0'
if v ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'd', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`)
	scriptMark = redis.NewScript(`
redis.replicate_commands()
local at = tonumber(ARGV[1])
if at == 0 then
  local t = redis.call('TIME')
  at = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local old = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if old > at then at = old end
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', ARGV[2])
return 1`)
)

// run runs a script. A connection that broke before the script could run is tried once
// more by the script's own fallback only: a step that may have happened is not repeated.
func (r *Redis) run(ctx context.Context, script *redis.Script, key string, args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	answer, err := script.Run(ctx, r.redisClient, []string{redisPrefix + key}, args...).Result()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return answer, nil
}

// Load implements Store.
func (r *Redis) Load(ctx context.Context, key string) (Entry, error) {
	answer, err := r.run(ctx, scriptLoad, key)
	if err != nil {
		return Entry{}, err
	}
	fields, ok := answer.([]any)
	if !ok || len(fields) != 4 {
		return Entry{}, fmt.Errorf("%w: unexpected answer", ErrUnavailable)
	}
	text := func(i int) string { s, _ := fields[i].(string); return s }
	version, err := strconv.ParseInt(text(0), 10, 64)
	if err != nil {
		version = 0 // no replica wrote it
	}
	seconds, _ := strconv.ParseInt(text(2), 10, 64)
	micros, _ := strconv.ParseInt(text(3), 10, 64)
	return Entry{Data: []byte(text(1)), Version: version, Now: time.Unix(seconds, micros*1000)}, nil
}

// Save implements Store.
func (r *Redis) Save(ctx context.Context, key string, data []byte, version int64, life time.Duration) error {
	answer, err := r.run(ctx, scriptSave, key, version, version+1, data, max(life.Milliseconds(), 1))
	if err != nil {
		return err
	}
	if answer != int64(1) {
		return ErrConflict
	}
	return nil
}

// Delete implements Store.
func (r *Redis) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if err := r.redisClient.Del(ctx, redisPrefix+key).Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Mark implements Store.
func (r *Redis) Mark(ctx context.Context, key string, at time.Time, life time.Duration) error {
	millis := int64(0)
	if !at.IsZero() {
		millis = at.UnixMilli()
	}
	_, err := r.run(ctx, scriptMark, key, millis, life.Milliseconds())
	return err
}

// Marks implements Store.
func (r *Redis) Marks(ctx context.Context, keys ...string) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	answers := make([]*redis.StringCmd, len(keys))
	_, err := r.redisClient.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			answers[i] = p.Get(ctx, redisPrefix+key)
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // a pipeline returns the very value
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	times := make([]time.Time, len(keys))
	for i, answer := range answers {
		if millis, err := strconv.ParseInt(answer.Val(), 10, 64); err == nil {
			times[i] = time.UnixMilli(millis)
		}
	}
	return times, nil
}
