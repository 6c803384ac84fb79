package login

import (
	"context"
	"fmt"
	"time"
)

// Result is what a done ticket's browser is sent: the event's name is "token",
// Value the JWT, or "code", Value a one-time code (docs/login.md §3).
type Result struct {
	Event     string
	Value     string
	ExpiresIn time.Duration
}

// Result makes the result of a done ticket: the same token however often it is
// asked for, or a fresh code that kills the one before. It is for the socket bound
// to the ticket and to no other socket.
func (s *Service) Result(ctx context.Context, t Ticket) (Result, error) {
	if t.State != Done || t.Revoked {
		return Result{}, ErrNoResult
	}
	t, err := s.withUnionID(ctx, t)
	if err != nil {
		return Result{}, fmt.Errorf("login: result: %w", err)
	}
	if t.Challenge != "" {
		code := newSecret()
		if err := s.options.Store.PutCode(ctx, t.ID, hashSecret(code), s.options.CodeLife); err != nil {
			return Result{}, fmt.Errorf("login: result: %w", err)
		}
		return Result{Event: "code", Value: code, ExpiresIn: s.options.CodeLife}, nil
	}
	token, err := s.issueToken(ctx, t)
	if err != nil {
		return Result{}, err
	}
	return Result{Event: "token", Value: token.JWT, ExpiresIn: max(0, token.ExpiresAt.Sub(t.Now))}, nil
}

// Delivered marks the result as having arrived: it is not sent again.
func (s *Service) Delivered(ctx context.Context, id string) error {
	return s.options.Store.Delivered(ctx, id)
}

// Exchange gives the token for a code and its PKCE verifier: once, and again
// within 30 s for the same proofs. ErrBadRequest when one is missing,
// ErrUnauthorized for everything else that does not fit.
func (s *Service) Exchange(ctx context.Context, code, verifier string) (Token, error) {
	if code == "" || verifier == "" {
		return Token{}, fmt.Errorf("%w: code and verifier are needed", ErrBadRequest)
	}
	began := time.Now()
	t, err := s.exchangeCode(ctx, code, verifier)
	if err != nil {
		s.options.Counter.Count("exchange", "", "refused")
		return Token{}, err
	}
	s.options.Counter.Count("exchange", t.Account, "ok")
	// It is known by now unless the replica that made the code is another version.
	known, err := s.withUnionID(ctx, t)
	if err != nil {
		err = fmt.Errorf("login: exchange: %w", err)
		s.traceStep(ctx, TracedStep{t, began, OutcomeExchanged, err})
		return Token{}, err
	}
	token, err := s.issueToken(ctx, known)
	s.traceStep(ctx, TracedStep{t, began, OutcomeExchanged, err})
	return token, err
}

func (s *Service) exchangeCode(ctx context.Context, code, verifier string) (Ticket, error) {
	if len(code) > 128 {
		return Ticket{}, ErrUnauthorized
	}
	challenge := "-" // fits no ticket, and counts as a wrong verifier
	if validVerifier(verifier) {
		challenge = ChallengeOf(verifier)
	}
	return s.options.Store.Exchange(ctx, hashSecret(code), challenge)
}

func (s *Service) issueToken(ctx context.Context, t Ticket) (Token, error) {
	id := Identity{AppID: t.AppID, OpenID: t.OpenID, UnionID: t.UnionID, Context: t.Context}
	token, err := s.options.Issuer.Issue(ctx, id, t.JTI, t.IssuedAt)
	if err != nil {
		return Token{}, fmt.Errorf("login: issue: %w", err)
	}
	return token, nil
}
