package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// code is the answer to "qrcode" (LOGIN.md §2).
type code struct {
	Ticket    string  `json:"ticket"`
	URL       string  `json:"url"`
	ImageURL  string  `json:"imageUrl"`
	ExpiresIn float64 `json:"expiresIn"`
	Resume    string  `json:"resume"`
	Account   string  `json:"account"`
	Typed     string  `json:"code"` // to send to the account instead of scanning
}

// ticketState is the answer to "resume" and "cancel", and the event "state".
type ticketState struct {
	State     string  `json:"state"`
	ExpiresIn float64 `json:"expiresIn"`
	Number    string  `json:"number"` // to confirm by, while claimed
}

// ask emits a request of the login and decodes its ack into out. While the
// gateway says that its store is away, it waits as long as it is told and asks again,
// as the login page does.
func (c *client) ask(ctx context.Context, out any, event string, args ...any) error {
	for {
		err := c.askOnce(ctx, out, event, args...)
		var refused *failure
		if !errors.As(err, &refused) || refused.Code != "store_unavailable" || refused.RetryAfter <= 0 {
			return err
		}
		again := time.NewTimer(time.Duration(refused.RetryAfter * float64(time.Second)))
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return err
		}
	}
}

func (c *client) askOnce(ctx context.Context, out any, event string, args ...any) error {
	answer, err := c.call(ctx, event, args...)
	if err != nil {
		return err
	}
	if len(answer) == 0 {
		return fmt.Errorf("%w: empty ack of %s", errProtocol, event)
	}
	var refused struct {
		Error *failure `json:"error"`
	}
	if err := json.Unmarshal(answer[0], &refused); err != nil {
		return fmt.Errorf("%w: ack of %s: %w", errProtocol, event, err)
	}
	if refused.Error != nil {
		return refused.Error
	}
	return json.Unmarshal(answer[0], out)
}

func (c *client) qrcode(ctx context.Context, options map[string]any) (code, error) {
	var out code
	err := c.ask(ctx, &out, "qrcode", options)
	if err == nil && (out.Ticket == "" || out.URL == "" && out.Typed == "" || out.Resume == "" || out.ExpiresIn <= 0) {
		err = errors.New("scenario: the answer to qrcode lacks ticket, url, resume or expiresIn")
	}
	return out, err
}

func (c *client) resume(ctx context.Context, q code) (ticketState, error) {
	var out ticketState
	err := c.ask(ctx, &out, "resume", map[string]string{"ticket": q.Ticket, "resume": q.Resume})
	return out, err
}

// pkce is a verifier and its challenge.
type pkce struct{ verifier, challenge string }

func newPKCE(random string) pkce {
	sum := sha256.Sum256([]byte(random))
	return pkce{random, base64.RawURLEncoding.EncodeToString(sum[:])}
}

// errUsed is a code that is no good: used, run out, or killed by a newer one.
var errUsed = errors.New("scenario: the gateway refused the code")

// exchange swaps a one-time code for the token (LOGIN.md §5).
func exchange(ctx context.Context, h *http.Client, gateway, oneTime, verifier string) (string, error) {
	body, err := json.Marshal(map[string]string{"code": oneTime, "verifier": verifier})
	if err != nil {
		return "", err
	}
	var out struct {
		Token string `json:"token"`
	}
	status, err := postJSON(ctx, h, gateway+"/login/exchange", body, &out)
	switch {
	case err != nil:
	case status == http.StatusUnauthorized:
		return "", errUsed
	case status == http.StatusTooManyRequests:
		return "", &failure{Code: "rate_limited", Message: "exchange"}
	case status/100 == 4:
		return "", &failure{Code: "bad_request", Message: fmt.Sprintf("exchange answered %d", status)}
	}
	if err == nil && (status != http.StatusOK || out.Token == "") {
		err = fmt.Errorf("scenario: exchange answered %d", status)
	}
	return out.Token, err
}

// maxAnswer is how much of any HTTP answer is read.
const maxAnswer = 4 << 20

func postJSON(ctx context.Context, h *http.Client, target string, body []byte, out any) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	return do(h, r, out)
}

func do(h *http.Client, r *http.Request, out any) (int, error) {
	resp, err := h.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return resp.StatusCode, err
	}
	if err := json.Unmarshal(data, out); err != nil && resp.StatusCode == http.StatusOK {
		return resp.StatusCode, fmt.Errorf("%s: not the expected JSON: %w", r.URL.Path, err)
	}
	return resp.StatusCode, nil
}

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

// slowest is how long an answer to a push may take at all (G9): at five seconds
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

// trimBase is a base URL without the slash people end it with.
func trimBase(base string) string { return strings.TrimRight(base, "/") }
