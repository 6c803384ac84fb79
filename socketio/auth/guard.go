package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio"
)

// expiryGrace is how long a client has to send a fresh token (docs/realtime.md §2).
const expiryGrace = 5 * time.Second

// Subject is the data of a socket that other nodes may see of its token.
var Subject = socketio.NewKey[string]("sub")

// admissionKey holds what a Guard knows of a socket. It is gone with the socket.
var admissionKey = socketio.NewPrivateKey[*admission]("auth:admission")

// Namespace is what a Guard protects: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type Namespace interface {
	socketio.Events
	Server() *socketio.Server
	Use(fn socketio.Middleware)
	OnConnection(fn func(*socketio.Socket))
	OnDisconnect(fn func(*socketio.Socket, socketio.Reason))
}

// GuardOptions configure a Guard. Nil means the defaults.
type GuardOptions struct {
	// Revoked reports whether a good token was taken back; it is asked for every
	// connection and every fresh token. An error refuses as unavailable. Default: none
	// is.
	Revoked func(ctx context.Context, t *Token) (bool, error)
	// Logger is told at level debug why tokens were refused. Default slog.Default().
	Logger *slog.Logger
}

// Guard lets sockets in by their tokens and ends them when the tokens end. One Guard
// can protect any number of namespaces of one server. Safe for concurrent use.
type Guard struct {
	verifier TokenVerifier
	revoked  func(ctx context.Context, t *Token) (bool, error)
	log      *slog.Logger
	agenda   agenda

	mu     sync.Mutex       // guards what follows
	server *socketio.Server // told of revocations by other nodes; nil before Protect
}

// admission is a socket that was let in.
type admission struct {
	socket *socketio.Socket
	began  time.Time // when its token was asked about
	token  atomic.Pointer[Token]

	// Guarded by agenda.mu:
	due    time.Time
	warned bool // the event "expired" was sent: due is the end
	place  int  // in the agenda, -1: not there
}

// NewGuard returns a Guard. It starts nothing.
func NewGuard(v TokenVerifier, o *GuardOptions) *Guard {
	var opts GuardOptions
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &Guard{verifier: v, revoked: opts.Revoked, log: opts.Logger}
}

// TokenOf returns the token that a socket was let in with, or the fresh one that its
// client sent since; false for a socket of a namespace without a Guard.
func TokenOf(s *socketio.Socket) (*Token, bool) {
	a, ok := admissionKey.Of(s)
	if !ok {
		return nil, false
	}
	return a.token.Load(), true
}

// ClaimOf returns a claim of the token of a socket: see Token.Claim. It is what
// access.Options.Claim wants.
func ClaimOf(s *socketio.Socket, name string) (value string, ok bool) {
	token, ok := TokenOf(s)
	if !ok {
		return "", false
	}
	return token.Claim(name)
}

// Protect makes the namespace ask for tokens. Call it before clients connect, and
// before middlewares that use TokenOf.
func (g *Guard) Protect(n Namespace) {
	g.listen(n.Server())
	n.Use(g.admit)
	n.OnConnection(g.begin)
	n.OnDisconnect(func(s *socketio.Socket, _ socketio.Reason) {
		if a, ok := admissionKey.Of(s); ok {
			g.agenda.remove(a)
		}
	})
	socketio.Handle(n, "auth", g.renew)
}

// Close stops the Guard's timer. Sockets that are still connected are no longer ended
// by it; new ones are refused.
func (g *Guard) Close() { g.agenda.close() }

// refusal is what a refused client gets: one answer for all reasons but expiry.
func refusal(code string) error {
	message := code
	if code == "expired" {
		message = "unauthorized"
	}
	return &socketio.ConnectError{Message: message, Data: map[string]string{"code": code}}
}

// admit is the middleware.
func (g *Guard) admit(ctx context.Context, s *socketio.Socket) error {
	began := time.Now()
	if g.agenda.isClosed() {
		return refusal("unavailable")
	}
	token, err := g.judge(ctx, tokenOfRequest(s))
	switch {
	case errors.Is(err, ErrExpired):
		return refusal("expired")
	case errors.Is(err, ErrUnavailable):
		return refusal("unavailable")
	case err != nil:
		return refusal("unauthorized")
	}
	if was, ok := Subject.Of(s); s.Recovered() && (!ok || was != token.Subject) {
		return socketio.ErrNewSession
	}
	Subject.Set(s, token.Subject)
	a := &admission{socket: s, began: began, place: -1}
	a.token.Store(token)
	admissionKey.Set(s, a)
	return nil
}

// judge verifies a token and asks whether it was taken back.
func (g *Guard) judge(ctx context.Context, text string) (*Token, error) {
	token, err := g.verifier.Verify(ctx, text)
	if err == nil && g.revoked != nil {
		var taken bool
		if taken, err = g.revoked(ctx, token); err != nil {
			err = errors.Join(ErrUnavailable, err)
		} else if taken {
			err = ErrUnauthorized
		}
	}
	if err != nil {
		g.log.Debug("auth: token refused", "error", err)
		return nil, err
	}
	return token, nil
}

// tokenOfRequest is the token of the CONNECT payload, else that of the header; "" when
// there is none, or one of another type.
func tokenOfRequest(s *socketio.Socket) string {
	var payload struct {
		Token json.RawMessage `json:"token"`
	}
	if err := s.Auth(&payload); err == nil && len(payload.Token) > 0 && string(payload.Token) != "null" {
		var token string
		if json.Unmarshal(payload.Token, &token) != nil {
			return ""
		}
		return token
	}
	scheme, token, _ := strings.Cut(s.Header("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// begin starts the life of a socket that is connected now.
func (g *Guard) begin(s *socketio.Socket) {
	a, ok := admissionKey.Of(s)
	if !ok {
		// Recovery.SkipMiddlewares: the token of this connection was not judged.
		s.Disconnect(false)
		return
	}
	if !g.agenda.add(a) {
		s.Disconnect(false)
	}
}

// renewal is the answer to the event "auth".
type renewal struct {
	ExpiresIn int64 `json:"expiresIn"` // seconds
}

// renew handles the event "auth".
func (g *Guard) renew(ctx context.Context, in json.RawMessage) (renewal, error) {
	forbidden := &socketio.EventError{Code: "forbidden", Message: "not a fresh token of the same subject"}
	a, ok := admissionKey.Of(socketio.FromContext(ctx))
	var payload struct{ Token string }
	if !ok || json.Unmarshal(in, &payload) != nil {
		return renewal{}, forbidden
	}
	began := time.Now()
	token, err := g.judge(ctx, payload.Token)
	if errors.Is(err, ErrUnavailable) {
		return renewal{}, &socketio.EventError{Code: "unavailable", Message: "the token cannot be judged now",
			Data: map[string]any{"retryAfter": int(retryEvery / time.Second)}}
	}
	if err != nil || token.Subject != a.token.Load().Subject || !g.agenda.renew(a, token, began) {
		return renewal{}, forbidden
	}
	return renewal{int64(time.Until(token.Expires) / time.Second)}, nil
}
