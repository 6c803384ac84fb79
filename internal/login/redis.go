package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisTimeout bounds every operation, retries included (docs/reliability.md §3 row F3).
const redisTimeout = 2 * time.Second

// RedisOptions change a Redis store. The zero value is ready to use.
type RedisOptions struct {
	// Prefix begins every key. Default "posthouse:login:".
	Prefix string
	// Accounts are the names a ticket may be for; a ticket of another one counts as
	// damaged. Empty accepts every name.
	Accounts []string
	Counter  Counter      // counts what is damaged; nil: nothing is counted
	Logger   *slog.Logger // nil: nothing is logged
}

// Redis keeps tickets in Redis 5 or later, a single server, Sentinel or a cluster,
// for any number of replicas. Each step is one script on one key, and its clock is
// the server's:
//
//	<prefix>t:{<id>}    hash: a ticket
//	<prefix>w:{<hash>}  the id behind WeChat's ticket
//	<prefix>c:{<hash>}  the id behind a one-time code
//	<prefix>p:{<hash>}  the id a person claimed last
//	<prefix>j:{<hash>}  sorted set: a person's tokens, their tickets and when they were
//	                    claimed, by when they end
//	<prefix>u:{<hash>}  when a person left an account
//	<prefix>k:{<hash>}  hash: how a person logs in, see Marks
//	<prefix>e:{<hash>}  hash: a pushed event, see Once
//	<prefix>revoked     sorted set: tokens that were taken back, by when they end
//
// Every key expires by itself. Every operation ends within 2 s, and what the
// server says wrong is wrapped in ErrStoreUnavailable. Other programs may write the
// same Redis: what is read is checked like what comes from a network, and a ticket
// that no replica wrote is answered with ErrDamaged. Safe for concurrent use.
type Redis struct {
	redisClient   redis.UniversalClient
	keyPrefix     string
	knownAccounts map[string]bool // those known; empty: every name is
	damageLog     *damageLog
	clockSkew     time.Duration // added to the server's clock by tests
}

var _ Store = (*Redis)(nil)

// NewRedis returns a store on rdb, which stays the caller's to close and must
// honour contexts (ContextTimeoutEnabled): a Redis that hangs is cut off by them.
// It does not connect.
func NewRedis(rdb redis.UniversalClient, o *RedisOptions) (*Redis, error) {
	honours := true
	switch c := rdb.(type) {
	case *redis.Client:
		honours = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		honours = c.Options().ContextTimeoutEnabled
	}
	if !honours {
		return nil, errors.New("login: the redis client needs ContextTimeoutEnabled")
	}
	if o == nil {
		o = &RedisOptions{}
	}
	counter, log := o.Counter, o.Logger
	if counter == nil {
		counter = silent{}
	}
	if log == nil {
		log = slog.Default()
	}
	return &Redis{
		redisClient: rdb, keyPrefix: cmp.Or(o.Prefix, "posthouse:login:"),
		knownAccounts: setOf(o.Accounts...), damageLog: newDamageLog(counter, log),
	}, nil
}

// Create implements Store.
func (r *Redis) Create(ctx context.Context, t Ticket, ttl time.Duration) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	// The index first: without its ticket it leads nowhere, but a ticket without it
	// could never be resumed.
	life := ttl + Grace + tail
	if t.WeChat != "" {
		err := r.retryConn(ctx, func() error { return r.redisClient.Set(ctx, r.wechatKey(t.WeChat), t.ID, life).Err() })
		if err != nil {
			return Ticket{}, err
		}
	}
	args := []any{
		ttl, Grace + tail, t.ResumeHash,
		"wx", t.WeChat, "acc", t.Account, "app", t.AppID, "sid", t.SocketID, "raw", flagText(t.Raw),
		"ch", t.Challenge, "num", t.Number, "br", t.Browser, "ag", t.Agent, "net", t.Network,
		"url", t.URL, "img", t.ImageURL, "ctx", t.Context,
	}
	if t.Trace != "" {
		args = append(args, "tp", t.Trace)
	}
	a, err := r.runStep(ctx, stepCreate, r.ticketKey(t.ID), args...)
	if err != nil {
		return Ticket{}, err
	}
	if a.outcome == "exists" {
		return Ticket{}, ErrExists
	}
	return r.decodeTicket(t.ID, a)
}

// Resume implements Store.
func (r *Redis) Resume(ctx context.Context, wechatTicket, resumeHash, socketID string, raw bool) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	id, err := r.lookupID(ctx, r.wechatKey(wechatTicket))
	if err != nil {
		return Ticket{}, err
	}
	return r.stepTicket(ctx, stepResume, id, resumeHash, socketID, flagText(raw))
}

// Unbind implements Store.
func (r *Redis) Unbind(ctx context.Context, id, socketID string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	_, err := r.runStep(ctx, stepUnbind, r.ticketKey(id), socketID)
	return err
}

// Delivered implements Store.
func (r *Redis) Delivered(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	_, err := r.stepTicket(ctx, stepDelivered, id)
	return err
}

// End implements Store.
func (r *Redis) End(ctx context.Context, id string, to State, reason, socketID string) (Ticket, error) {
	if to == Done || !to.Terminal() {
		return Ticket{}, fmt.Errorf("login: a ticket does not end as %q", to)
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.stepTicket(ctx, stepEnd, id, string(to), reason, Grace, socketID)
}

// Get implements Store.
func (r *Redis) Get(ctx context.Context, id string) (Ticket, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return r.stepTicket(ctx, stepGet, id)
}

// stepTicket runs a step whose answer is the ticket, or ErrUnauthorized.
func (r *Redis) stepTicket(ctx context.Context, s *redis.Script, id string, args ...any) (Ticket, error) {
	a, err := r.runStep(ctx, s, r.ticketKey(id), args...)
	if err != nil {
		return Ticket{}, err
	}
	if a.outcome == "unknown" {
		return Ticket{}, ErrUnauthorized
	}
	return r.decodeTicket(id, a)
}

// lookupID follows an index; ErrUnauthorized when it leads nowhere.
func (r *Redis) lookupID(ctx context.Context, key string) (id string, err error) {
	err = r.retryConn(ctx, func() error {
		id, err = r.redisClient.Get(ctx, key).Result()
		return err
	})
	switch {
	case errors.Is(err, redis.Nil):
		return "", ErrUnauthorized
	case err == nil && (id == "" || !isName(id, maxIDLength)):
		return "", r.damageLog.reportField("index")
	}
	return id, err
}
