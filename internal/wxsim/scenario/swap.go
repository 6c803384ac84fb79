package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// codeOf reads a code frame.
func codeOf(m message) (string, error) {
	var oneTime struct{ Code string }
	if len(m.args) == 0 || json.Unmarshal(m.args[0], &oneTime) != nil || oneTime.Code == "" {
		return "", fmt.Errorf("%w: code without a code", errProtocol)
	}
	return oneTime.Code, nil
}

// swap exchanges a code for the token (docs/login.md §5). A sly tab also does what a
// thief would, and what a browser does whose answer was lost.
func (t *tab) swap(ctx context.Context, oneTime string) (claims, error) {
	if t.unused != "" && t.unused != oneTime {
		dead := t.unused
		t.unused = ""
		if err := t.mustFail(ctx, "a code that a newer one replaced", dead, t.secret.verifier); err != nil {
			return claims{}, err
		}
	}
	if t.sly {
		if err := t.mustFail(ctx, "a wrong verifier", oneTime, newPKCE(t.secret.verifier).challenge); err != nil {
			return claims{}, err
		}
	}
	c, err := t.exchange(ctx, oneTime, t.secret.verifier)
	if err != nil || !t.sly {
		return c, err
	}
	t.elsewhere()
	if _, err := t.exchange(ctx, oneTime, t.secret.verifier); err != nil {
		return c, fmt.Errorf("scenario: the same exchange again: %w", err)
	}
	return c, nil
}

// exchange keeps the token that a code brings. A gateway that is away meanwhile
// is asked again: the same verifier may repeat.
func (t *tab) exchange(ctx context.Context, oneTime, verifier string) (claims, error) {
	var token string
	err := t.stubbornly(ctx, func() (err error) {
		token, err = exchange(ctx, t.dialer.http, t.gateway, oneTime, verifier)
		return err
	})
	if err != nil {
		return claims{}, err
	}
	return t.keep(token)
}

// mustFail exchanges what must bring nothing. What it brings all the same is
// kept, for the ledger.
func (t *tab) mustFail(ctx context.Context, what, oneTime, verifier string) error {
	switch _, err := t.exchange(ctx, oneTime, verifier); {
	case errors.Is(err, errUsed):
		return nil
	case err == nil:
		return fmt.Errorf("scenario: %s brought a token", what)
	default:
		return err
	}
}
