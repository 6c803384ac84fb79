package scenario

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"posthouse/internal/sleep"
)

// tab is one browser: a connection that may be lost and come back, the code it
// shows, and what it received. One goroutine owns it.
type tab struct {
	name    string
	gateway string
	replica []string // where a lost connection comes back, in turn
	dialer  *dialer
	keys    keys

	client *client
	code   code
	secret pkce // when the token is to come as a code
	// sly tries what must not work, on the way: wrong verifiers, dead codes, the
	// same code again at another replica.
	sly bool
	// typed tells that the tab can show a code to type, where that is what the
	// account has.
	typed bool
	// account is the gateway's account to ask; "" is its first.
	account string
	// confirm is what the person does when the page shows a number.
	confirm func(ctx context.Context, number string)
	// grace tells that a claim after the expiry is on its way.
	grace bool

	state      string
	number     string   // on the page, while claimed
	asked      string   // the ticket whose number was confirmed
	unused     string   // a code that was lost before it was exchanged
	tokens     []claims // every token frame, repeats included
	reconnects int
	away       bool // the tab itself lost its connection
	dropped    int  // connections that failed, or ended, by the gateway's doing
}

// open connects; a gateway that is too busy is asked again when it said so, and
// one that is not there leaves the place to the next.
func (t *tab) open(ctx context.Context) error {
	return t.stubbornly(ctx, func() error {
		c, err := t.dialer.connect(ctx, t.gateway)
		if err == nil {
			t.client, t.away = c, false
		}
		return err
	})
}

// elsewhere is where the tab connects next.
func (t *tab) elsewhere() {
	t.reconnects++
	if len(t.replica) > 0 {
		t.gateway = t.replica[(slices.Index(t.replica, t.gateway)+1)%len(t.replica)]
	}
}

// againAfter is the pause before a lost connection is tried again, as clients
// have it.
const againAfter = 300 * time.Millisecond

// stubbornly does what a browser does while its gateway is away: tries again,
// elsewhere if there is an elsewhere. What the gateway refused in words stays
// refused.
func (t *tab) stubbornly(ctx context.Context, try func() error) error {
	for {
		err := patiently(ctx, try)
		var refused *failure
		if err == nil || errors.As(err, &refused) || errors.Is(err, errUsed) || errors.Is(err, errProtocol) || ctx.Err() != nil {
			return err
		}
		t.dropped++
		t.elsewhere()
		if sleep.For(ctx, againAfter) != nil {
			return err
		}
	}
}

// begin connects and asks for a code, again if the connection is lost meanwhile.
func (t *tab) begin(ctx context.Context) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	for {
		err := t.ask(ctx, false)
		if !errors.Is(err, errClosed) {
			return err
		}
		t.dropped++
		t.elsewhere()
		if err := t.open(ctx); err != nil {
			return err
		}
	}
}

// ask gets a code. refresh replaces the one it has.
func (t *tab) ask(ctx context.Context, refresh bool) error {
	options := map[string]any{}
	if t.typed {
		options["typed"] = true
	}
	if t.account != "" {
		options["account"] = t.account
	}
	if t.secret.challenge != "" {
		options["challenge"] = t.secret.challenge
	}
	if refresh {
		options["refresh"] = true
	}
	return patiently(ctx, func() error {
		q, err := t.client.qrcode(ctx, options)
		if err == nil {
			t.code = q
		}
		return err
	})
}

// cut loses the connection without a word.
func (t *tab) cut() {
	if t.client != nil {
		t.client.cut()
		t.away = true
	}
}

// comeBack connects again, to the next replica, and resumes the ticket.
func (t *tab) comeBack(ctx context.Context) error {
	for {
		if !t.away {
			t.dropped++
		}
		t.elsewhere()
		if err := t.open(ctx); err != nil {
			return err
		}
		var s ticketState
		err := patiently(ctx, func() (err error) {
			s, err = t.client.resume(ctx, t.code)
			return err
		})
		if errors.Is(err, errClosed) {
			continue // lost again before the answer
		}
		if err == nil {
			t.note(ctx, s)
		}
		return err
	}
}

// note takes a state in, and lets the person answer when the page asks for it.
func (t *tab) note(ctx context.Context, s ticketState) {
	t.state, t.number = s.State, cmp.Or(s.Number, t.number)
	if s.State == "claimed" && s.Number != "" && t.confirm != nil && t.asked != t.code.Ticket {
		t.asked = t.code.Ticket
		t.confirm(ctx, s.Number)
	}
}

// close ends the connection if it is still there.
func (t *tab) close() {
	if t.client != nil {
		t.client.cut()
	}
}

// errNoToken is a wait for a token that ended without one.
var errNoToken = errors.New("scenario: no token came")

// awaitToken listens until a token (or code) frame arrives, and acknowledges it,
// coming back when the connection is lost. loseAck loses the connection instead
// of the first acknowledgement, as a browser that dies at that moment.
func (t *tab) awaitToken(ctx context.Context, loseAck bool) (claims, error) {
	overtaken := false
	for {
		m, err := t.next(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return claims{}, errNoToken
		case err != nil:
			if err := t.comeBack(ctx); err != nil {
				return claims{}, fmt.Errorf("scenario: coming back: %w", err)
			}
		case m.name == "token" || m.name == "code":
			if loseAck {
				loseAck = false
				if err := t.forget(ctx, m); err != nil {
					return claims{}, err
				}
				continue
			}
			if err := t.client.acknowledge(m); err != nil && !errors.Is(err, context.DeadlineExceeded) && !t.left(ctx) {
				continue // lost at that moment: it will be sent again
			}
			c, err := t.receive(ctx, m)
			if errors.Is(err, errUsed) && t.reconnects > 0 && !overtaken {
				// The login was claimed while this tab resumed: resume sends a
				// fresh code, which kills this one and is on its way.
				overtaken = true
				continue
			}
			return c, err
		case t.over():
			return claims{}, fmt.Errorf("%w: the ticket is %s", errNoToken, t.state)
		}
	}
}

// left tells whether a connection that takes nothing any more was ended by the
// gateway, in good order. It had no acknowledgement for a while then, because the
// person was busy in the chat, and is right to count what it sent as delivered.
func (t *tab) left(ctx context.Context) bool {
	select {
	case <-t.client.done:
		return t.client.left()
	case <-ctx.Done():
		return false
	}
}

// forget is a browser that dies as the result arrives: a token was seen, a code
// was not exchanged.
func (t *tab) forget(ctx context.Context, m message) error {
	defer t.cut()
	if m.name == "token" {
		_, err := t.receive(ctx, m)
		return err
	}
	var err error
	t.unused, err = codeOf(m)
	return err
}

// over tells whether no token can come any more. "replaced" does not count: it
// may be the old ticket's, a refresh ago.
func (t *tab) over() bool {
	return t.state == "expired" && !t.grace || t.state == "denied" || t.state == "cancelled"
}

// awaitState listens until the ticket is in that state.
func (t *tab) awaitState(ctx context.Context, want string) error {
	for t.state != want {
		m, err := t.next(ctx)
		if err != nil {
			return fmt.Errorf("scenario: state is %q, not %q: %w", t.state, want, err)
		}
		if m.name == "token" || m.name == "code" {
			if _, err := t.receive(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitEnd listens until the server closes the connection, keeping what still
// comes. It tells whether that was a disconnect the server announced.
func (t *tab) awaitEnd(ctx context.Context) bool {
	for {
		m, err := t.next(ctx)
		if err != nil {
			return t.client.left()
		}
		if m.name == "token" || m.name == "code" {
			_, _ = t.receive(ctx, m)
		}
	}
}

// listen keeps what comes for a while: to see that nothing does.
func (t *tab) listen(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	t.awaitEnd(ctx)
}

// rest takes in what has arrived already, without waiting for more.
func (t *tab) rest(ctx context.Context) {
	if t.client == nil {
		return
	}
	for range maxEvents {
		select {
		case m, ok := <-t.client.events:
			if !ok {
				return
			}
			if m.name == "token" {
				_, _ = t.receive(ctx, m)
			}
		default:
			return
		}
	}
}

// next is the next event; states are noted on the way.
func (t *tab) next(ctx context.Context) (message, error) {
	select {
	case m, ok := <-t.client.events:
		if !ok {
			return m, errClosed
		}
		if m.name == "state" && len(m.args) > 0 {
			var s ticketState
			if json.Unmarshal(m.args[0], &s) == nil {
				t.note(ctx, s)
			}
		}
		return m, nil
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

// receive reads a token frame, or exchanges a code for the token.
func (t *tab) receive(ctx context.Context, m message) (claims, error) {
	if len(m.args) == 0 {
		return claims{}, fmt.Errorf("%w: %s without arguments", errProtocol, m.name)
	}
	if m.name == "code" {
		oneTime, err := codeOf(m)
		if err != nil {
			return claims{}, err
		}
		return t.swap(ctx, oneTime)
	}
	if t.secret.challenge != "" {
		return claims{}, errors.New("scenario: the token travelled over the socket in spite of the challenge")
	}
	var token string
	if err := json.Unmarshal(m.args[0], &token); err != nil {
		return claims{}, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return t.keep(token)
}

// keep reads a token and puts it with the others.
func (t *tab) keep(token string) (claims, error) {
	c, err := t.keys.read(token)
	if err == nil {
		t.tokens = append(t.tokens, c)
	}
	return c, err
}

// patiently repeats what the gateway refused for being busy.
func patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		var refused *failure
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Code, "rate_limited") {
			return err
		}
		if sleep.For(ctx, time.Duration(max(0.2, refused.RetryAfter)*float64(time.Second))) != nil {
			return err
		}
	}
}
