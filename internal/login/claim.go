package login

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Claim gives the ticket to the person who scanned it, and notifies the node that
// holds its socket. A nil error means that the claim's outcome is durable, in the
// store or, as OutcomeSpooled, in the local spool: the webhook may answer success
// (docs/login.md §6). With any error it must not.
func (s *Service) Claim(ctx context.Context, c Claim) (Ticket, Outcome, error) {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	// While an earlier scan of the same code waits in the spool, later ones queue
	// up behind it: the first claim wins.
	if s.options.Spool != nil && s.options.Spool.holdsCode(c) {
		return s.spoolClaim(c)
	}
	t, outcome, err := s.claimNow(ctx, c)
	if errors.Is(err, ErrStoreUnavailable) && s.options.Spool != nil {
		return s.spoolClaim(c)
	}
	return t, outcome, err
}

// ClaimCode is Claim by a code that the person sent as a text, in whatever way
// phones write it: see ReadTyped. OutcomeUnknown when the text holds no code of a
// ticket.
func (s *Service) ClaimCode(ctx context.Context, c Claim, text string) (Ticket, Outcome, error) {
	outcome := OutcomeUnknown
	for _, code := range ReadTyped(text).Codes {
		c.Scene, c.WeChat = "", typedTicket(c.AppID, code)
		t, o, err := s.Claim(ctx, c)
		switch {
		case err != nil:
			return Ticket{}, "", err
		case o == OutcomeSpooled:
			outcome = o // judged later: another reading of the text may be the right one
		case o != OutcomeUnknown:
			return t, o, nil
		}
	}
	return Ticket{}, outcome, nil
}

func (s *Service) spoolClaim(c Claim) (Ticket, Outcome, error) {
	if err := s.options.Spool.Append(c); err != nil {
		s.options.Counter.Count("spool", "", "failed")
		return Ticket{}, "", fmt.Errorf("login: claim: %w", err)
	}
	s.options.Counter.Count("spool", "", "kept")
	return Ticket{}, OutcomeSpooled, nil
}

// claimNow is Claim without the spool.
func (s *Service) claimNow(ctx context.Context, c Claim) (Ticket, Outcome, error) {
	c.Life = s.options.TokenTTL + leeway
	t, outcome, err := s.options.Store.Claim(ctx, c)
	if err != nil {
		return Ticket{}, "", err
	}
	s.options.Counter.Count("claim", t.Account, string(outcome))
	if c.Risk && !c.Confirm && outcome == OutcomeClaimed && t.State == Claimed {
		t = s.assessRisk(ctx, t, c.OpenID)
	}
	s.countClaim(t, outcome)
	news := t.Moved
	if t.State == Claimed && !t.Asked && (outcome == OutcomeClaimed || outcome == OutcomeSame) {
		if t, err = s.askConfirm(ctx, t, c.OpenID); err != nil {
			return Ticket{}, "", err
		}
		news = true
	}
	s.countMove(t)
	// A repeated push also notifies while the result is pending: the replica that
	// made the claim may have died before it could (docs/wechat.md §3.3 race 7, docs/reliability.md §3 row F14).
	if news || outcome == OutcomeSame && !t.Delivered && t.Pending() {
		s.notifyHolder(ctx, t)
	}
	return t, outcome, nil
}

// askConfirm makes the page of a ticket that was just claimed ask for the confirmation.
func (s *Service) askConfirm(ctx context.Context, t Ticket, openID string) (Ticket, error) {
	asked, err := s.options.Store.Ask(ctx, t.ID, openID)
	if errors.Is(err, ErrUnauthorized) {
		return t, nil // it moved on meanwhile
	}
	asked.Moved = t.Moved
	return asked, err
}

// spoolRetry is how often Run looks at a spool that holds claims: a login is at
// most this late once the store is back.
const spoolRetry = 500 * time.Millisecond

// Run replays spooled claims, in the order they arrived, whenever the store
// answers. It blocks until ctx ends; without a spool it only waits.
func (s *Service) Run(ctx context.Context) error {
	if s.options.Spool == nil {
		<-ctx.Done()
		return nil
	}
	for {
		wait := s.options.Spool.whenKept()
		if s.options.Spool.Len() > 0 {
			if s.replaySpool(ctx) {
				continue
			}
			wait = nil // the store is away: more claims do not bring it back
		}
		retry := time.NewTimer(spoolRetry)
		select {
		case <-ctx.Done():
			retry.Stop()
			return nil
		case <-wait:
			retry.Stop()
		case <-retry.C:
		}
	}
}

func (s *Service) traceStep(ctx context.Context, step TracedStep) {
	if s.options.Traced != nil {
		s.options.Traced(ctx, step)
	}
}

// replaySpool claims everything that is spooled; false when the store is still away.
func (s *Service) replaySpool(ctx context.Context) bool {
	for {
		c, ok := s.options.Spool.firstClaim()
		if !ok {
			return true
		}
		began := time.Now()
		t, outcome, err := s.claimNow(ctx, c)
		switch {
		case errors.Is(err, ErrStoreUnavailable), ctx.Err() != nil:
			return false
		case err != nil:
			s.options.Logger.Error("login: spooled claim failed", "error", err)
			outcome = "failed"
		}
		s.options.Counter.Count("spool", "", "replayed:"+string(outcome))
		s.traceStep(ctx, TracedStep{t, began, outcome, err})
		if err := s.options.Spool.dropFirst(); err != nil {
			s.options.Logger.Error("login: spool cannot be shortened", "error", err)
		}
	}
}
