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
func (r *Redis) Forget(ctx context.Context, appID, openID string) (tickets []Ticket, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	tokens, err := r.tokens(ctx, appID, openID, maxTokens)
	if err != nil {
		return nil, err
	}
	for _, token := range tokens {
		t, err := r.one(ctx, stepForget, token.ticket, openID, forgotten)
		gone := errors.Is(err, ErrUnauthorized)
		if err != nil && !gone {
			return nil, err
		}
		if gone || t.Revoked {
			if err := r.takeBack(ctx, token.jti, token.left); err != nil {
				return nil, err
			}
		}
		if !gone {
			tickets = append(tickets, t)
		}
	}
	return tickets, r.dropWays(ctx, appID, openID)
}

// TakeBack implements Store.
func (r *Redis) TakeBack(ctx context.Context, appID, openID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	tokens, err := r.tokens(ctx, appID, openID, 1)
	if err != nil || len(tokens) == 0 {
		return false, err
	}
	return true, r.takeBack(ctx, tokens[0].jti, tokens[0].left)
}

// redisToken is a token that may be out there for a while.
type redisToken struct {
	jti, ticket string
	left        time.Duration
}

// tokens are a person's latest, at most so many.
func (r *Redis) tokens(ctx context.Context, appID, openID string, most int) ([]redisToken, error) {
	var pairs []string
	err := r.try(ctx, func() (err error) {
		pairs, err = stepTokens.Run(ctx, r.rdb, []string{r.tokensKey(appID, openID)}, r.args([]any{most})...).StringSlice()
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]redisToken, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		jti, ticket, _ := strings.Cut(pairs[i], " ")
		left, err := strconv.ParseInt(pairs[i+1], 10, 64)
		if err != nil || left < 0 || left > maxEnd.Milliseconds() || jti == "" || !isName(jti+ticket, maxIDLength) {
			_ = r.damage.report("token")
			continue
		}
		list = append(list, redisToken{jti, ticket, time.Duration(left) * time.Millisecond})
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

func (r *Redis) getMany(ctx context.Context, ids []string) ([]Ticket, error) {
	pipe := r.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(ids))
	for i, id := range ids {
		cmds[i] = pipe.EvalSha(ctx, stepGet.Hash(), []string{r.ticketKey(id)}, r.args(nil)...)
	}
	// Each command has its own error; the first of them is also Exec's.
	_, _ = pipe.Exec(ctx)
	found := make([]Ticket, 0, len(ids))
	for i, id := range ids {
		a, err := parseAnswer(cmds[i])
		if err != nil {
			// The server does not know the script yet, or the connection broke: the
			// single step knows what to do about either.
			if a, err = r.step(ctx, stepGet, r.ticketKey(id)); errors.Is(err, ErrDamaged) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		if t, err := r.ticket(id, a); err == nil {
			found = append(found, t)
		}
	}
	return found, nil
}

// RedisShelf is a KeyShelf in Redis, for the development key.
func RedisShelf(rdb redis.UniversalClient) KeyShelf { return redisShelf{rdb} }

type redisShelf struct{ rdb redis.UniversalClient }

func (s redisShelf) PutFirst(ctx context.Context, name, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	key := "posthouse:login:" + name
	if err := s.rdb.SetNX(ctx, key, text, 0).Err(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	text, err := s.rdb.Get(ctx, key).Result()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return text, nil
}
