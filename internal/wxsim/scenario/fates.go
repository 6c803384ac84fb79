package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// nothingFor is how long a tab listens to see that nothing comes.
const nothingFor = 300 * time.Millisecond

// signIn is the plain story: scan, token, disconnect.
func (v *visit) signIn(ctx context.Context, loseAck bool) error {
	began := time.Now()
	wait := v.scanning(ctx, v.person, v.code)
	return v.finish(ctx, began, loseAck, wait)
}

// twoPeople lets a second person scan the same code: at the same time as the
// first, or after the first, which must win then.
func (v *visit) twoPeople(ctx context.Context) error {
	began := time.Now()
	switch v.random.IntN(3) {
	case 0:
		first, second := v.scanning(ctx, v.person, v.code), v.scanning(ctx, v.other(), v.code)
		return v.finish(ctx, began, false, first, second)
	case 1:
		return v.secondWhileAway(ctx)
	}
	wait := v.scanning(ctx, v.person, v.code)
	var late sync.WaitGroup
	var lateErr error
	late.Go(func() {
		if _, err := wait(); err == nil {
			// Its answer is a friendly text, its token must not exist.
			_, lateErr = v.scan(ctx, v.other(), v.code, false)
		}
	})
	err := v.finish(ctx, began, false, wait)
	late.Wait()
	return errors.Join(err, lateErr)
}

// secondWhileAway has both scans answered before the tab comes back: it must find
// the first person's login. While a store is away two replicas may each keep one
// of the scans for later, in an order that is not known.
func (v *visit) secondWhileAway(ctx context.Context) error {
	v.cut()
	began := time.Now()
	first := v.scanning(ctx, v.person, v.code)
	if _, err := first(); err != nil {
		return err
	}
	second := v.scanning(ctx, v.other(), v.code)
	if _, err := second(); err != nil {
		return err
	}
	if v.opts.Outages {
		return v.finish(ctx, began, false, first, second)
	}
	return v.finish(ctx, began, false, first)
}

// scannedTwice has the same person scan again while the first scan is answered.
func (v *visit) scannedTwice(ctx context.Context) error {
	began := time.Now()
	return v.finish(ctx, began, false, v.scanning(ctx, v.person, v.code), v.scanning(ctx, v.person, v.code))
}

// reconnected loses the connection before the scan, during it, or after it was
// answered, and comes back to another replica.
func (v *visit) reconnected(ctx context.Context) error {
	moment := v.random.IntN(3)
	if moment == 0 {
		v.cut()
		if err := v.comeBack(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	wait := v.scanning(ctx, v.person, v.code)
	switch moment {
	case 1:
		v.cut() // finish comes back
	case 2:
		v.cut()
		_, _ = wait()
	}
	return v.finish(ctx, began, false, wait)
}

// insist does something that needs the connection, again on a new one whenever it
// is lost.
func (v *visit) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, errClosed) || ctx.Err() != nil {
			return err
		}
		if err := v.comeBack(ctx); err != nil {
			return err
		}
	}
}

// cancelled: a scan of a cancelled ticket brings nothing.
func (v *visit) cancelled(ctx context.Context) error {
	err := v.insist(ctx, func() error {
		if v.state == "cancelled" { // before the connection was lost
			return nil
		}
		var s ticketState
		err := v.client.ask(ctx, &s, "cancel")
		if err == nil && s.State != "cancelled" {
			err = fmt.Errorf("scenario: state %q", s.State)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if _, err := v.scan(ctx, v.person, v.code, false); err != nil {
		return err
	}
	v.listen(ctx, nothingFor)
	v.cut()
	if err := v.comeBack(ctx); err != nil {
		return err
	}
	if v.state != "cancelled" {
		return fmt.Errorf("scenario: after a scan in vain the ticket is %q, not cancelled", v.state)
	}
	v.listen(ctx, nothingFor)
	return nil
}

// replaced: the old code is dead, the new one works, and a person who scans the old
// one does not get into this tab.
func (v *visit) replaced(ctx context.Context) error {
	old := v.code
	if err := v.insist(ctx, func() error { return v.ask(ctx, true) }); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if v.code.Ticket == old.Ticket {
		return errors.New("refresh answered the same ticket")
	}
	if _, err := v.scan(ctx, v.other(), old, false); err != nil {
		return err
	}
	if v.random.IntN(2) == 0 {
		if err := v.deadTicket(ctx, old); err != nil {
			return err
		}
	}
	v.state = "waiting"
	return v.signIn(ctx, false)
}

// deadTicket comes for the replaced ticket with its secret, as a tab that slept
// through the refresh would.
func (v *visit) deadTicket(ctx context.Context, old code) error {
	ghost := &tab{
		name: v.name + " ghost", away: true, gateway: v.gateway, replica: v.replica, dialer: v.dialer, keys: v.tab.keys, secret: v.secret, code: old,
	}
	defer ghost.close()
	if err := ghost.comeBack(ctx); err != nil {
		return fmt.Errorf("the replaced ticket: %w", err)
	}
	ghost.listen(ctx, nothingFor)
	v.tokens = append(v.tokens, ghost.tokens...) // the other's, for the ledger
	if ghost.state != "replaced" {
		return fmt.Errorf("scenario: after a scan in vain the old ticket is %q, not replaced", ghost.state)
	}
	return nil
}

// untilExpired waits until the tab hears that its code ran out.
func (v *visit) untilExpired(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(v.code.ExpiresIn)*time.Second+5*time.Second)
	defer cancel()
	return v.insist(waiting, func() error { return v.awaitState(waiting, "expired") })
}

// expired: the platform knows no such code any more, and the tab hears so. What
// was typed after that does not reach anybody either: a code to type is no code
// of the platform, so it is let rest until the grace is over.
func (v *visit) expired(ctx context.Context) error {
	if err := v.untilExpired(ctx); err != nil {
		return err
	}
	if v.code.Typed != "" {
		v.listen(ctx, grace+2*time.Second)
	}
	_, err := v.scan(ctx, v.person, v.code, false)
	switch {
	case v.code.Typed != "":
		v.listen(ctx, nothingFor)
		return err
	case errors.Is(err, errCodeGone):
		return nil
	case err == nil:
		err = errors.New("the platform still knew the expired code")
	}
	return err
}

// grace is how long after its end a ticket can still be claimed (docs/login.md §2).
const grace = 15 * time.Second

// late: the follow page was opened in time and the tap on it came after the code
// had run out. The login still succeeds, although the tab was told "expired".
func (v *visit) late(ctx context.Context) error {
	if v.code.Typed == "" {
		if _, err := v.act(ctx, "scan", map[string]any{"person": v.person, "ticket": v.code.Ticket}); err != nil {
			return err
		}
	}
	if err := v.untilExpired(ctx); err != nil {
		return err
	}
	v.grace = true
	began := time.Now()
	var p pushed
	var err error
	done := make(chan struct{})
	go func() { // ends with the push's answer, which finish waits for
		defer close(done)
		if v.code.Typed != "" {
			p, err = v.scan(ctx, v.person, v.code, false)
			return
		}
		p, err = v.act(ctx, "follow", map[string]any{"person": v.person})
		err = errors.Join(err, p.fault(v.opts.Outages))
	}()
	return v.finish(ctx, began, false, func() (pushed, error) {
		<-done
		return p, err
	})
}
