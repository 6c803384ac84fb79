package wechat

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"posthouse/internal/sleep"
)

const (
	tokenMargin  = 10 * time.Second // a token is not used in its last moments
	aheadTime    = time.Second      // what one caller may lose to a refresh ahead
	lockTime     = 10 * time.Second
	othersTime   = 2 * time.Second // for another replica's refresh
	cacheTime    = 700 * time.Millisecond
	renewEvery   = 5 * time.Second // bad tokens never become a storm of refreshes
	forceEvery   = 5 * time.Minute // WeChat allows 30 s and 20 a day
	forcesPerDay = 20
)

// renewal says how hard to try for another token.
type renewal int

const (
	renewNormally renewal = iota
	renewByForce          // kills the old token everywhere; 20 a day
)

// tokens keeps the account's access token: one copy here, one shared. The caller that
// needs a new one asks in the name of all, in this process and in the others.
type tokens struct {
	c     *Client
	cache TokenCache
	box   cipher.AEAD
	// flight is held by the goroutine that fetches a token; a channel, because waiting for
	// it must end with the caller's context.
	flight chan struct{}

	mu      sync.Mutex // guards what follows
	current accessToken
	forces  []time.Time
}

type accessToken struct {
	text      Secret
	expires   time.Time
	refreshAt time.Time
}

func (t accessToken) good(now time.Time) bool {
	return t.text != "" && now.Before(t.expires.Add(-tokenMargin))
}

func newTokens(c *Client, cache TokenCache) (*tokens, error) {
	if cache == nil {
		cache = NewMemoryTokenCache()
	}
	key, err := hkdf.Key(sha256.New, []byte(c.secret.Reveal()), nil, "posthouse access token "+c.appID, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &tokens{c: c, cache: cache, box: box, flight: make(chan struct{}, 1)}, nil
}

// get returns a token that should work. Near its end one caller refreshes it
// while the others go on with the old one.
func (t *tokens) get(ctx context.Context) (Secret, error) {
	cur := t.peek()
	if cur.good(time.Now()) {
		if time.Now().Before(cur.refreshAt) || !enter(t.flight) {
			return cur.text, nil
		}
		defer func() { <-t.flight }()
		ahead, cancel := context.WithTimeout(ctx, aheadTime)
		defer cancel()
		if fresh, err := t.fetch(ahead, cur, false, false); err == nil {
			return fresh.text, nil
		}
		t.postpone(cur)
		return cur.text, nil
	}
	if err := t.enter(ctx); err != nil {
		return "", err
	}
	defer func() { <-t.flight }()
	if cur = t.peek(); cur.good(time.Now()) {
		return cur.text, nil
	}
	fresh, err := t.fetch(ctx, accessToken{}, true, false)
	return fresh.text, err
}

// renew returns a token other than the failed one if there is one to be had: the
// copy another caller or replica got meanwhile, or a new one. With renewNormally
// it may be the same (WeChat says that it is the current one after all).
func (t *tokens) renew(ctx context.Context, failed Secret, how renewal) (Secret, error) {
	if err := t.enter(ctx); err != nil {
		return "", err
	}
	defer func() { <-t.flight }()
	cur := t.peek()
	if cur.text != failed && cur.good(time.Now()) {
		return cur.text, nil
	}
	if how == renewNormally {
		fresh, err := t.fetch(ctx, accessToken{text: failed}, true, false)
		return fresh.text, err
	}
	if !t.mayForce(ctx) {
		return "", &Error{API: apiToken, Class: ClassRefresh}
	}
	t.c.o.Logger.Warn("WeChat refuses the token it calls current; forcing a new one")
	fresh, err := t.fetch(ctx, accessToken{text: failed}, true, true)
	return fresh.text, err
}

func (t *tokens) mayForce(ctx context.Context) bool {
	t.mu.Lock()
	now := time.Now()
	n := 0
	for _, at := range t.forces {
		if now.Sub(at) < 24*time.Hour {
			t.forces[n] = at
			n++
		}
	}
	t.forces = t.forces[:n]
	t.mu.Unlock()
	if n >= forcesPerDay {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	if ok, err := t.cache.Allow(ctx, t.c.appID, "force", forceEvery); err != nil || !ok {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forces = append(t.forces, now)
	return true
}

// fetch replaces old. Another replica's token is as good as one of our own; who
// gets the lock asks WeChat. wait says whether to wait for a replica that is
// asking right now. The caller holds flight.
func (t *tokens) fetch(ctx context.Context, old accessToken, wait, force bool) (accessToken, error) {
	if !force {
		if shared, ok := t.load(ctx, old); ok {
			return shared, nil
		}
	}
	lease, err := t.lock(ctx)
	for until := time.Now().Add(othersTime); err == nil && lease == nil; {
		if !wait {
			return accessToken{}, errInFlight
		}
		if sleep.For(ctx, 50*time.Millisecond) != nil || time.Now().After(until) {
			break // asking all the same is safe: stable_token answers all callers alike
		}
		if shared, ok := t.load(ctx, old); ok {
			return shared, nil
		}
		lease, err = t.lock(ctx)
	}
	if lease != nil {
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cacheTime)
			defer cancel()
			_ = lease.Release(ctx) // it ends by itself
		}()
		if !force {
			if shared, ok := t.load(ctx, old); ok {
				return shared, nil // stored between our look and our lock
			}
		}
	}
	if old.text != "" && !force {
		allow, cancel := context.WithTimeout(ctx, cacheTime)
		ok, err := t.cache.Allow(allow, t.c.appID, "renew", renewEvery)
		cancel()
		if err == nil && !ok {
			return accessToken{}, &Error{API: apiToken, Class: ClassRefresh, Until: time.Now().Add(renewEvery)}
		}
	}
	fresh, err := t.ask(ctx, force)
	if err != nil {
		return accessToken{}, err
	}
	t.set(fresh)
	if lease != nil {
		t.store(ctx, lease, fresh)
	}
	return fresh, nil
}

func (t *tokens) ask(ctx context.Context, force bool) (accessToken, error) {
	type ask struct {
		Grant  string `json:"grant_type"`
		AppID  string `json:"appid"`
		Secret string `json:"secret"`
		Force  bool   `json:"force_refresh"`
	}
	var out struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	k := call{
		api: apiToken, method: http.MethodPost,
		body:  ask{"client_credential", t.c.appID, t.c.secret.Reveal(), force},
		into:  &out,
		whole: func() bool { return out.Token != "" && out.Expires > 0 && out.Expires < 1<<20 },
	}
	asked := time.Now()
	err := t.c.guard(ctx, apiToken, func() (*Error, error) { return t.c.exchange(ctx, k, ""), nil })
	if err != nil {
		return accessToken{}, err
	}
	return scheduled(Secret(out.Token), asked, time.Duration(out.Expires)*time.Second), nil
}

// scheduled decides when to refresh: 5 to 10 minutes before the end, at random
// so that replicas do not all ask at once. A token that is nearer to its end than
// that gets its successor only in its last 5 minutes.
func scheduled(text Secret, now time.Time, left time.Duration) accessToken {
	t := accessToken{text: text, expires: now.Add(left)}
	ahead := 5*time.Minute + rand.N(5*time.Minute)
	if left <= 10*time.Minute {
		ahead = 4*time.Minute + rand.N(time.Minute)
	}
	t.refreshAt = t.expires.Add(-ahead)
	if t.refreshAt.Before(now.Add(30 * time.Second)) {
		t.refreshAt = now.Add(30 * time.Second)
	}
	return t
}

// load takes the shared token if it is another and lives longer than old.
func (t *tokens) load(ctx context.Context, old accessToken) (accessToken, bool) {
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	box, left, err := t.cache.Load(ctx, t.c.appID)
	if err != nil {
		t.c.o.Logger.Warn("the shared access token cannot be read", slog.String("app", t.c.appID))
		return accessToken{}, false
	}
	text, err := t.box.Open(nil, nil, box, []byte(t.c.appID))
	if box == nil || err != nil {
		return accessToken{}, false // none, or another AppSecret's
	}
	shared := scheduled(Secret(text), time.Now(), left)
	if shared.text == old.text || !shared.good(time.Now()) || shared.expires.Before(old.expires) {
		return accessToken{}, false
	}
	t.set(shared)
	return shared, true
}

func (t *tokens) store(ctx context.Context, lease TokenLease, fresh accessToken) {
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	box := t.box.Seal(nil, nil, []byte(fresh.text.Reveal()), []byte(t.c.appID))
	if err := lease.Store(ctx, box, time.Until(fresh.expires)); err != nil {
		t.c.o.Logger.Warn("the access token could not be shared", slog.String("app", t.c.appID))
	}
}

func (t *tokens) lock(ctx context.Context) (TokenLease, error) {
	ctx, cancel := context.WithTimeout(ctx, cacheTime)
	defer cancel()
	return t.cache.Lock(ctx, t.c.appID, lockTime)
}

func (t *tokens) enter(ctx context.Context) error {
	select {
	case t.flight <- struct{}{}:
		return nil
	case <-ctx.Done():
		return transportError(apiToken, ctx.Err())
	}
}

func enter(flight chan struct{}) bool {
	select {
	case flight <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t *tokens) peek() accessToken {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

func (t *tokens) set(fresh accessToken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = fresh
}

// postpone tries a failed refresh ahead again in a while.
func (t *tokens) postpone(cur accessToken) {
	cur.refreshAt = time.Now().Add(30 * time.Second)
	t.set(cur)
}
