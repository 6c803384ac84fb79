package oidc

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// A request is bound to its browser by a cookie: a link to the login page that was sent
// to another person shows no code there (docs/oidc.md §3).
const (
	cookieBrowser = "posthouse-signin"
	cookieSession = "posthouse-session"
	hostPrefix    = "__Host-" // where cookies need https
)

func (p *Provider) cookieName(name string) string {
	if p.secure {
		return hostPrefix + name
	}
	return name
}

func (p *Provider) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	c := &http.Cookie{
		Name: p.cookieName(name), Value: value, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.secure,
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// browserOf is the hash of the browser's cookie, "" when it sent none.
func (p *Provider) browserOf(r *http.Request) string {
	for _, c := range r.CookiesNamed(p.cookieName(cookieBrowser)) {
		if _, ok := decode(c.Value, secretSize); ok {
			return hashOf(kindBrowser, c.Value)
		}
	}
	return ""
}

// knowBrowser is browserOf, which gives a new browser its cookie.
func (p *Provider) knowBrowser(w http.ResponseWriter, r *http.Request) string {
	if known := p.browserOf(r); known != "" {
		return known
	}
	value := encode(randomBytes(secretSize))
	p.setCookie(w, cookieBrowser, value, 0) // as long as the browser runs
	return hashOf(kindBrowser, value)
}

// session is a browser that stays signed in (YAML session.age).
type session struct {
	Account  string
	Identity Identity
	EndsAt   time.Time
}

// startSession makes the browser stay signed in.
func (p *Provider) startSession(ctx context.Context, w http.ResponseWriter, account string, id Identity) error {
	if p.options.SessionAge <= 0 || id.Subject == "" {
		return nil
	}
	key := randomBytes(idSize)
	_, err := p.sessions.create(ctx, key, func(now time.Time) (session, time.Duration) {
		return session{account, id, now.Add(p.options.SessionAge)}, p.options.SessionAge
	})
	if err != nil {
		return err
	}
	p.setCookie(w, cookieSession, encode(key), p.options.SessionAge)
	return nil
}

// readSession returns the browser's session, nil when there is none.
func (p *Provider) readSession(r *http.Request) (s *session, key []byte, now time.Time, err error) {
	if p.options.SessionAge <= 0 {
		return nil, nil, now, nil
	}
	c, err := r.Cookie(p.cookieName(cookieSession))
	if err != nil {
		return nil, nil, now, nil
	}
	key, ok := decode(c.Value, idSize)
	if !ok {
		return nil, nil, now, nil
	}
	found, now, err := p.sessions.load(r.Context(), key)
	if errors.Is(err, errUnknown) || err == nil && !now.Before(found.EndsAt) {
		return nil, nil, now, nil
	}
	if err != nil {
		return nil, nil, now, err
	}
	return &found, key, now, nil
}

// sessionFor returns the person of the browser's session when that answers the wish; nil
// when the person must sign in.
func (p *Provider) sessionFor(r *http.Request, q *wish) (*Identity, error) {
	if q.login {
		return nil, nil
	}
	s, _, now, err := p.readSession(r)
	if s == nil || err != nil || s.Account != q.client.Account {
		return nil, err
	}
	if q.hasMaxAge && now.Sub(s.Identity.AuthTime) > q.maxAge {
		return nil, nil
	}
	if q.hint != "" && q.hint != s.Identity.Subject {
		return nil, nil
	}
	if gone, err := p.wasRevoked(r.Context(), s.Identity); gone || err != nil {
		return nil, err
	}
	return &s.Identity, nil
}

// endSession forgets the browser's session. With a subject it does so only when the
// session is that person's.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request, subject string) error {
	s, key, _, err := p.readSession(r)
	if s == nil || err != nil || subject != "" && s.Identity.Subject != subject {
		return err
	}
	p.setCookie(w, cookieSession, "", 0)
	return p.options.Store.Delete(r.Context(), p.sessions.key(key))
}
