package login

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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
	a, err := r.runStep(ctx, stepCreate, r.ticketKey(t.ID), ttl, Grace+tail, t.ResumeHash,
		"wx", t.WeChat, "acc", t.Account, "app", t.AppID, "sid", t.SocketID, "raw", flagText(t.Raw),
		"ch", t.Challenge, "num", t.Number, "br", t.Browser, "ag", t.Agent, "net", t.Network,
		"url", t.URL, "img", t.ImageURL)
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

// What is looked up by a browser's or WeChat's words is hashed: it bounds the key
// and keeps persons out of key names. The braces make a cluster hash tag of it.
func (r *Redis) ticketKey(id string) string { return r.keyPrefix + "t:{" + id + "}" }
func (r *Redis) wechatKey(t string) string  { return r.keyPrefix + "w:{" + shortName(t) + "}" }
func (r *Redis) codeKey(h string) string    { return r.keyPrefix + "c:{" + shortName(h) + "}" }
func (r *Redis) revokedKey() string         { return r.keyPrefix + "revoked" }
func (r *Redis) eventKey(k string) string   { return r.keyPrefix + "e:{" + shortName(k) + "}" }
func (r *Redis) personKey(appID, openID string) string {
	return r.keyPrefix + "p:{" + personKey(appID, openID) + "}"
}

func (r *Redis) leftKey(appID, openID string) string {
	return r.keyPrefix + "u:{" + personKey(appID, openID) + "}"
}

func (r *Redis) tokensKey(appID, openID string) string {
	return r.keyPrefix + "j:{" + personKey(appID, openID) + "}"
}

func (r *Redis) marksKey(appID, openID string) string {
	return r.keyPrefix + "k:{" + personKey(appID, openID) + "}"
}

func shortName(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func flagText(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// eventMilliseconds is 0 for no time.
func eventMilliseconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func millisText(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
