package scenario

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"posthouse/internal/sleep"
)

// player runs the steps of a script, one after the other.
type player struct {
	ctx    context.Context // the lifetime of one Play
	script Script
	target Target
	http   *http.Client
	people phones
	keys   keys
	dial   []*dialer

	tabs    map[string]*tab
	old     map[string]code   // each tab's code before its last refresh
	openids map[string]string // by person
	ids     map[string]string // token id → tab, for doubles across tabs
}

// Play runs a script against a target and prints each step. It returns the
// first thing that went otherwise than expected.
func Play(ctx context.Context, script Script, target Target, out io.Writer) error {
	target, err := target.withDefaults()
	if err != nil {
		return err
	}
	h := &http.Client{Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	p := &player{
		ctx: ctx, script: script, target: target, http: h, people: phones{h, target.Simulator}, dial: target.dialers(),
		tabs: map[string]*tab{}, old: map[string]code{}, openids: map[string]string{}, ids: map[string]string{},
	}
	if p.keys, err = target.keys(ctx, h); err != nil {
		return err
	}
	defer p.cleanUp()
	for i, step := range script.Steps {
		run, err := step.action()
		if err == nil {
			err = run(p)
		}
		if err != nil {
			fmt.Fprintf(out, "%s: step %d of %d failed: %v\nFAIL\n", script.Name, i+1, len(script.Steps), err)
			return fmt.Errorf("scenario: %s: step %d: %w", script.Name, i+1, err)
		}
	}
	fmt.Fprintf(out, "%s: %d steps\nPASS\n", script.Name, len(script.Steps))
	return nil
}

// cleanUp leaves no faults behind for the next script.
func (p *player) cleanUp() {
	for _, t := range p.tabs {
		t.close()
	}
	for _, s := range p.script.Steps {
		if s.Faults != nil {
			_ = p.people.setFaults(p.ctx, []rule{}, 0)
			return
		}
	}
}

func (p *player) tab(name string) (*tab, error) {
	if t := p.tabs[name]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("there is no tab %q", name)
}

func (p *player) open(name string) error {
	if p.tabs[name] != nil {
		return fmt.Errorf("tab %q is open already", name)
	}
	n := len(p.tabs)
	t := &tab{
		name: name, gateway: p.target.Gateways[n%len(p.target.Gateways)], replica: p.target.Gateways,
		dialer: p.dial[n%len(p.dial)], keys: p.keys,
	}
	p.tabs[name] = t
	return t.open(p.ctx)
}

func (p *player) challenge(name string) error {
	t, err := p.tab(name)
	if err == nil {
		t.secret = newPKCE(fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s %d", name, p.script.Seed))))
	}
	return err
}

func (p *player) typed(name string) error {
	t, err := p.tab(name)
	if err == nil {
		t.typed = true
	}
	return err
}

// refused asks for a code once, without the patience of ask.
func (p *player) refused(s RefusedStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	options := map[string]any{"refresh": true}
	if t.typed {
		options["typed"] = true
	}
	var refused *failure
	_, err = t.client.qrcode(p.ctx, options)
	switch {
	case err == nil:
		return errors.New("a code was given")
	case !errors.As(err, &refused):
		return err
	case refused.Code != s.Code:
		return fmt.Errorf("refused with %s, not %s", refused.Code, s.Code)
	}
	return nil
}

// number answers what the page asks for, or something else.
func (p *player) number(s ScanStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	if t.number == "" {
		return errors.New("the tab shows no number (wait for state claimed first)")
	}
	text := t.number
	if s.Wrong {
		text = another(text)
	}
	return p.phone("text", PhoneStep{Person: s.Person, Text: text})
}

func (p *player) code(name string, refresh bool) error {
	t, err := p.tab(name)
	if err != nil {
		return err
	}
	p.old[name] = t.code
	return t.ask(p.ctx, refresh)
}

func (p *player) cancel(name string) error {
	t, err := p.tab(name)
	if err != nil {
		return err
	}
	var s ticketState
	if err := t.client.ask(p.ctx, &s, "cancel"); err != nil {
		return err
	}
	t.state = s.State
	return nil
}

func (p *player) cut(name string) error {
	t, err := p.tab(name)
	if err == nil {
		t.cut()
	}
	return err
}

func (p *player) resume(name string) error {
	t, err := p.tab(name)
	if err != nil {
		return err
	}
	return t.comeBack(p.ctx)
}

func (p *player) scan(s ScanStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	q := t.code
	if s.Old {
		q = p.old[s.Tab]
	}
	what, body := "scan", map[string]any{"person": s.Person, "ticket": q.Ticket, "follow": s.Follow}
	if q.Typed != "" {
		what, body = "text", map[string]any{"person": s.Person, "text": q.Typed}
	}
	out, err := p.people.act(p.ctx, what, body)
	if s.Gone {
		if errors.Is(err, errCodeGone) {
			return nil
		}
		return errors.Join(errors.New("the platform still knows the code"), err)
	}
	if err != nil {
		return err
	}
	p.openids[s.Person] = out.OpenID
	if s.Pushes != nil && *s.Pushes != len(out.Deliveries) {
		return fmt.Errorf("%d pushes, not %d", len(out.Deliveries), *s.Pushes)
	}
	return out.answeredWith(s.Status)
}

func (p *player) phone(what string, s PhoneStep) error {
	body := map[string]any{"person": s.Person}
	for name, value := range map[string]string{"text": s.Text, "type": s.Type, "event": s.Event} {
		if value != "" {
			body[name] = value
		}
	}
	out, err := p.people.act(p.ctx, what, body)
	if err != nil {
		return err
	}
	p.openids[s.Person] = out.OpenID
	return out.answeredWith(s.Status)
}

func (p *player) wait(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	return sleep.For(p.ctx, d)
}

// within is the context of an expectation.
func (p *player) within(text string, def time.Duration) (context.Context, context.CancelFunc) {
	d := def
	if text != "" {
		d, _ = time.ParseDuration(text) // checked by ReadScript
	}
	return context.WithTimeout(p.ctx, d)
}

func (p *player) token(s TokenStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	ctx, cancel := p.within(s.Within, 10*time.Second)
	defer cancel()
	var before claims
	if len(t.tokens) > 0 {
		before = t.tokens[len(t.tokens)-1]
	}
	var got claims
	if s.NoAck {
		got, err = t.tokenWithoutAck(ctx)
	} else {
		got, err = t.awaitToken(ctx, false)
	}
	switch {
	case err != nil:
		return err
	case got.OpenID != p.openids[s.Person]:
		return fmt.Errorf("%s: the token is not %s's", misdelivered, s.Person)
	case s.Same && got.ID != before.ID:
		return fmt.Errorf("%s: another token id than before", doubled)
	}
	if owner, taken := p.ids[got.ID]; taken && owner != s.Tab {
		return fmt.Errorf("%s: tab %q got this token before", misdelivered, owner)
	}
	p.ids[got.ID] = s.Tab
	return nil
}

// tokenWithoutAck waits for the token frame and loses the connection then.
func (t *tab) tokenWithoutAck(ctx context.Context) (claims, error) {
	for {
		m, err := t.next(ctx)
		if err != nil {
			return claims{}, fmt.Errorf("%w: %w", errNoToken, err)
		}
		if m.name == "token" || m.name == "code" {
			defer t.cut()
			return t.receive(ctx, m)
		}
	}
}

func (p *player) state(s StateStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	ctx, cancel := p.within(s.Within, 10*time.Second)
	defer cancel()
	return t.awaitState(ctx, s.Is)
}

func (p *player) nothing(s NothingStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	before := len(t.tokens)
	ctx, cancel := p.within(s.Within, 500*time.Millisecond)
	defer cancel()
	t.awaitEnd(ctx)
	if len(t.tokens) > before {
		return fmt.Errorf("%s: a token came", misdelivered)
	}
	return nil
}

func (p *player) ended(s TabStep) error {
	t, err := p.tab(s.Tab)
	if err != nil {
		return err
	}
	ctx, cancel := p.within(s.Within, 5*time.Second)
	defer cancel()
	if !t.awaitEnd(ctx) {
		return errors.New("the server did not disconnect the tab")
	}
	return nil
}
