package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthouse/internal/login"
)

// jwksAge is how long others keep the JWKS, and so how long a new key is
// published before it signs.
const jwksAge = 5 * time.Minute

// newIssuer reads the signing keys. Without one a key is made, in development
// only: shared through Redis when there is Redis, so that replicas agree.
func (a *App) newIssuer() (*login.Issuer, error) {
	o := login.IssuerOptions{
		Issuer: a.config.JWTIssuer, Audience: a.config.JWTAudience, Life: time.Duration(a.config.JWTTTL),
	}
	var err error
	if a.config.JWTKey != "" {
		if o.Keys, err = parseKeys(a.config.JWTKey, a.config.JWTPreviousKey); err != nil {
			return nil, err
		}
		return login.NewIssuer(&o)
	}
	a.warnOperator("tokens are signed with a throw-away key: set POSTHOUSE_JWT_KEY_FILE")
	if a.redisClient != nil {
		password := redisPassword(a.config.RedisURL)
		if a.keyShelf, err = login.RedisShelf(a.redisClient, password); err != nil {
			return nil, err
		}
		if password == "" {
			a.warnOperator("the throw-away key lies in Redis in the clear, for everybody who can read it: " +
				"set POSTHOUSE_JWT_KEY_FILE, or a password in POSTHOUSE_REDIS_URL")
		}
	}
	key, err := a.developmentKey(context.Background())
	switch {
	case err == nil:
		o.Keys = []login.Key{key}
	case errors.Is(err, login.ErrStoreUnavailable):
		a.log.Warn("gateway: Redis does not answer; logins wait for the signing key that it keeps", "error", err)
		o.Pending = true // awaitKey fetches it
	default:
		return nil, fmt.Errorf("gateway: development key: %w", err)
	}
	return login.NewIssuer(&o)
}

// warnOperator says something in the log and in the banner.
func (a *App) warnOperator(text string) {
	a.bannerWarnings = append(a.bannerWarnings, text)
	a.log.Warn("gateway: " + text)
}

func (a *App) developmentKey(ctx context.Context) (login.Key, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return login.DevelopmentKey(ctx, a.keyShelf)
}

// keyRetry lies between two tries to fetch the development key.
const keyRetry = time.Second

// awaitKey fetches the development key that Redis could not give at the start.
func (a *App) awaitKey(ctx context.Context) {
	tick := time.NewTicker(keyRetry)
	defer tick.Stop()
	for a.issuer.Ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		key, err := a.developmentKey(ctx)
		if err == nil {
			err = a.issuer.Rotate([]login.Key{key}, 0)
		}
		if err != nil {
			a.log.Debug("gateway: development key", "error", err)
			continue
		}
		a.log.Info("gateway: the signing key is there; logins work")
	}
}

// parseKeys returns the keys of text, of which the first signs, and those of the
// files of older keys.
func parseKeys(text Secret, previous []string) ([]login.Key, error) {
	keys, err := login.ParseKeys(text.Reveal())
	if err != nil {
		return nil, keyError("POSTHOUSE_JWT_KEY", "…", err.Error())
	}
	for _, file := range previous {
		var text Secret
		if err := readSecret(&text, file, "POSTHOUSE_JWT_PREVIOUS_KEY_FILE"); err != nil {
			return nil, err
		}
		older, err := login.ParseKeys(text.Reveal())
		if err != nil {
			return nil, keyError("POSTHOUSE_JWT_PREVIOUS_KEY_FILE", file, err.Error())
		}
		keys = append(keys, older...)
	}
	return keys, nil
}

// watchKeys reads POSTHOUSE_JWT_KEY_FILE again every half minute until ctx ends.
// A new key on its top is published at once and signs five minutes later, when
// the JWKS of every relying party has it; a key that is gone is accepted until its last token is
// over. So keys rotate without a restart.
func (a *App) watchKeys(ctx context.Context) {
	var now Secret
	if file := a.config.JWTKeyFile; file == "" || readSecret(&now, file, "POSTHOUSE_JWT_KEY_FILE") != nil || now != a.config.JWTKey {
		return // the key comes from elsewhere
	}
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now = a.rotateKeys(now)
		}
	}
}

// rotateKeys takes the key file over if it is no longer as known, and returns what it
// holds. A file that cannot be used changes nothing.
func (a *App) rotateKeys(known Secret) Secret {
	var text Secret
	err := readSecret(&text, a.config.JWTKeyFile, "POSTHOUSE_JWT_KEY_FILE")
	if err == nil && text == known {
		return known
	}
	if err == nil {
		var keys []login.Key
		if keys, err = parseKeys(text, a.config.JWTPreviousKey); err == nil {
			err = a.issuer.Rotate(keys, jwksAge)
		}
	}
	if err != nil {
		a.log.Warn("gateway: the signing keys stay as they were", "error", err)
		return known
	}
	a.log.Info("gateway: signing keys changed", "signs_in", jwksAge.String())
	return text
}
