package oidc

import (
	"errors"
	"slices"
	"time"
)

// Lives of what a sign-in consists of.
const (
	requestLife = time.Hour           // a login page may stay open that long
	codeLife    = time.Minute         // docs/oidc.md §2
	refreshLife = 30 * 24 * time.Hour // after each use
	maxAccess   = 64                  // access tokens of one sign-in that live at once
)

// stage is how far a sign-in has come.
type stage string

const (
	stageRequest stage = "request" // the login page is open
	stageDone    stage = "done"    // the person is known
	stageCode    stage = "code"    // the application has a code
	stageTokens  stage = "tokens"  // the code was spent
	stageEnded   stage = "ended"   // revoked: nothing of it is good any more
)

// grant is one sign-in: the record that every step of it decides about.
type grant struct {
	Stage    stage
	ClientID string
	Browser  string // hash of the cookie of the browser that asked

	// The words of the application.
	RequestHash string
	RedirectURI string
	FormPost    bool `json:",omitempty"`
	State       string
	HasState    bool
	Nonce       string
	Challenge   string `json:",omitempty"` // of the application's own PKCE
	Scopes      []string
	Locale      string `json:",omitempty"` // of the page; "" when the browser decides
	HintSubject string `json:",omitempty"` // of id_token_hint: another person is refused
	LoginProof  string // verifier of the login that answers this request
	Identity    Identity
	CodeHash    string        `json:",omitempty"`
	CodeEndsAt  time.Time     `json:",omitzero"`
	FamilyHash  string        `json:",omitempty"`
	RefreshHash string        `json:",omitempty"` // of the one that is good
	RefreshEnds time.Time     `json:",omitzero"`
	Access      []accessToken `json:",omitempty"`
}

type accessToken struct {
	Hash             string
	Scopes           []string
	IssuedAt, EndsAt time.Time
}

// Identity is who signed in.
type Identity struct {
	Subject, AppID, OpenID, UnionID string
	JTI                             string    // of the login, for RevokeSignIn
	AuthTime                        time.Time // when the person proved who they are, in whole seconds
	SignedInAt                      time.Time // when that was noted here, by the store's clock
	Nickname, Picture, Locale       string    // "" when WeChat does not tell
}

var (
	errSpent      = errors.New("oidc: spent")       // a one-time secret came again: everything it gave has ended
	errNotIts     = errors.New("oidc: not its own") // the secret, or something that must go with it, does not fit
	errWrongStage = errors.New("oidc: wrong stage")
)

// life is how long the record must be kept after now.
func (g *grant) life(now time.Time) time.Duration {
	// A code that comes again must be known as long as what it gave lives.
	last := g.CodeEndsAt
	for _, a := range g.Access {
		last = latest(last, a.EndsAt)
	}
	last = latest(last, g.RefreshEnds)
	return max(last.Sub(now), 0) + codeLife
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// signIn notes who answered the request. The same answer again changes nothing.
func (g *grant) signIn(id Identity, browser string, now time.Time) error {
	if g.Browser != browser {
		return errNotIts
	}
	switch g.Stage {
	case stageRequest:
		g.Stage, g.Identity = stageDone, id
		g.Identity.SignedInAt = now
		return nil
	case stageDone, stageCode:
		if g.Identity.JTI == id.JTI {
			return nil
		}
	}
	return errWrongStage
}

// putCode makes hash the code of the sign-in. An earlier one that was not spent dies: the
// browser came again because the first answer was lost.
func (g *grant) putCode(hash, browser string, now time.Time) error {
	if g.Browser != browser {
		return errNotIts
	}
	if g.Stage != stageDone && g.Stage != stageCode {
		return errWrongStage
	}
	g.Stage, g.CodeHash, g.CodeEndsAt = stageCode, hash, now.Add(codeLife)
	return nil
}

// spendCode gives tokens for the code. fits has checked what must go with it; a code that
// was spent ends everything that it gave.
func (g *grant) spendCode(hash string, now time.Time) error {
	if g.CodeHash == "" || g.CodeHash != hash {
		return errNotIts
	}
	switch {
	case g.Stage == stageTokens:
		g.end()
		return errSpent
	case g.Stage != stageCode, !now.Before(g.CodeEndsAt):
		return errWrongStage
	}
	g.Stage = stageTokens
	return nil
}

// end revokes everything.
func (g *grant) end() {
	g.Stage = stageEnded
	g.Access, g.RefreshHash = nil, ""
}

// addAccess notes an access token, and forgets those that are over, or the oldest of too many.
func (g *grant) addAccess(hash string, scopes []string, now time.Time, life time.Duration) {
	g.Access = slices.DeleteFunc(g.Access, func(a accessToken) bool { return !now.Before(a.EndsAt) })
	if n := len(g.Access) - maxAccess + 1; n > 0 {
		g.Access = slices.Delete(g.Access, 0, n)
	}
	g.Access = append(g.Access, accessToken{hash, scopes, now, now.Add(life)})
}

// access returns the live access token of that hash.
func (g *grant) access(hash string, now time.Time) (accessToken, bool) {
	if g.Stage != stageTokens {
		return accessToken{}, false
	}
	for _, a := range g.Access {
		if a.Hash == hash && now.Before(a.EndsAt) {
			return a, true
		}
	}
	return accessToken{}, false
}

// spendRefresh gives way to a new refresh token. One that was used before ends the family.
func (g *grant) spendRefresh(hash, family string, now time.Time) error {
	switch {
	case g.Stage != stageTokens, g.FamilyHash == "", g.FamilyHash != family:
		return errNotIts
	case g.RefreshHash != hash:
		g.end()
		return errSpent
	case !now.Before(g.RefreshEnds):
		return errWrongStage
	}
	return nil
}

func (g *grant) putRefresh(hash, family string, now time.Time) {
	g.RefreshHash, g.FamilyHash, g.RefreshEnds = hash, family, now.Add(refreshLife)
}
