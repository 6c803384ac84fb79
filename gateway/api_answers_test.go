package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/testenv"
	"posthouse/socketio/api"
)

// All replicas agree on a request with an Idempotency-Key: one does it, the others refuse
// it as long as it runs and give its answer afterwards.
func TestAPI_IdempotencyInRedis_OneOfTheReplicasDoesIt(t *testing.T) {
	addr, _ := testenv.Redis(t)
	replica := func() *redisAnswers {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { rdb.Close() })
		return &redisAnswers{rdb, "test-api:"}
	}
	one, two := replica(), replica()
	const age = 10 * time.Minute
	begin := func(s *redisAnswers, id, fingerprint string, want error) *api.StoredAnswer {
		t.Helper()
		a, err := s.Begin(t.Context(), id, fingerprint, age)
		if !errors.Is(err, want) {
			t.Errorf("%s %s: %v, want %v", id, fingerprint, err, want)
		}
		return a
	}
	if a := begin(one, "k", "body", nil); a != nil {
		t.Errorf("an answer before the work: %+v", a)
	}
	begin(two, "k", "body", api.ErrInProgress)
	begin(two, "k", "another body", api.ErrOtherBody)
	if err := one.Finish(t.Context(), "k", "body", &api.StoredAnswer{Status: 200, ContentType: "application/json", Body: []byte("{}\n")}, age); err != nil {
		t.Error(err)
	}
	if a := begin(two, "k", "body", nil); a == nil || a.Status != 200 || string(a.Body) != "{}\n" || a.ContentType != "application/json" {
		t.Errorf("the first answer is given as %+v", a)
	}
	begin(two, "k", "another body", api.ErrOtherBody)
	if left, err := one.rdb.TTL(t.Context(), "test-api:k").Result(); err != nil || left > age || left < age-time.Minute {
		t.Errorf("it is kept for %v, %v", left, err)
	}
	begin(one, "failed", "body", nil)
	if err := one.Abandon(t.Context(), "failed"); err != nil {
		t.Error(err)
	}
	if a := begin(two, "failed", "body", nil); a != nil {
		t.Errorf("a request that failed is not done again: %+v", a)
	}
}
