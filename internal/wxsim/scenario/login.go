package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// visit is one login of a load run.
type visit struct {
	*load
	*tab
	random *rand.Rand
	person string
	kind   string
	entry  entry
}

// longestExpiry is how long a run waits for a code to run out by itself.
const longestExpiry = 20 * time.Second

// login plays login number i and enters it in the ledger.
func (l *load) login(ctx context.Context, i int) {
	random := rand.New(rand.NewPCG(l.opts.Seed, uint64(i)))
	gateways := l.opts.Gateways
	v := &visit{load: l, random: random, kind: l.fate(random), person: fmt.Sprintf("load %d-%d", l.opts.Seed, i)}
	v.tab = &tab{
		name: v.person, gateway: gateways[i%len(gateways)], replica: gateways, dialer: l.dial[i%len(l.dial)],
		http: l.http, keys: l.keys,
	}
	if random.Float64()*100 < l.mix.PKCE {
		v.secret = newPKCE(fmt.Sprintf("%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64()))
	}
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	defer v.close()
	v.entry = entry{name: v.person}
	v.entry.err = v.play(ctx)
	v.entry.kind, v.entry.tokens = v.kind, v.tokens
	l.ledger.enter(v.entry)
}

func (v *visit) play(ctx context.Context) error {
	if err := v.open(ctx); err != nil {
		return err
	}
	if err := v.ask(ctx, false); err != nil {
		return fmt.Errorf("qrcode: %w", err)
	}
	if v.kind == "expired" && time.Duration(v.code.ExpiresIn)*time.Second > longestExpiry {
		v.kind = "replaced"
	}
	if v.opts.ThinkTime > 0 {
		v.listen(ctx, time.Duration(v.random.Int64N(int64(v.opts.ThinkTime))))
	}
	switch v.kind {
	case "never scanned":
		return nil
	case "cancelled":
		return v.cancelled(ctx)
	case "replaced":
		return v.replaced(ctx)
	case "expired":
		return v.expired(ctx)
	case "two people":
		return v.twoPeople(ctx)
	case "scanned twice":
		return v.scannedTwice(ctx)
	case "reconnected":
		return v.reconnected(ctx)
	default:
		return v.signIn(ctx, v.kind == "lost ack")
	}
}

// scan lets a person scan the code: half of them follow already, the others
// follow now. It waits until the push was answered.
func (v *visit) scan(ctx context.Context, person string, q code, follower bool) (pushed, error) {
	if follower {
		if _, err := v.people.act(ctx, "people", map[string]any{"person": person, "follows": true}); err != nil {
			return pushed{}, err
		}
	}
	return v.people.act(ctx, "scan", map[string]any{"person": person, "ticket": q.Ticket, "follow": true})
}

// scanning is a scan under way. Its end must be waited for.
func (v *visit) scanning(ctx context.Context, person string, q code) func() (pushed, error) {
	follower := v.random.IntN(2) == 0
	var out pushed
	var err error
	done := make(chan struct{})
	go func() { // ends with the scan's answer; the caller waits for it
		defer close(done)
		out, err = v.scan(ctx, person, q, follower)
	}()
	return func() (pushed, error) {
		<-done
		return out, err
	}
}

// signIn is the plain story: scan, token, disconnect.
func (v *visit) signIn(ctx context.Context, loseAck bool) error {
	began := time.Now()
	wait := v.scanning(ctx, v.person, v.code)
	return v.finish(ctx, began, loseAck, wait)
}

// finish waits for the token that one of the scans must bring, then for the end
// of the connection and of the scans.
func (v *visit) finish(ctx context.Context, began time.Time, loseAck bool, scans ...func() (pushed, error)) error {
	_, tokenErr := v.awaitToken(ctx, loseAck)
	v.entry.latency = time.Since(began)
	if tokenErr == nil {
		ending, cancel := context.WithTimeout(ctx, 10*time.Second)
		v.entry.ended = v.awaitEnd(ending)
		cancel()
	}
	err := tokenErr
	for _, wait := range scans {
		p, scanErr := wait()
		if p.OpenID != "" {
			v.entry.allowed = append(v.entry.allowed, p.OpenID)
		}
		if scanErr != nil {
			err = errors.Join(err, scanErr)
		}
		for _, d := range p.Deliveries {
			if d.Status != 200 || d.MS > 4500 {
				err = errors.Join(err, fmt.Errorf("a push was answered %d (%s) after %d ms", d.Status, d.Verdict, d.MS))
			}
		}
	}
	return err
}

// twoPeople lets a second person scan the same code: after the first, who must
// win then, or at the same time.
func (v *visit) twoPeople(ctx context.Context) error {
	other := v.person + " other"
	began := time.Now()
	if v.random.IntN(2) == 0 {
		first, second := v.scanning(ctx, v.person, v.code), v.scanning(ctx, other, v.code)
		return v.finish(ctx, began, false, first, second)
	}
	wait := v.scanning(ctx, v.person, v.code)
	var late sync.WaitGroup
	late.Go(func() {
		if _, err := wait(); err == nil {
			_, _ = v.scan(ctx, other, v.code, false) // its answer is a friendly text, its token must not exist
		}
	})
	err := v.finish(ctx, began, false, wait)
	late.Wait()
	return err
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

// cancelled: a scan of a cancelled ticket brings nothing.
func (v *visit) cancelled(ctx context.Context) error {
	var s ticketState
	if err := v.client.ask(ctx, &s, "cancel"); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if s.State != "cancelled" {
		return fmt.Errorf("cancel answered state %q", s.State)
	}
	return v.scanInVain(ctx, v.code)
}

// replaced: the old code is dead, the new one works, and whoever scans the old
// one does not get into this tab.
func (v *visit) replaced(ctx context.Context) error {
	old := v.code
	if err := v.ask(ctx, true); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	if v.code.Ticket == old.Ticket {
		return errors.New("refresh answered the same ticket")
	}
	if _, err := v.scan(ctx, v.person+" other", old, false); err != nil {
		return err
	}
	v.state = "waiting"
	return v.signIn(ctx, false)
}

// expired: the platform knows no such code any more, and the tab hears so.
func (v *visit) expired(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, time.Duration(v.code.ExpiresIn)*time.Second+5*time.Second)
	defer cancel()
	if err := v.awaitState(waiting, "expired"); err != nil {
		return err
	}
	_, err := v.scan(ctx, v.person, v.code, false)
	if errors.Is(err, errCodeGone) {
		return nil
	}
	if err == nil {
		err = errors.New("the platform still knew the expired code")
	}
	return err
}

// scanInVain scans and makes sure that no token comes.
func (v *visit) scanInVain(ctx context.Context, q code) error {
	if _, err := v.scan(ctx, v.person, q, false); err != nil {
		return err
	}
	v.listen(ctx, 300*time.Millisecond)
	return nil
}
