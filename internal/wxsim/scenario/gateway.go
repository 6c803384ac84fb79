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
	"time"

	"posthouse/internal/sleep"
)

// code is the answer to "qrcode" (docs/login.md §2).
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
		if sleep.For(ctx, time.Duration(refused.RetryAfter*float64(time.Second))) != nil {
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

// exchange swaps a one-time code for the token (docs/login.md §5).
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
