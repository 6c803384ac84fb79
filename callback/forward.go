package callback

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	upstreamTime = 4 * time.Second
	maxReply     = 64 << 10
)

var errUpstream = errors.New("callback: the upstream's answer is no 200, or too long")

// upstream is the site's own bot behind a bulkhead: WeChat knows one URL per
// account, so whoever takes the URL must hand on what is not his. However slow
// or broken the bot is, WeChat gets a good answer in time, for enough bad ones
// stop all pushes, logins included, for a minute.
type upstream struct {
	url   url.URL
	slots chan struct{}
}

func newUpstream(u *url.URL, l Limits) *upstream {
	if l.Upstream <= 0 {
		l.Upstream = 32
	}
	return &upstream{url: *u, slots: make(chan struct{}, l.Upstream)}
}

func newUpstreamClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			MaxIdleConnsPerHost:    32,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
		},
		// A redirect is not followed: the push would go who knows where.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// pass hands a push on and takes the bot's reply for ours.
func (a *account) pass(ctx context.Context, d *delivery) verdict {
	if a.upstream == nil {
		return verdict{}
	}
	if !enter(a.upstream.slots) {
		a.h.o.Metrics.Fault(a.Name, "upstream_busy")
		return verdict{}
	}
	defer leave(a.upstream.slots)
	v, err := a.send(ctx, d)
	if err != nil {
		a.h.o.Metrics.Fault(a.Name, "upstream")
		a.h.o.Logger.Warn("the upstream gave no usable answer", slog.String("account", a.Name))
		return verdict{}
	}
	return v
}

// send posts the push with all its query parameters and its body as they came.
// The bot checks the signatures itself, as if WeChat had called it.
func (a *account) send(ctx context.Context, d *delivery) (verdict, error) {
	// Time is left to answer and to mark the push as done.
	until := d.arrived.Add(answerTime - storeTime/2)
	ctx, cancel := context.WithDeadline(ctx, earlier(until, time.Now().Add(upstreamTime)))
	defer cancel()
	u := a.upstream.url
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += d.request.URL.RawQuery
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(d.body))
	if err != nil {
		return verdict{}, err
	}
	for _, name := range []string{"Content-Type", "User-Agent"} {
		if v := d.request.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	res, err := a.h.http.Do(req)
	if err != nil {
		return verdict{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return verdict{}, err
	}
	if res.StatusCode != http.StatusOK || len(body) > maxReply {
		return verdict{}, errUpstream
	}
	return verdict{raw: body, rawType: res.Header.Get("Content-Type")}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
