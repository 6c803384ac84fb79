package wxsim

import (
	"time"
)

const (
	tokenLife    = 7200 * time.Second
	tokenOverlap = 5 * time.Minute // an evicted token still works this long

	forcedPerDay = 20
	forcedPause  = 30 * time.Second
)

// accessToken is one token and when it stops working. A token that ran out by
// itself answers 42001, one that was replaced or killed 40001.
type accessToken struct {
	value   string
	expires time.Time
	evicted time.Time // zero: never
}

func (t *accessToken) alive(now time.Time) bool {
	return now.Before(t.expires) && (t.evicted.IsZero() || now.Before(t.evicted))
}

// tokens are the two families of an account's access tokens. They know nothing
// of each other: /token never invalidates a stable token, nor the reverse.
type tokens struct {
	all    map[string]*accessToken
	plain  *accessToken // the latest of /cgi-bin/token
	stable *accessToken

	forced   usage
	forcedAt time.Time
}

// issuePlain makes a new token every time; the previous one keeps working for
// five minutes.
func (t *tokens) issuePlain(now time.Time, value string) *accessToken {
	if t.plain != nil && t.plain.evicted.IsZero() {
		t.plain.evicted = now.Add(tokenOverlap)
	}
	t.plain = t.add(now, value)
	return t.plain
}

// issueStable answers the same token with what is left of its life. In its last
// five minutes it answers a new one, and both work.
func (t *tokens) issueStable(now time.Time, force bool, fresh func() string) (*accessToken, *apiError) {
	current := t.stable
	usable := current != nil && current.alive(now)
	if force && usable {
		if !t.forcedAt.IsZero() && now.Sub(t.forcedAt) < forcedPause {
			return current, nil // too close to the last one: no refresh, no error
		}
		if refused := t.forced.take(now, Limit{Daily: forcedPerDay}); refused != nil {
			return nil, refused
		}
		current.evicted = now
		t.forcedAt = now
		usable = false
	}
	if usable && current.expires.Sub(now) > tokenOverlap {
		return current, nil
	}
	t.stable = t.add(now, fresh())
	return t.stable, nil
}

func (t *tokens) add(now time.Time, value string) *accessToken {
	for v, old := range t.all {
		// Kept a day after their end, so that a late caller hears why.
		if now.Sub(old.expires) > 24*time.Hour {
			delete(t.all, v)
		}
	}
	token := &accessToken{value: value, expires: now.Add(tokenLife)}
	t.all[value] = token
	return token
}

// kill ends every token of the account now.
func (t *tokens) kill(now time.Time) {
	for _, token := range t.all {
		if token.alive(now) {
			token.evicted = now
		}
	}
}

// check is what every API call with an access_token goes through.
func (t *tokens) check(now time.Time, value string) *apiError {
	token := t.all[value]
	switch {
	case token == nil:
		return errTokenUnknown
	case token.alive(now):
		return nil
	case !token.evicted.IsZero() && token.evicted.Before(token.expires):
		return errTokenUnknown
	default:
		return errTokenExpired
	}
}
