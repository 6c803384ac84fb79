package login

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Claim implements Store.
func (r *Redis) Claim(ctx context.Context, c Claim) (Ticket, Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	// An event from before the person left changes nothing. The second look, below, is
	// for a person who leaves while this claim is under way.
	if left, err := r.leftAt(ctx, c.AppID, c.OpenID); err != nil {
		return Ticket{}, "", err
	} else if !c.EventAt.IsZero() && c.EventAt.Before(left) {
		return Ticket{}, OutcomeLeft, nil
	}
	id, jti := c.Scene, newJTI()
	run := func() (stepAnswer, error) {
		return r.runStep(ctx, stepClaim, r.ticketKey(id), c.AppID, c.OpenID, c.UnionID, flagText(c.Confirm || c.Risk),
			c.arrivalAge(), jti, Grace, confirmTime, tail, flagText(c.Risk), eventMilliseconds(c.EventAt))
	}
	a, err := run()
	if err == nil && a.outcome == string(OutcomeUnknown) && c.WeChat != "" {
		switch id, err = r.lookupID(ctx, r.wechatKey(c.WeChat)); {
		case errors.Is(err, ErrUnauthorized):
			err = nil
		case err == nil:
			a, err = run()
		}
	}
	if errors.Is(err, ErrDamaged) {
		return Ticket{}, OutcomeUnknown, nil
	}
	if err != nil {
		return Ticket{}, "", err
	}
	t, outcome, err := r.decodeOutcome(id, a)
	if err != nil {
		return Ticket{Now: a.now}, OutcomeUnknown, nil
	}
	if outcome == OutcomeClaimed || outcome == OutcomeSame {
		var left time.Time
		left, err = r.indexTicket(ctx, c, t, a)
		if errors.Is(err, ErrDamaged) { // a key of another type leads nowhere
			err = r.dropIndex(ctx, c.AppID, c.OpenID)
			if err == nil {
				left, err = r.indexTicket(ctx, c, t, a)
			}
		}
		if err == nil && t.EventAt.Before(left) {
			return r.claimedTooLate(ctx, c, t, left)
		}
	}
	if err != nil {
		return Ticket{}, "", err
	}
	return t, outcome, nil
}

// claimedTooLate takes a claim back that met a Forget of a later event.
func (r *Redis) claimedTooLate(ctx context.Context, c Claim, t Ticket, left time.Time) (Ticket, Outcome, error) {
	tickets, err := r.Forget(ctx, c.AppID, c.OpenID, left)
	if err != nil {
		return Ticket{}, "", err
	}
	for _, f := range tickets {
		if f.ID == t.ID {
			return f, OutcomeLeft, nil
		}
	}
	return t, OutcomeLeft, nil // the other Forget has had it
}

// indexTicket makes the ways that lead to a claimed ticket, or lets them live as long as it
// may live now. When this fails the claim is told to have failed; repeating it
// changes nothing. It answers when the person left: Forget writes that before it reads
// the tokens, and this the token before it reads that, so that one of them sees the
// other.
func (r *Redis) indexTicket(ctx context.Context, c Claim, t Ticket, a stepAnswer) (left time.Time, err error) {
	var asked *redis.SliceCmd
	err = r.retryConn(ctx, func() error {
		pipe := r.redisClient.Pipeline()
		pipe.Set(ctx, r.personKey(c.AppID, c.OpenID), t.ID, a.timeLeft())
		key, ends := r.tokensKey(c.AppID, c.OpenID), t.tokenEnds(a.now, c.Life)
		pipe.ZAddNX(ctx, key, redis.Z{Score: float64(ends.UnixMilli()), Member: t.JTI + " " + t.ID + " " + eventMilliseconds(t.EventAt)})
		pipe.ZRemRangeByRank(ctx, key, 0, -maxTokens-1)
		pipe.PExpire(ctx, key, ends.Sub(a.now))
		if t.WeChat != "" {
			pipe.Set(ctx, r.wechatKey(t.WeChat), t.ID, a.timeLeft())
		}
		asked = pipe.MGet(ctx, r.leftKey(c.AppID, c.OpenID)) // unlike GET it has no error for none
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return r.leftOf(asked.Val()), nil
}

// leftAt is when a person left an account, zero when that is not known.
func (r *Redis) leftAt(ctx context.Context, appID, openID string) (left time.Time, err error) {
	err = r.retryConn(ctx, func() error {
		list, err := r.redisClient.MGet(ctx, r.leftKey(appID, openID)).Result()
		left = r.leftOf(list)
		return err
	})
	return left, err
}

func (r *Redis) leftOf(list []any) time.Time {
	if len(list) != 1 || list[0] == nil {
		return time.Time{}
	}
	text, _ := list[0].(string)
	f := &fieldReader{fields: map[string]string{"left": text}}
	if at := f.readTime("left"); f.firstDamaged == "" {
		return at
	}
	_ = r.damageLog.reportField("left")
	return time.Time{}
}

// dropIndex forgets what leads to a person's tickets and tokens.
func (r *Redis) dropIndex(ctx context.Context, appID, openID string) error {
	return r.retryConn(ctx, func() error {
		pipe := r.redisClient.Pipeline()
		pipe.Del(ctx, r.personKey(appID, openID))
		pipe.Del(ctx, r.tokensKey(appID, openID))
		_, err := pipe.Exec(ctx)
		return err
	})
}

// Ask implements Store.
func (r *Redis) Ask(ctx context.Context, id, openID string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.stepTicket(ctx, stepAsk, id, openID)
}

// Confirm implements Store.
func (r *Redis) Confirm(ctx context.Context, id, openID string, ok bool) (Ticket, Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	a, err := r.runStep(ctx, stepConfirm, r.ticketKey(id), openID, flagText(ok))
	if errors.Is(err, ErrDamaged) {
		return Ticket{}, OutcomeUnknown, nil
	}
	if err != nil {
		return Ticket{}, "", err
	}
	t, outcome, err := r.decodeOutcome(id, a)
	if err != nil {
		return Ticket{Now: a.now}, OutcomeUnknown, nil
	}
	return t, outcome, nil
}

// SetUnionID implements Store.
func (r *Redis) SetUnionID(ctx context.Context, id, openID, unionID string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.stepTicket(ctx, stepUnionID, id, openID, unionID)
}

// Last implements Store.
func (r *Redis) Last(ctx context.Context, appID, openID string, at time.Time) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	id, err := r.lookupID(ctx, r.personKey(appID, openID))
	if err == nil {
		var t Ticket
		if t, err = r.stepTicket(ctx, stepGet, id); err == nil && !isNewer(t.EventAt, at) {
			return t, nil
		}
	}
	if err != nil && !errors.Is(err, ErrUnauthorized) {
		return Ticket{}, err
	}
	// That one was forgotten, or is of later.
	tokens, err := r.tokensOf(ctx, appID, openID)
	if err != nil {
		return Ticket{}, err
	}
	token, ok := latestToken(tokens, at)
	if !ok {
		return Ticket{}, ErrUnauthorized
	}
	return r.stepTicket(ctx, stepGet, token.ticket)
}
