package gateway

import (
	"context"
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
		Issuer: a.cfg.JWTIssuer, Audience: a.cfg.JWTAudience, Life: time.Duration(a.cfg.JWTTTL),
	}
	var err error
	if a.cfg.JWTKey != "" {
		if o.Keys, err = parseKeys(a.cfg.JWTKey, a.cfg.JWTPreviousKey); err != nil {
			return nil, err
		}
		return login.NewIssuer(o)
	}
	var shelf login.KeyShelf
	if a.redis != nil {
		shelf = login.RedisShelf(a.redis)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	key, err := login.DevelopmentKey(ctx, shelf)
	if err != nil {
		return nil, fmt.Errorf("gateway: development key: %w", err)
	}
	a.warnings = append(a.warnings, "tokens are signed with a throw-away key: set POSTHOUSE_JWT_KEY_FILE")
	o.Keys = []login.Key{key}
	return login.NewIssuer(o)
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
		if err := readSecret(&text, file, "POSTHOUSE_JWT_PREVIOUS_KEY"); err != nil {
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
// everybody's JWKS has it; a key that is gone is accepted until its last token is
// over. So keys rotate without a restart.
func (a *App) watchKeys(ctx context.Context) {
	var now Secret
	if file := a.cfg.JWTKeyFile; file == "" || readSecret(&now, file, "POSTHOUSE_JWT_KEY") != nil || now != a.cfg.JWTKey {
		return // the key comes from elsewhere
	}
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now = a.rotate(now)
		}
	}
}

// rotate takes the key file over if it is no longer as known, and returns what it
// holds. A file that cannot be used changes nothing.
func (a *App) rotate(known Secret) Secret {
	var text Secret
	err := readSecret(&text, a.cfg.JWTKeyFile, "POSTHOUSE_JWT_KEY")
	if err == nil && text == known {
		return known
	}
	if err == nil {
		var keys []login.Key
		if keys, err = parseKeys(text, a.cfg.JWTPreviousKey); err == nil {
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
