package login

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Weigh implements Store.
func (r *Redis) Weigh(ctx context.Context, appID, openID string, m Marks) (Unusual, error) {
	unusual, err := r.mark(ctx, stepWeigh, appID, openID, m.Ticket, m.Network, m.Browser, oftenTime, maxOften)
	if err == nil && !knownUnusual[Unusual(unusual)] {
		return UnusualUnknown, r.damage.report("unusual")
	}
	return Unusual(unusual), err
}

// Trust implements Store.
func (r *Redis) Trust(ctx context.Context, appID, openID string, m Marks) error {
	_, err := r.mark(ctx, stepTrust, appID, openID, m.Network, m.Browser, markLife, maxMarks)
	return err
}

// Distrust implements Store.
func (r *Redis) Distrust(ctx context.Context, appID, openID string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.try(ctx, func() error { return r.rdb.Del(ctx, r.marksKey(appID, openID)).Err() })
}

// mark runs a step on what is remembered of a person.
func (r *Redis) mark(ctx context.Context, s *redis.Script, appID, openID string, args ...any) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	err = r.try(ctx, func() error {
		answer, err = s.Run(ctx, r.rdb, []string{r.marksKey(appID, openID)}, r.args(args)...).Text()
		return err
	})
	return answer, err
}
