package login

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// PutCode implements Store.
func (r *Redis) PutCode(ctx context.Context, id, codeHash string, ttl time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	// The index outlives the code: a spent one may be repeated for a while. That an
	// older index still leads here does not matter: the ticket knows one code.
	err := r.retryConn(ctx, func() error { return r.redisClient.Set(ctx, r.codeKey(codeHash), id, ttl+repeatTime).Err() })
	if err != nil {
		return err
	}
	_, err = r.stepTicket(ctx, stepPutCode, id, codeHash, ttl)
	return err
}

// Exchange implements Store.
func (r *Redis) Exchange(ctx context.Context, codeHash, challenge string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	id, err := r.lookupID(ctx, r.codeKey(codeHash))
	if err != nil {
		return Ticket{}, err
	}
	return r.stepTicket(ctx, stepExchange, id, codeHash, challenge, repeatTime, wrongVerifiers)
}

// Revoke implements Store.
func (r *Redis) Revoke(ctx context.Context, id, openID string, ttl time.Duration) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	t, err := r.stepTicket(ctx, stepRevoke, id, openID)
	if err != nil {
		return Ticket{}, err
	}
	return t, r.takeBack(ctx, t.JTI, ttl)
}

// Forget implements Store. The ways go last: what fails before is done again by the
// next Forget.
func (r *Redis) Forget(ctx context.Context, appID, openID string, at time.Time) (tickets []Ticket, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	if at, err = r.noteLeft(ctx, appID, openID, at); err != nil {
		return nil, err
	}
	tokens, err := r.tokensOf(ctx, appID, openID)
	if err != nil {
		return nil, err
	}
	var gone []redisToken
	for _, token := range tokens {
		if isNewer(token.eventTime, at) {
			continue
		}
		gone = append(gone, token)
		t, err := r.stepTicket(ctx, stepForget, token.ticket, openID, forgotten)
		unknown := errors.Is(err, ErrUnauthorized)
		if err != nil && !unknown {
			return nil, err
		}
		if unknown || t.Revoked {
			if err := r.takeBack(ctx, token.tokenID, token.timeLeft); err != nil {
				return nil, err
			}
		}
		if !unknown {
			tickets = append(tickets, t)
		}
	}
	return tickets, r.unindexTokens(ctx, appID, openID, gone)
}

// noteLeft notes when a person left, and answers it: now for a zero at.
func (r *Redis) noteLeft(ctx context.Context, appID, openID string, at time.Time) (time.Time, error) {
	var text string
	err := r.retryConn(ctx, func() (err error) {
		text, err = stepLeave.Run(ctx, r.redisClient, []string{r.leftKey(appID, openID)},
			r.stepArgs([]any{eventMilliseconds(at), leftTime})...).Text()
		return err
	})
	return timeOf(text), err
}

// unindexTokens removes the ways to tokens that are dealt with. A way to a later claim stays.
func (r *Redis) unindexTokens(ctx context.Context, appID, openID string, tokens []redisToken) error {
	if len(tokens) == 0 {
		return nil
	}
	members, tickets := make([]any, len(tokens)), make([]any, len(tokens))
	for i, t := range tokens {
		members[i], tickets[i] = t.member, t.ticket
	}
	err := r.retryConn(ctx, func() error {
		return stepUnindex.Run(ctx, r.redisClient, []string{r.personKey(appID, openID)}, r.stepArgs(tickets)...).Err()
	})
	if err != nil {
		return err
	}
	return r.retryConn(ctx, func() error { return r.redisClient.ZRem(ctx, r.tokensKey(appID, openID), members...).Err() })
}

// RevokeLatest implements Store.
func (r *Redis) RevokeLatest(ctx context.Context, appID, openID string, at time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	tokens, err := r.tokensOf(ctx, appID, openID)
	if err != nil {
		return false, err
	}
	token, ok := latestToken(tokens, at)
	if !ok {
		return false, nil
	}
	return true, r.takeBack(ctx, token.tokenID, token.timeLeft)
}

// redisToken is a token that may be out there for a while.
type redisToken struct {
	knownToken
	member   string // as the sorted set has it
	timeLeft time.Duration
}

// tokensOf are a person's latest, those that end first in front.
func (r *Redis) tokensOf(ctx context.Context, appID, openID string) ([]redisToken, error) {
	var pairs []string
	err := r.retryConn(ctx, func() (err error) {
		pairs, err = stepTokens.Run(ctx, r.redisClient, []string{r.tokensKey(appID, openID)}, r.stepArgs([]any{maxTokens})...).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]redisToken, 0, len(pairs)/2)
	for i := len(pairs) - 2; i >= 0; i -= 2 {
		// A version before event times were kept wrote two words.
		words := append(strings.Split(pairs[i], " "), "0")
		f := &fieldReader{fields: map[string]string{"event": words[min(2, len(words)-1)]}}
		t := redisToken{knownToken: knownToken{eventTime: f.readTime("event")}, member: pairs[i]}
		left, err := strconv.ParseInt(pairs[i+1], 10, 64)
		f.checkField("token", err == nil && left >= 0 && left <= maxEnd.Milliseconds() && (len(words) == 3 || len(words) == 4))
		if len(words) > 1 {
			t.tokenID, t.ticket = words[0], words[1]
		}
		f.checkField("token", t.tokenID != "" && isName(t.tokenID+t.ticket, maxIDLength))
		if f.firstDamaged != "" {
			_ = r.damageLog.reportField("token")
			continue
		}
		t.timeLeft = time.Duration(left) * time.Millisecond
		list = append(list, t)
	}
	return list, nil
}

// takeBack lists a token as revoked.
func (r *Redis) takeBack(ctx context.Context, jti string, ttl time.Duration) error {
	return r.retryConn(ctx, func() error {
		return stepTakeBack.Run(ctx, r.redisClient, []string{r.revokedKey()}, r.stepArgs([]any{jti, ttl})...).Err()
	})
}

// Revoked implements Store.
func (r *Redis) Revoked(ctx context.Context, most int) (jtis []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	err = r.retryConn(ctx, func() error {
		jtis, err = stepRevoked.Run(ctx, r.redisClient, []string{r.revokedKey()}, r.stepArgs([]any{most})...).StringSlice()
		return err
	})
	return r.visibleNames(jtis), err
}

// Once implements callback.Dedupe.
func (r *Redis) Once(ctx context.Context, key string, lease time.Duration) (WebhookStage, []byte, error) {
	stage, reply, err := r.stepEvent(ctx, stepOnce, key, lease, newJTI())
	switch {
	case err != nil:
		return 0, nil, err
	case stage == "done":
		return StageDone, []byte(reply), nil
	case stage == "processing":
		return StageProcessing, nil, nil
	}
	return StageFirst, nil, nil
}

// Finish implements callback.Dedupe.
func (r *Redis) Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error {
	_, _, err := r.stepEvent(ctx, stepFinish, key, string(reply), ttl)
	return err
}

// stepEvent runs a step on a pushed event.
func (r *Redis) stepEvent(ctx context.Context, s *redis.Script, key string, args ...any) (stage, reply string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	var list []string
	err = r.retryConn(ctx, func() error {
		list, err = s.Run(ctx, r.redisClient, []string{r.eventKey(key)}, r.stepArgs(args)...).StringSlice()
		return err
	})
	if err != nil {
		return "", "", err
	}
	if len(list) != 2 || len(list[1]) > maxReply || !utf8.ValidString(list[1]) {
		return "", "", fmt.Errorf("%w: %w", ErrStoreUnavailable, r.damageLog.reportField("event"))
	}
	return list[0], list[1], nil
}

// manyTickets is how many tickets one round trip of GetMany asks for.
const manyTickets = 256

// GetMany implements Store.
func (r *Redis) GetMany(ctx context.Context, ids []string) ([]Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	found := make([]Ticket, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), manyTickets)
		some, err := r.getMany(ctx, ids[:n])
		if err != nil {
			return nil, err
		}
		found, ids = append(found, some...), ids[n:]
	}
	return found, nil
}

// getMany reads the hashes without a script: one command for a ticket, and one for the
// clock. What get.lua decides is decided here.
func (r *Redis) getMany(ctx context.Context, ids []string) ([]Ticket, error) {
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	var clock *redis.TimeCmd
	err := r.retryConn(ctx, func() error {
		pipe := r.redisClient.Pipeline()
		clock = pipe.Time(ctx)
		for i, id := range ids {
			cmds[i] = pipe.HGetAll(ctx, r.ticketKey(id))
		}
		_, _ = pipe.Exec(ctx) // its error is that of the first command, and each has its own
		err := clock.Err()
		for _, cmd := range cmds {
			if e := cmd.Err(); err == nil && e != nil && !wrongType(e) {
				err = e
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	now := clock.Val().Add(r.clockSkew).Truncate(time.Millisecond)
	found := make([]Ticket, 0, len(ids))
	for i, id := range ids {
		if cmds[i].Err() != nil {
			_ = r.damageLog.reportField("type")
			continue
		}
		a := stepAnswer{now: now, fields: cmds[i].Val()}
		if !timeOf(a.fields["gone"]).After(now) {
			continue
		}
		if t, err := r.decodeTicket(id, a); err == nil {
			found = append(found, t)
		}
	}
	return found, nil
}
