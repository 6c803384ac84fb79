package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"posthouse/socketio/internal/jsonbinary"
)

// answer is what the back end said. Fields that do not belong to the type of the request
// mean nothing.
type answer struct {
	status int

	// To an event:
	Ack        []json.RawMessage `json:"ack"`
	Emit       []json.RawMessage `json:"emit"`
	Join       []string          `json:"join"`
	Leave      []string          `json:"leave"`
	Disconnect bool              `json:"disconnect"`
	Error      json.RawMessage   `json:"error"`

	// To a connect:
	User    string   `json:"user"`
	Rooms   []string `json:"rooms"`
	Message string   `json:"message"`

	// To both:
	Data json.RawMessage `json:"data"`
}

// exchange makes one request. An error means that the back end gave no usable answer:
// any status but 2xx and 4xx, no JSON, or more than 1 MiB of it.
func (t *terms) exchange(ctx context.Context, id string, data []byte) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.opts.URL, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "posthouse")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("Webhook-Signature", sign(t.opts.Secrets, id, now, data))
	if user := t.url.User; user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	w, err := t.opts.Transport.RoundTrip(r) // it follows no redirects
	if err != nil {
		return nil, err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(io.LimitReader(w.Body, maxAnswer+1))
	a := &answer{status: w.StatusCode}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer ended early: %w", err)
	case len(text) > maxAnswer:
		return nil, errors.New("the answer is longer than 1 MiB")
	case w.StatusCode == http.StatusNoContent:
		return a, nil
	case w.StatusCode != http.StatusOK && (w.StatusCode < 400 || w.StatusCode > 499):
		return nil, fmt.Errorf("the answer has status %d", w.StatusCode)
	}
	if kind := w.Header.Get("Content-Type"); kind != "application/json" { // spelled otherwise, or another
		if media, _, _ := mime.ParseMediaType(kind); media != "application/json" {
			return nil, fmt.Errorf("the answer, of status %d, has Content-Type %q, not application/json", w.StatusCode, kind)
		}
	}
	err = jsonbinary.Check(text)
	if err == nil {
		err = json.Unmarshal(text, a)
	}
	if err != nil {
		return nil, fmt.Errorf("the answer is not the expected JSON: %w", err)
	}
	return a, nil
}
