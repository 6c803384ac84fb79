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
	if s.o.Spool != nil && s.o.Spool.holds(c) {
		return s.spool(c)
	}
	t, outcome, err := s.claim(ctx, c)
	if errors.Is(err, ErrStoreUnavailable) && s.o.Spool != nil {
		return s.spool(c)
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

func (s *Service) spool(c Claim) (Ticket, Outcome, error) {
	if err := s.o.Spool.Append(c); err != nil {
		s.o.Counter.Count("spool", "", "failed")
		return Ticket{}, "", fmt.Errorf("login: claim: %w", err)
	}
	s.o.Counter.Count("spool", "", "kept")
	return Ticket{}, OutcomeSpooled, nil
}

// claim is Claim without the spool.
func (s *Service) claim(ctx context.Context, c Claim) (Ticket, Outcome, error) {
	c.Life = s.o.TokenTTL + leeway
	t, outcome, err := s.o.Store.Claim(ctx, c)
	if err != nil {
		return Ticket{}, "", err
	}
	s.o.Counter.Count("claim", t.Account, string(outcome))
	if c.Risk && !c.Confirm && outcome == OutcomeClaimed && t.State == Claimed {
		t = s.weigh(ctx, t, c.OpenID)
	}
	news := t.Moved
	if t.State == Claimed && !t.Asked && (outcome == OutcomeClaimed || outcome == OutcomeSame) {
		if t, err = s.ask(ctx, t, c.OpenID); err != nil {
			return Ticket{}, "", err
		}
		news = true
	}
	s.countMove(t)
	// A repeated push also notifies while the result is pending: the replica that
	// made the claim may have died before it could (docs/wechat.md §3.3 race 7, docs/reliability.md §3 row F14).
	if news || outcome == OutcomeSame && !t.Delivered && t.Pending() {
		s.notify(ctx, t)
	}
	return t, outcome, nil
}

// ask makes the page of a ticket that was just claimed ask for the confirmation.
func (s *Service) ask(ctx context.Context, t Ticket, openID string) (Ticket, error) {
	asked, err := s.o.Store.Ask(ctx, t.ID, openID)
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
	if s.o.Spool == nil {
		<-ctx.Done()
		return nil
	}
	for {
		wait := s.o.Spool.kept()
		if s.o.Spool.Len() > 0 {
			if s.replay(ctx) {
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

// replay claims everything that is spooled; false when the store is still away.
func (s *Service) replay(ctx context.Context) bool {
	for {
		c, ok := s.o.Spool.first()
		if !ok {
			return true
		}
		_, outcome, err := s.claim(ctx, c)
		switch {
		case errors.Is(err, ErrStoreUnavailable), ctx.Err() != nil:
			return false
		case err != nil:
			s.o.Logger.Error("login: spooled claim failed", "error", err)
			outcome = "failed"
		}
		s.o.Counter.Count("spool", "", "replayed:"+string(outcome))
		if err := s.o.Spool.drop(); err != nil {
			s.o.Logger.Error("login: spool cannot be shortened", "error", err)
		}
	}
}
