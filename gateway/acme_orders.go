package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// orderTransport gives answers to a finalized order the order's Location. A server that
// makes the certificate later answers "processing", and RFC 8555 asks for no Location
// there; package acme waits for the order at that place only.
type orderTransport struct {
	next http.RoundTripper

	mu     sync.Mutex        // guards orders
	orders map[string]string // the URL that finalizes an order → the order's own
}

const (
	// maxOrders is more than the manager has under way: one for each host.
	maxOrders    = 1000
	maxACMEReply = 1 << 20
)

// RoundTrip implements http.RoundTripper.
func (o *orderTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := o.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodPost {
		return w, err
	}
	target := r.URL.String()
	if w.Header.Get("Location") == "" {
		o.mu.Lock()
		if order := o.orders[target]; order != "" {
			w.Header.Set("Location", order)
		}
		o.mu.Unlock()
		return w, nil
	}
	if w.StatusCode != http.StatusCreated {
		return w, nil
	}
	body, err := io.ReadAll(io.LimitReader(w.Body, maxACMEReply))
	_ = w.Body.Close()
	if err != nil {
		return nil, err
	}
	w.Body = io.NopCloser(bytes.NewReader(body))
	var order struct {
		Finalize string `json:"finalize"`
	}
	if json.Unmarshal(body, &order) == nil && order.Finalize != "" {
		o.mu.Lock()
		if o.orders == nil || len(o.orders) >= maxOrders {
			o.orders = map[string]string{}
		}
		o.orders[order.Finalize] = w.Header.Get("Location")
		o.mu.Unlock()
	}
	return w, nil
}
