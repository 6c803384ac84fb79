package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"posthouse/internal/loglimit"
)

// SignIn is the question that Options.SignIn answers: which person answered a request.
type SignIn struct {
	Account  string
	Code     string // that the login page was given
	Verifier string // of the challenge that the login page began with
	ClientID string
	Profile  bool // the application asks for the name and the picture
}

var (
	// ErrRefused is Options.SignIn's answer to a code that is not good.
	ErrRefused = errors.New("oidc: sign-in refused")
	// ErrNoSubject is Options.SignIn's answer when the subject cannot be known now.
	ErrNoSubject = errors.New("oidc: subject not known")
)

// Notice is a page that says something in a sentence.
type Notice struct {
	Word string // names the sentence
	App  string // the application's name, when it is known
}

// The words of notices.
const (
	WordBadApp       = "oidcBadApp"       // the application is not known, or its redirect URI
	WordOver         = "oidcOver"         // the request has ended
	WordOtherBrowser = "oidcOtherBrowser" // the request is another browser's
	WordSignedOut    = "oidcSignedOut"
	WordBadLogout    = "oidcBadLogout"
	WordUnavailable  = "oidcUnavailable"
	WordLimited      = "oidcLimited"
)

// Limit counts per address. Nil functions limit nothing.
type Limit struct {
	// Take takes one and says after how many seconds to try again; 0: now.
	Take func(r *http.Request) (retryAfter int)
	// Peek is Take without taking.
	Peek func(r *http.Request) (retryAfter int)
}

// Options are the parts of a Provider. All but the limits, SessionAge and the keys are
// required.
type Options struct {
	Issuer     string // without a slash at the end
	Clients    []Client
	Store      Store
	Keys       []Key                                // RS256 and ES256
	FetchKeys  func(context.Context) ([]Key, error) // tried when Keys is empty, until it succeeds
	EdKey      func() (Key, bool)                   // of the login's tokens; false: it is a shared secret
	JWKS       func(context.Context) ([]byte, error)
	SessionAge time.Duration // single sign-on; 0: never
	TokenLife  time.Duration // of access and ID tokens
	SignIn     func(context.Context, SignIn) (Identity, error)
	Notice     func(w http.ResponseWriter, r *http.Request, status int, n Notice)
	Requests   Limit // authorization requests that are remembered
	Failures   Limit // wrong client secrets
	// Count counts what happened; both words are few and constant.
	Count  func(step, result string)
	Logger *slog.Logger
}

// Provider is an OpenID Provider. It is safe for concurrent use; the Store carries all
// state.
type Provider struct {
	options  Options
	clients  map[string]*Client
	keys     *keyRing
	grants   records[grant]
	sessions records[session]
	secure   bool           // cookies need https
	faults   loglimit.Keyed // by step
}

// New returns a Provider. It starts nothing.
func New(o Options) (*Provider, error) {
	if o.Issuer == "" || o.Store == nil || o.SignIn == nil || o.Notice == nil || o.JWKS == nil || o.TokenLife <= 0 {
		return nil, errors.New("oidc: provider needs Issuer, Store, SignIn, Notice, JWKS and TokenLife")
	}
	if o.EdKey == nil {
		o.EdKey = func() (Key, bool) { return Key{}, false }
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Provider{
		options: o, clients: map[string]*Client{},
		keys:     &keyRing{fetch: o.FetchKeys, edKey: o.EdKey, held: o.Keys},
		grants:   records[grant]{o.Store, "g:"},
		sessions: records[session]{o.Store, "s:"},
		secure:   isHTTPS(o.Issuer),
	}
	for i := range o.Clients {
		p.clients[o.Clients[i].ID] = &o.Clients[i]
	}
	return p, nil
}

// Route is a path and its handler, which checks the method itself.
type Route struct {
	Path    string
	Handler http.Handler
}

// Paths of the endpoints, below the issuer.
const (
	pathDiscovery  = "/.well-known/openid-configuration"
	pathJWKS       = "/.well-known/jwks.json" // the gateway serves it
	pathAuthorize  = "/oauth/authorize"
	pathToken      = "/oauth/token"
	pathUserinfo   = "/oauth/userinfo"
	pathRevoke     = "/oauth/revoke"
	pathIntrospect = "/oauth/introspect"
	pathEndSession = "/oauth/end_session"
	pathFinish     = "/oauth/finish"   // of the login page: the person has signed in
	pathContinue   = "/oauth/continue" // of the login page: back to the application
	loginPath      = "/login?request="
)

// FinishPath is what the login page's script posts to. The gateway keeps other origins
// from it.
const FinishPath = pathFinish

// Routes are all endpoints.
func (p *Provider) Routes() []Route {
	get, post := []string{http.MethodGet}, []string{http.MethodPost}
	both := []string{http.MethodGet, http.MethodPost}
	return []Route{
		{pathDiscovery, p.endpoint(p.serveDiscovery, get, anyOrigin)},
		{pathAuthorize, p.endpoint(p.serveAuthorize, both, 0)},
		{pathToken, p.endpoint(p.serveToken, post, anyOrigin)},
		{pathUserinfo, p.endpoint(p.serveUserinfo, both, anyOrigin)},
		{pathRevoke, p.endpoint(p.serveRevoke, post, anyOrigin)},
		{pathIntrospect, p.endpoint(p.serveIntrospect, post, 0)},
		{pathEndSession, p.endpoint(p.serveEndSession, both, 0)},
		{pathFinish, p.endpoint(p.serveFinish, post, 0)},
		{pathContinue, p.endpoint(p.serveContinue, get, 0)},
	}
}

type endpointKind int

// anyOrigin is an endpoint that pages of every origin may call: it takes no cookie.
const anyOrigin endpointKind = 1

// maxBody is the longest body of a request. Net/http bounds the URL.
const maxBody = 64 << 10

// endpoint adds what all endpoints have: methods, a bound of the body, and headers that
// keep answers out of caches and frames.
func (p *Provider) endpoint(serve http.HandlerFunc, methods []string, kind endpointKind) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if kind == anyOrigin {
			h.Set("Access-Control-Allow-Origin", "*") // no cookies are read, so none can be misused
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "GET, POST")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		if !slices.Contains(methods, r.Method) {
			for _, m := range methods {
				h.Add("Allow", m)
			}
			answerError(w, http.StatusMethodNotAllowed, refusal{"invalid_request", "this method is not allowed here"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		serve(w, r)
	})
}

// marksOf are the keys under which a sign-in may have been taken back.
func marksOf(id Identity) []string {
	left, arrived := personMarks(id.AppID, id.OpenID)
	return []string{left, arrived, signInMark(id.JTI)}
}

// personMarks are the keys of when a person left, by WeChat's clock, and of when that
// arrived here, by the store's.
func personMarks(appID, openID string) (left, arrived string) {
	sum := sha256.Sum256([]byte(appID + "\x00" + openID))
	return "p:" + encode(sum[:]), "a:" + encode(sum[:])
}

func signInMark(jti string) string {
	sum := sha256.Sum256([]byte(jti))
	return "j:" + encode(sum[:])
}

// RevokeSignIn takes back what came of one login ("not me").
func (p *Provider) RevokeSignIn(ctx context.Context, jti string) error {
	return p.options.Store.Mark(ctx, signInMark(jti), time.Time{}, refreshLife)
}

// RevokePerson takes back all sign-ins of a person up to a time (zero: now).
func (p *Provider) RevokePerson(ctx context.Context, appID, openID string, at time.Time) error {
	left, arrived := personMarks(appID, openID)
	if err := p.options.Store.Mark(ctx, arrived, time.Time{}, refreshLife); err != nil {
		return err
	}
	return p.options.Store.Mark(ctx, left, at, refreshLife)
}

// wasRevoked reports whether a sign-in was taken back.
func (p *Provider) wasRevoked(ctx context.Context, id Identity) (bool, error) {
	marks, err := p.options.Store.Marks(ctx, marksOf(id)...)
	if err != nil {
		return false, err
	}
	left, arrived, denied := marks[0].Truncate(time.Second), marks[1], marks[2]
	switch {
	case !denied.IsZero():
		return true, nil
	case marks[0].IsZero() || id.AuthTime.After(left):
		return false, nil
	case id.AuthTime.Before(left):
		return true, nil
	}
	// The same second: whichever came here first happened first.
	return id.SignedInAt.Before(arrived), nil
}

// logFault tells the operator that a step failed for a reason that is not the peer's.
func (p *Provider) logFault(step string, err error) {
	p.options.Count(step, "failed")
	if held, ok := p.faults.Allow(step); ok {
		p.options.Logger.Warn("oidc: a step failed; the application was told to try again", "step", step, "held", held, "error", err)
	}
}
