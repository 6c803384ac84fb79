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
	err := r.try(ctx, func() error { return r.rdb.Set(ctx, r.codeKey(codeHash), id, ttl+repeatTime).Err() })
	if err != nil {
		return err
	}
	_, err = r.one(ctx, stepPutCode, id, codeHash, ttl)
	return err
}

// Exchange implements Store.
func (r *Redis) Exchange(ctx context.Context, codeHash, challenge string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	id, err := r.lookup(ctx, r.codeKey(codeHash))
	if err != nil {
		return Ticket{}, err
	}
	return r.one(ctx, stepExchange, id, codeHash, challenge, repeatTime, wrongVerifiers)
}

// Revoke implements Store.
func (r *Redis) Revoke(ctx context.Context, id, openID string, ttl time.Duration) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	t, err := r.one(ctx, stepRevoke, id, openID)
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
	if at, err = r.leave(ctx, appID, openID, at); err != nil {
		return nil, err
	}
	tokens, err := r.tokens(ctx, appID, openID)
	if err != nil {
		return nil, err
	}
	var gone []redisToken
	for _, token := range tokens {
		if newer(token.event, at) {
			continue
		}
		gone = append(gone, token)
		t, err := r.one(ctx, stepForget, token.ticket, openID, forgotten)
		unknown := errors.Is(err, ErrUnauthorized)
		if err != nil && !unknown {
			return nil, err
		}
		if unknown || t.Revoked {
			if err := r.takeBack(ctx, token.jti, token.left); err != nil {
				return nil, err
			}
		}
		if !unknown {
			tickets = append(tickets, t)
		}
	}
	return tickets, r.unindex(ctx, appID, openID, gone)
}

// leave notes when a person left, and answers it: now for a zero at.
func (r *Redis) leave(ctx context.Context, appID, openID string, at time.Time) (time.Time, error) {
	var text string
	err := r.try(ctx, func() (err error) {
		text, err = stepLeave.Run(ctx, r.rdb, []string{r.leftKey(appID, openID)},
			r.args([]any{eventMilliseconds(at), leftTime})...).Text()
		return err
	})
	return timeOf(text), err
}

// unindex removes the ways to tokens that are dealt with. A way to a later claim stays.
func (r *Redis) unindex(ctx context.Context, appID, openID string, tokens []redisToken) error {
	if len(tokens) == 0 {
		return nil
	}
	members, tickets := make([]any, len(tokens)), make([]any, len(tokens))
	for i, t := range tokens {
		members[i], tickets[i] = t.member, t.ticket
	}
	err := r.try(ctx, func() error {
		return stepUnindex.Run(ctx, r.rdb, []string{r.personKey(appID, openID)}, r.args(tickets)...).Err()
	})
	if err != nil {
		return err
	}
	return r.try(ctx, func() error { return r.rdb.ZRem(ctx, r.tokensKey(appID, openID), members...).Err() })
}

// TakeBack implements Store.
func (r *Redis) TakeBack(ctx context.Context, appID, openID string, at time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	tokens, err := r.tokens(ctx, appID, openID)
	if err != nil {
		return false, err
	}
	token, ok := latest(tokens, at)
	if !ok {
		return false, nil
	}
	return true, r.takeBack(ctx, token.jti, token.left)
}

// redisToken is a token that may be out there for a while.
type redisToken struct {
	knownToken
	member string // as the sorted set has it
	left   time.Duration
}

// tokens are a person's latest, those that end first in front.
func (r *Redis) tokens(ctx context.Context, appID, openID string) ([]redisToken, error) {
	var pairs []string
	err := r.try(ctx, func() (err error) {
		pairs, err = stepTokens.Run(ctx, r.rdb, []string{r.tokensKey(appID, openID)}, r.args([]any{maxTokens})...).StringSlice()
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
		t := redisToken{knownToken: knownToken{event: f.time("event")}, member: pairs[i]}
		left, err := strconv.ParseInt(pairs[i+1], 10, 64)
		f.check("token", err == nil && left >= 0 && left <= maxEnd.Milliseconds() && (len(words) == 3 || len(words) == 4))
		if len(words) > 1 {
			t.jti, t.ticket = words[0], words[1]
		}
		f.check("token", t.jti != "" && isName(t.jti+t.ticket, maxIDLength))
		if f.bad != "" {
			_ = r.damage.report("token")
			continue
		}
		t.left = time.Duration(left) * time.Millisecond
		list = append(list, t)
	}
	return list, nil
}

// takeBack lists a token as revoked.
func (r *Redis) takeBack(ctx context.Context, jti string, ttl time.Duration) error {
	return r.try(ctx, func() error {
		return stepTakeBack.Run(ctx, r.rdb, []string{r.revokedKey()}, r.args([]any{jti, ttl})...).Err()
	})
}

// Revoked implements Store.
func (r *Redis) Revoked(ctx context.Context, most int) (jtis []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	err = r.try(ctx, func() error {
		jtis, err = stepRevoked.Run(ctx, r.rdb, []string{r.revokedKey()}, r.args([]any{most})...).StringSlice()
		return err
	})
	return r.names(jtis), err
}

// Once implements Store.
func (r *Redis) Once(ctx context.Context, key string, lease time.Duration) (WebhookStage, []byte, error) {
	stage, reply, err := r.event(ctx, stepOnce, key, lease, newJTI())
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

// Finish implements Store.
func (r *Redis) Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error {
	_, _, err := r.event(ctx, stepFinish, key, string(reply), ttl)
	return err
}

// event runs a step on a pushed event.
func (r *Redis) event(ctx context.Context, s *redis.Script, key string, args ...any) (stage, reply string, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	var list []string
	err = r.try(ctx, func() error {
		list, err = s.Run(ctx, r.rdb, []string{r.eventKey(key)}, r.args(args)...).StringSlice()
		return err
	})
	if err != nil {
		return "", "", err
	}
	if len(list) != 2 || len(list[1]) > maxReply || !utf8.ValidString(list[1]) {
		return "", "", fmt.Errorf("%w: %w", ErrStoreUnavailable, r.damage.report("event"))
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
	err := r.try(ctx, func() error {
		pipe := r.rdb.Pipeline()
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
	now := clock.Val().Add(r.skew).Truncate(time.Millisecond)
	found := make([]Ticket, 0, len(ids))
	for i, id := range ids {
		if cmds[i].Err() != nil {
			_ = r.damage.report("type")
			continue
		}
		a := stepAnswer{now: now, fields: cmds[i].Val()}
		if !timeOf(a.fields["gone"]).After(now) {
			continue
		}
		if t, err := r.ticket(id, a); err == nil {
			found = append(found, t)
		}
	}
	return found, nil
}
