package login

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// AssessRisk implements Store.
func (r *Redis) AssessRisk(ctx context.Context, appID, openID string, m Marks) (Unusual, error) {
	unusual, err := r.stepMarks(ctx, stepWeigh, appID, openID, m.Ticket, m.Network, m.Browser, oftenTime, maxOften)
	if err == nil && !knownUnusual[Unusual(unusual)] {
		return UnusualUnknown, r.damageLog.reportField("unusual")
	}
	return Unusual(unusual), err
}

// Trust implements Store.
func (r *Redis) Trust(ctx context.Context, appID, openID string, m Marks) error {
	_, err := r.stepMarks(ctx, stepTrust, appID, openID, m.Network, m.Browser, markLife, maxMarks)
	return err
}

// Distrust implements Store.
func (r *Redis) Distrust(ctx context.Context, appID, openID string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.retryConn(ctx, func() error { return r.redisClient.Del(ctx, r.marksKey(appID, openID)).Err() })
}

// stepMarks runs a step on what is remembered of a person.
func (r *Redis) stepMarks(ctx context.Context, s *redis.Script, appID, openID string, args ...any) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	err = r.retryConn(ctx, func() error {
		answer, err = s.Run(ctx, r.redisClient, []string{r.marksKey(appID, openID)}, r.stepArgs(args)...).Text()
		return err
	})
	return answer, err
}
