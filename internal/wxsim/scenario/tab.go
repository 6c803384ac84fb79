package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tab is one browser: a connection that may be lost and come back, the code it
// shows, and what it received. One goroutine owns it.
type tab struct {
	name    string
	gateway string
	replica []string // where a lost connection comes back, in turn
	dialer  *dialer
	http    *http.Client
	keys    keys

	client *client
	code   code
	secret pkce // when the token is to come as a code

	state      string
	tokens     []claims // every token frame, repeats included
	reconnects int
}

// open connects; a gateway that is too busy is asked again when it said so.
func (t *tab) open(ctx context.Context) error {
	return patiently(ctx, func() error {
		c, err := t.dialer.connect(ctx, t.gateway)
		if err == nil {
			t.client = c
		}
		return err
	})
}

// ask gets a code. refresh replaces the one it has.
func (t *tab) ask(ctx context.Context, refresh bool) error {
	options := map[string]any{}
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
	}
}

// comeBack connects again, to the next replica, and resumes the ticket.
func (t *tab) comeBack(ctx context.Context) error {
	t.reconnects++
	if len(t.replica) > 0 {
		t.gateway = t.replica[t.reconnects%len(t.replica)]
	}
	if err := t.open(ctx); err != nil {
		return err
	}
	return patiently(ctx, func() error {
		s, err := t.client.resume(ctx, t.code)
		if err == nil {
			t.state = s.State
		}
		return err
	})
}

// close ends the connection if it is still there.
func (t *tab) close() {
	if t.client != nil {
		t.client.cut()
	}
}

// errNoToken is a wait for a token that ended without one.
var errNoToken = errors.New("scenario: no token came")

// awaitToken listens until a token (or code) frame arrives and is acknowledged,
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
			if loseAck && m.name == "token" {
				loseAck = false
				if _, err := t.receive(ctx, m); err != nil {
					return claims{}, err
				}
				t.cut()
				continue
			}
			if err := t.client.acknowledge(ctx, m); err != nil && !errors.Is(err, context.DeadlineExceeded) {
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

// over tells whether no token can come any more. "replaced" does not count: it
// may be the old ticket's, a refresh ago.
func (t *tab) over() bool {
	return t.state == "expired" || t.state == "denied" || t.state == "cancelled"
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
		if m.name == "token" {
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
				t.state = s.State
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
	var token string
	if m.name == "code" {
		var oneTime struct{ Code string }
		if err := json.Unmarshal(m.args[0], &oneTime); err != nil {
			return claims{}, fmt.Errorf("%w: %w", errProtocol, err)
		}
		var err error
		if token, err = exchange(ctx, t.http, t.gateway, oneTime.Code, t.secret.verifier); err != nil {
			return claims{}, err
		}
	} else if err := json.Unmarshal(m.args[0], &token); err != nil {
		return claims{}, fmt.Errorf("%w: %w", errProtocol, err)
	}
	c, err := t.keys.read(token)
	if err != nil {
		return claims{}, err
	}
	if t.secret.challenge != "" && m.name == "token" {
		return claims{}, errors.New("scenario: the token travelled over the socket in spite of the challenge")
	}
	t.tokens = append(t.tokens, c)
	return c, nil
}

// patiently repeats what the gateway refused for being busy.
func patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		var refused *failure
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Code, "rate_limited") {
			return err
		}
		timer := time.NewTimer(time.Duration(max(0.2, refused.RetryAfter) * float64(time.Second)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
