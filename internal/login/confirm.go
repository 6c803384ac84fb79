package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"
)

// Confirm is a person's answer to "does this number stand on your screen?", about
// the ticket they had claimed last when they answered: at, by WeChat's clock (zero:
// now). A wrong number denies: two digits bear no guessing. OutcomeUnknown when there
// is nothing to confirm.
func (s *Service) Confirm(ctx context.Context, appID, openID, number string, at time.Time) (Ticket, Outcome, error) {
	t, err := s.options.Store.Last(ctx, appID, openID, at)
	if errors.Is(err, ErrUnauthorized) {
		return Ticket{}, OutcomeUnknown, nil
	}
	if err != nil {
		return Ticket{}, "", err
	}
	ok := subtle.ConstantTimeCompare([]byte(t.Number), []byte(number)) == 1
	return s.confirmTicket(ctx, t, openID, ok)
}

// Deny is a person's "that was not me" about the ticket they had claimed last when they
// said so (at, as for Confirm): a ticket that waits for its confirmation is denied, a
// token that was issued is revoked, also once the ticket is gone. OutcomeUnknown when
// there is nothing to deny.
func (s *Service) Deny(ctx context.Context, appID, openID string, at time.Time) (Ticket, Outcome, error) {
	t, err := s.options.Store.Last(ctx, appID, openID, at)
	if err != nil && !errors.Is(err, ErrUnauthorized) {
		return Ticket{}, "", err
	}
	if err := s.revokeElsewhere(ctx, t.JTI, appID, openID, at); err != nil {
		return Ticket{}, "", err
	}
	if errors.Is(err, ErrUnauthorized) {
		return s.denyToken(ctx, appID, openID, at)
	}
	if t.Risk { // what was recognized was not them
		if err := s.options.Store.Distrust(ctx, appID, openID); err != nil {
			return Ticket{}, "", err
		}
	}
	if t.State == Claimed {
		t, outcome, err := s.confirmTicket(ctx, t, openID, false)
		if err != nil || outcome != OutcomeSame {
			return t, outcome, err
		}
		// Confirmed meanwhile: take it back below.
	}
	t, err = s.options.Store.Revoke(ctx, t.ID, openID, s.options.TokenTTL+leeway)
	if errors.Is(err, ErrUnauthorized) {
		return t, OutcomeUnknown, nil
	}
	if err != nil {
		return Ticket{}, "", err
	}
	s.options.Counter.Count("attempt", t.Account, "revoked")
	s.notifyHolder(ctx, t)
	s.observeRevoked(t)
	return t, OutcomeDenied, nil
}

// revokeElsewhere tells Options.Revocations which login is taken back: that of jti, or all
// of the person up to a time when no single one is known any more.
func (s *Service) revokeElsewhere(ctx context.Context, jti, appID, openID string, at time.Time) error {
	switch {
	case s.options.Revocations == nil:
		return nil
	case jti != "":
		return s.options.Revocations.RevokeSignIn(ctx, jti)
	}
	return s.options.Revocations.RevokePerson(ctx, appID, openID, at)
}

// denyToken is Deny when the ticket is gone and its token may not be.
func (s *Service) denyToken(ctx context.Context, appID, openID string, at time.Time) (Ticket, Outcome, error) {
	taken, err := s.options.Store.RevokeLatest(ctx, appID, openID, at)
	if err != nil {
		return Ticket{}, "", err
	}
	if !taken {
		return Ticket{}, OutcomeUnknown, nil
	}
	if err := s.options.Store.Distrust(ctx, appID, openID); err != nil {
		return Ticket{}, "", err
	}
	s.options.Counter.Count("attempt", "", "revoked")
	s.observeRevoked(Ticket{AppID: appID, OpenID: openID})
	return Ticket{AppID: appID, State: Done, Revoked: true}, OutcomeDenied, nil
}

func (s *Service) observeRevoked(t Ticket) {
	if s.options.Observer != nil {
		s.options.Observer.LoginRevoked(t)
	}
}

// Revoked lists the jti of every token that was taken back before its end, at most
// so many: for services that verify tokens.
func (s *Service) Revoked(ctx context.Context, most int) ([]string, error) {
	return s.options.Store.Revoked(ctx, most)
}

func (s *Service) confirmTicket(ctx context.Context, t Ticket, openID string, ok bool) (Ticket, Outcome, error) {
	t, outcome, err := s.options.Store.Confirm(ctx, t.ID, openID, ok)
	if err != nil {
		return Ticket{}, "", err
	}
	s.countMove(t)
	if t.Moved {
		s.notifyHolder(ctx, t)
	}
	if t.Moved && t.State == Done {
		s.countStage(StageClaimed, t.IssuedAt.Sub(t.EventAt))
	}
	if t.Risk && outcome == OutcomeClaimed {
		s.trustMarks(ctx, t, openID)
	}
	return t, outcome, nil
}

// Forget deletes what is kept of a person who left the account at a time by WeChat's
// clock (zero: now), and takes back all logins of theirs up to then. It is idempotent.
func (s *Service) Forget(ctx context.Context, appID, openID string, at time.Time) error {
	if err := s.revokeElsewhere(ctx, "", appID, openID, at); err != nil {
		return err
	}
	if err := s.options.Store.Distrust(ctx, appID, openID); err != nil {
		return err
	}
	tickets, err := s.options.Store.Forget(ctx, appID, openID, at)
	if err != nil {
		return err
	}
	for _, t := range tickets {
		s.countMove(t)
		s.notifyHolder(ctx, t)
	}
	if s.options.Observer != nil {
		s.options.Observer.PersonLeft(appID, openID, at)
	}
	return nil
}
