package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// visit is one login of a load run.
type visit struct {
	*load
	*tab
	random  *rand.Rand
	account Account
	person  string
	kind    string
	reply   string // to the number on the page: "right", "wrong" or "not me"
	said    error  // what went wrong while replying
	entry   entry
}

// longestExpiry is how long a run waits for a code to run out by itself.
const longestExpiry = 20 * time.Second

// login plays login number i and enters it in the ledger.
func (l *load) login(ctx context.Context, i int) {
	random := rand.New(rand.NewPCG(l.opts.Seed, uint64(i)))
	gateways := l.opts.Gateways
	v := &visit{load: l, random: random, kind: l.mix.fate(random), person: fmt.Sprintf("load %d-%d", l.opts.Seed, i), reply: "right"}
	v.tab = &tab{
		name: v.person, gateway: gateways[i%len(gateways)], replica: gateways, dialer: l.dial[i%len(l.dial)],
		keys: l.keys, confirm: v.replyTo, typed: true,
	}
	if random.Float64()*100 < l.mix.PKCE {
		v.secret = newPKCE(fmt.Sprintf("%016x%016x%016x", random.Uint64(), random.Uint64(), random.Uint64()))
		v.sly = random.IntN(2) == 0
	}
	if random.Float64()*100 < l.mix.Denied {
		v.reply = []string{"wrong", "not me"}[random.IntN(2)]
	}
	if n := len(l.opts.Accounts); n > 0 {
		v.account = l.opts.Accounts[random.IntN(n)]
		v.tab.account = v.account.Name
	}
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	defer v.close()
	v.entry = entry{name: v.person}
	v.entry.err = v.play(ctx)
	v.rest(ctx) // whatever came beside what was waited for
	v.entry.kind, v.entry.tokens = v.kind, v.tokens
	if v.code.Typed != "" {
		v.entry.kind = "typed " + v.kind
	}
	v.entry.dropped = v.dropped
	v.entry.rash = l.opts.Confirm && len(v.tokens) > 0 && v.asked == ""
	l.ledger.enter(v.entry)
}

func (v *visit) play(ctx context.Context) error {
	if err := v.begin(ctx); err != nil {
		return fmt.Errorf("qrcode: %w", err)
	}
	if time.Duration(v.code.ExpiresIn)*time.Second > longestExpiry {
		switch v.kind {
		case isExpired:
			v.kind = isReplaced
		case isLate:
			v.kind = plain
		}
	}
	if v.opts.ThinkTime > 0 {
		v.listen(ctx, time.Duration(v.random.Int64N(int64(v.opts.ThinkTime))))
	}
	switch v.kind {
	case neverScanned:
		v.listen(ctx, nothingFor)
		return nil
	case isCancelled:
		return v.cancelled(ctx)
	case isReplaced:
		return v.replaced(ctx)
	case isExpired:
		return v.expired(ctx)
	case isLate:
		return v.late(ctx)
	case twoPeople:
		return v.twoPeople(ctx)
	case scannedTwice:
		return v.scannedTwice(ctx)
	case reconnected:
		return v.reconnected(ctx)
	default:
		return v.signIn(ctx, v.kind == lostAck)
	}
}

// act is something a person does to the login's account.
func (v *visit) act(ctx context.Context, what string, body map[string]any) (pushed, error) {
	if v.account.AppID != "" {
		body["account"] = v.account.AppID
	}
	return v.people.act(ctx, what, body)
}

// scan lets a person scan the code, or type the one that is shown instead: half
// of them follow already, the others follow now. It waits until the push was
// answered.
func (v *visit) scan(ctx context.Context, person string, q code, follower bool) (pushed, error) {
	if follower {
		if _, err := v.act(ctx, "people", map[string]any{"person": person, "follows": true}); err != nil {
			return pushed{}, err
		}
	}
	var p pushed
	var err error
	if q.Typed != "" {
		p, err = v.act(ctx, "text", map[string]any{"person": person, "text": q.Typed})
	} else {
		p, err = v.act(ctx, "scan", map[string]any{"person": person, "ticket": q.Ticket, "follow": true})
	}
	return p, errors.Join(err, p.fault(v.opts.Outages))
}

// other is a second person at the same screen.
func (v *visit) other() string { return v.person + " other" }

// replyTo is what people answer in the chat when the page shows a number. A person who
// did not claim the ticket has nothing to answer, and does no harm by it.
func (v *visit) replyTo(ctx context.Context, number string) {
	text := number
	switch v.reply {
	case "wrong":
		text = another(number)
	case "not me":
		text = "not me"
	}
	people := []string{v.person}
	if v.kind == twoPeople {
		people = append(people, v.other())
	}
	for _, person := range people {
		p, err := v.act(ctx, "text", map[string]any{"person": person, "text": text})
		v.said = errors.Join(v.said, err, p.fault(v.opts.Outages))
	}
}

// another is a number of two digits that is not this one.
func another(number string) string {
	n, _ := strconv.Atoi(number)
	return fmt.Sprintf("%02d", (n+1)%100)
}

// denied tells that a person said no, so that there must be no token.
func (v *visit) denied() bool { return v.reply != "right" && v.asked != "" }

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

// finish waits for the token that one of the scans must bring, then for the end
// of the connection and of the scans.
func (v *visit) finish(ctx context.Context, began time.Time, loseAck bool, scans ...func() (pushed, error)) error {
	_, err := v.awaitToken(ctx, loseAck)
	v.entry.latency = time.Since(began)
	switch {
	case v.denied():
		v.kind = isDenied
		if v.state == "denied" && errors.Is(err, errNoToken) {
			err = nil // as it must be
		}
		v.listen(ctx, nothingFor)
	case err == nil:
		ending, cancel := context.WithTimeout(ctx, 10*time.Second)
		v.entry.ended = v.awaitEnd(ending)
		if v.opts.Outages && ending.Err() == nil {
			v.entry.ended = true // the connection is over: the replica may have died before it could say so
		}
		cancel()
	}
	for _, wait := range scans {
		p, scanErr := wait()
		if p.OpenID != "" && !v.denied() {
			v.entry.allowed = append(v.entry.allowed, p.OpenID)
		}
		err = errors.Join(err, scanErr)
	}
	return errors.Join(err, v.said)
}
