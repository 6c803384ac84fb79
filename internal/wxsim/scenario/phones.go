package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// phones drives people through the simulator's headless routes.
type phones struct {
	http *http.Client
	base string // ends in the simulator's prefix: "http://127.0.0.1:3000/sim"
}

// pushed is what the simulator tells about an action.
type pushed struct {
	OpenID     string `json:"openid"`
	Event      string `json:"event"`
	Deliveries []struct {
		Status  int    `json:"status"`
		MS      int64  `json:"ms"`
		Verdict string `json:"verdict"`
	} `json:"deliveries"`
	Error string `json:"error"`
}

// answeredWith tells whether every push got that status; nil: any.
func (p pushed) answeredWith(status *int) error {
	for _, d := range p.Deliveries {
		if status != nil && d.Status != *status {
			return fmt.Errorf("a push was answered %d (%s), not %d", d.Status, d.Verdict, *status)
		}
	}
	return nil
}

// slowest is how long an answer to a push may take at all (docs/wechat.md §3.4 guarantee G9): at five seconds
// WeChat gives up.
const slowest = 4500 * time.Millisecond

// fault is what is wrong with how the pushes were answered. With outages a
// connection may break, if an answer came in the end.
func (p pushed) fault(outages bool) error {
	answered := false
	for _, d := range p.Deliveries {
		broke := d.Status == 0 && d.Verdict != "no answer in time"
		if broke && outages {
			continue
		}
		if d.Status != http.StatusOK || d.MS > slowest.Milliseconds() {
			return fmt.Errorf("a push was answered %d (%s) after %d ms", d.Status, d.Verdict, d.MS)
		}
		answered = true
	}
	if !answered && p.Event != "" {
		return errors.New("a push was never answered")
	}
	return nil
}

var errCodeGone = errors.New("scenario: the code is unknown or expired at the platform")

func (p *phones) act(ctx context.Context, what string, body map[string]any) (pushed, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return pushed{}, err
	}
	var out pushed
	status, err := postJSON(ctx, p.http, p.base+"/"+what, data, &out)
	switch {
	case err != nil:
		return out, fmt.Errorf("scenario: %s: %w", what, err)
	case status == http.StatusNotFound:
		return out, fmt.Errorf("%w: %s", errCodeGone, out.Error)
	case status != http.StatusOK:
		return out, fmt.Errorf("scenario: %s answered %d: %s", what, status, out.Error)
	}
	return out, nil
}

func (p *phones) setFaults(ctx context.Context, rules any, seed uint64) error {
	data, err := json.Marshal(map[string]any{"rules": rules, "seed": seed})
	if err != nil {
		return err
	}
	var out struct{ Error string }
	status, err := postJSON(ctx, p.http, p.base+"/faults", data, &out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("scenario: faults answered %d: %s", status, out.Error)
	}
	return err
}

// faultHits is how often each kind of rule struck.
func (p *phones) faultHits(ctx context.Context) (map[string]int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/faults", nil)
	if err != nil {
		return nil, err
	}
	var out struct {
		Rules []struct {
			Kind string `json:"kind"`
			Hits int    `json:"hits"`
		} `json:"rules"`
	}
	if _, err := do(p.http, r, &out); err != nil {
		return nil, err
	}
	hits := make(map[string]int)
	for _, rule := range out.Rules {
		hits[rule.Kind] += rule.Hits
	}
	return hits, nil
}

// Callback is how the gateway answered pushes, by the simulator's count.
type Callback struct {
	Deliveries  int
	Answered    int
	Refused     int
	Illegal     int
	Silent      int
	Unconnected int
	Broke       int
	P50MS       int64
	P99MS       int64
	MaxMS       int64
}

func (p *phones) stats(ctx context.Context) (out Callback, err error) {
	return out, p.statsBy(ctx, http.MethodGet, &out)
}

func (p *phones) resetStats(ctx context.Context) error {
	return p.statsBy(ctx, http.MethodDelete, &Callback{})
}

func (p *phones) statsBy(ctx context.Context, method string, out *Callback) error {
	r, err := http.NewRequestWithContext(ctx, method, p.base+"/stats", nil)
	if err != nil {
		return err
	}
	status, err := do(p.http, r, out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("scenario: stats answered %d", status)
	}
	return err
}

func (p *phones) advance(ctx context.Context, by string) error {
	var out struct{ Error string }
	status, err := postJSON(ctx, p.http, p.base+"/clock?advance="+url.QueryEscape(by), nil, &out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("scenario: clock answered %d: %s", status, out.Error)
	}
	return err
}

// patch changes the simulator by one of its admin routes.
func (p *phones) patch(ctx context.Context, path string, body map[string]any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, p.base+"/"+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	var out struct{ Error string }
	status, err := do(p.http, r, &out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("scenario: %s answered %d: %s", path, status, out.Error)
	}
	return err
}

// account is the appid of the simulator's first account.
func (p *phones) account(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/accounts", nil)
	if err != nil {
		return "", err
	}
	var out struct {
		Accounts []struct {
			AppID string `json:"appid"`
		} `json:"accounts"`
	}
	status, err := do(p.http, r, &out)
	if err == nil && (status != http.StatusOK || len(out.Accounts) == 0) {
		err = fmt.Errorf("scenario: accounts answered %d", status)
	}
	if err != nil {
		return "", err
	}
	return out.Accounts[0].AppID, nil
}

func (p *phones) patchAccount(ctx context.Context, body map[string]any) error {
	id, err := p.account(ctx)
	if err != nil {
		return err
	}
	return p.patch(ctx, "accounts/"+id, body)
}

func (p *phones) killTokens(ctx context.Context) error {
	id, err := p.account(ctx)
	if err != nil {
		return err
	}
	var out struct{ Error string }
	status, err := postJSON(ctx, p.http, p.base+"/accounts/"+id+"/kill-tokens", nil, &out)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("scenario: kill-tokens answered %d: %s", status, out.Error)
	}
	return err
}

// trimBase is a base URL without the slash people end it with.
func trimBase(base string) string { return strings.TrimRight(base, "/") }
