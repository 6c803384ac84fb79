package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"posthouse/internal/sleep"
)

const (
	// DefaultAPIBase and DefaultMPBase are WeChat's own hosts.
	DefaultAPIBase = "https://api.weixin.qq.com"
	DefaultMPBase  = "https://mp.weixin.qq.com"

	maxAnswer   = 1 << 20
	maxInFlight = 32
)

// Counter counts calls: api is a path of WeChat's, outcome "ok" or a Class, code
// WeChat's errcode (0 for none). Implementations do not block.
type Counter interface {
	APICall(api, outcome string, code int)
}

// ClientOptions configure a Client; zero values are the defaults.
type ClientOptions struct {
	// APIBase and MPBase are where WeChat is reached, with or without a slash at
	// the end: an egress proxy, another data centre, a simulator.
	APIBase, MPBase string
	// Cache shares the access token between replicas; nil keeps it in memory.
	Cache TokenCache
	// Timeout bounds a call with everything it needs, retries included; default 3 s.
	Timeout time.Duration
	// Transport replaces the HTTP transport; default one with a connect timeout
	// of 2 s. Close closes its idle connections either way.
	Transport http.RoundTripper
	Counter   Counter
	Logger    *slog.Logger // nil means slog.Default()
}

// Client calls WeChat's API for one account. It is safe for concurrent use and
// starts nothing.
type Client struct {
	appID   string
	secret  Secret
	api, mp string // without a slash at the end
	o       ClientOptions
	http    *http.Client
	slots   chan struct{}
	tokens  *tokens

	mu       sync.Mutex // guards what follows
	breakers map[string]*breaker
	lasting  map[string]*Error // by API; see Problems
}

// NewClient makes a client for the account. It asks WeChat for nothing yet.
func NewClient(appID string, secret Secret, o *ClientOptions) (*Client, error) {
	if appID == "" || secret == "" {
		return nil, errors.New("wechat: a client needs an AppID and an AppSecret")
	}
	c := &Client{appID: appID, secret: secret, slots: make(chan struct{}, maxInFlight), breakers: map[string]*breaker{}, lasting: map[string]*Error{}}
	if o != nil {
		c.o = *o
	}
	var err error
	if c.api, err = base(c.o.APIBase, DefaultAPIBase); err != nil {
		return nil, err
	}
	if c.mp, err = base(c.o.MPBase, DefaultMPBase); err != nil {
		return nil, err
	}
	if c.o.Timeout <= 0 {
		c.o.Timeout = 3 * time.Second
	}
	if c.o.Logger == nil {
		c.o.Logger = slog.Default()
	}
	if c.o.Transport == nil {
		c.o.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			TLSHandshakeTimeout:    2 * time.Second,
			MaxIdleConnsPerHost:    maxInFlight,
			IdleConnTimeout:        60 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	c.http = &http.Client{
		Transport: c.o.Transport,
		// A redirect would carry the access token to the host it points at.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if c.tokens, err = newTokens(c, c.o.Cache); err != nil {
		return nil, err
	}
	return c, nil
}

func base(s, fallback string) (string, error) {
	if s == "" {
		s = fallback
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("wechat: a base URL is http(s)://host[:port][/path]")
	}
	return strings.TrimRight(s, "/"), nil
}

// AppID is the account's.
func (c *Client) AppID() string { return c.appID }

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one call of an API: what is asked, and where the answer goes.
type call struct {
	api    string
	method string
	query  url.Values
	body   any         // JSON, nil for none
	into   any         // JSON, nil for none
	whole  func() bool // whether into has what it must have; nil: yes
}

// do makes a call with an access token. A token that WeChat calls bad is
// replaced and the call repeated, by a fixed ladder that cannot loop: the cached
// or refreshed token once, and if that is the very same, a forced one once.
func (c *Client) do(ctx context.Context, k call) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	return c.guard(ctx, k.api, func() (*Error, error) {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return nil, err // the token call's own circuit has seen it
		}
		failed := c.exchange(ctx, k, token)
		for step := renewNormally; failed != nil && failed.Class == ClassRefresh && step <= renewByForce; step++ {
			fresh, err := c.tokens.renew(ctx, token, step)
			if err != nil {
				return failed, nil
			}
			same := fresh == token
			token, failed = fresh, c.exchange(ctx, k, fresh)
			if !same {
				break
			}
		}
		return failed, nil
	})
}

// guard runs a call through its API's circuit and counts it. The call returns its
// own error, or one that belongs to another API.
func (c *Client) guard(ctx context.Context, api string, run func() (own *Error, foreign error)) error {
	b := c.breaker(api)
	if e := b.allow(time.Now()); e != nil {
		return e
	}
	own, foreign := run()
	switch {
	case foreign != nil:
		b.abandon()
		return foreign
	case own != nil && callersOwn(ctx):
		b.abandon()
		return own
	}
	b.report(time.Now(), own)
	c.count(api, own)
	if own == nil {
		return nil
	}
	return own
}

func (c *Client) count(api string, err *Error) {
	outcome, code := "ok", 0
	if err != nil {
		outcome, code = string(err.Class), err.Code
		attrs := []any{slog.String("api", api), slog.String("class", outcome), slog.Int("code", code), slog.String("rid", err.RID)}
		if means := err.Meaning(); means != "" {
			attrs = append(attrs, slog.String("means", means))
		}
		if fix := err.Fix(); fix != "" {
			attrs = append(attrs, slog.String("fix", fix))
		}
		c.o.Logger.Warn("WeChat call failed", attrs...)
	}
	c.note(api, err)
	if c.o.Counter != nil {
		c.o.Counter.APICall(api, outcome, code)
	}
}

func (c *Client) breaker(api string) *breaker {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.breakers[api]
	if b == nil {
		b = &breaker{}
		c.breakers[api] = b
	}
	return b
}

// busyPauses are the waits before a busy WeChat is asked again.
var busyPauses = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second}

// exchange makes one call, again when WeChat says that it is busy, and once more
// when no connection could be made. Nothing else is repeated: a slow or broken
// WeChat gets no better by being asked twice.
func (c *Client) exchange(ctx context.Context, k call, token Secret) *Error {
	redialled := false
	for busy := 0; ; {
		err := c.roundTrip(ctx, k, token)
		switch {
		case err == nil:
			return nil
		case err.Code == -1 && busy < len(busyPauses):
			if sleep.For(ctx, busyPauses[busy]) != nil {
				return err
			}
			busy++
		case unconnected(err) && !redialled && ctx.Err() == nil:
			redialled = true
		default:
			return err
		}
	}
}

func unconnected(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// roundTrip asks once. The HTTP status is 200 even for errors; anything else, and
// anything that is not JSON, did not come from the API.
func (c *Client) roundTrip(ctx context.Context, k call, token Secret) *Error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return transportError(k.api, errInFlight)
	}
	req, err := c.request(ctx, k, token)
	if err != nil {
		return transportError(k.api, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return transportError(k.api, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return transportError(k.api, err)
	case len(raw) > maxAnswer:
		return transportError(k.api, fmt.Errorf("%w: longer than 1 MiB", errAnswer))
	case res.StatusCode != http.StatusOK:
		return transportError(k.api, fmt.Errorf("%w: HTTP %d", errAnswer, res.StatusCode))
	}
	var verdict struct {
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
	}
	if decodeJSON(raw, &verdict) != nil {
		return transportError(k.api, fmt.Errorf("%w: not JSON", errAnswer))
	}
	if verdict.Code != 0 {
		return codeError(k.api, verdict.Code, verdict.Message)
	}
	if k.into != nil && decodeJSON(raw, k.into) != nil || k.whole != nil && !k.whole() {
		return transportError(k.api, fmt.Errorf("%w: incomplete", errAnswer))
	}
	return nil
}

func (c *Client) request(ctx context.Context, k call, token Secret) (*http.Request, error) {
	query := url.Values{}
	for name, v := range k.query {
		query[name] = v
	}
	if token != "" {
		query.Set("access_token", token.Reveal())
	}
	target := c.api + k.api
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var body bytes.Buffer
	if k.body != nil {
		e := json.NewEncoder(&body)
		e.SetEscapeHTML(false) // some APIs refuse \u escapes (40033)
		if err := e.Encode(k.body); err != nil {
			return nil, errors.New("the request cannot be written")
		}
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, &body)
	if err != nil {
		return nil, errors.New("the request cannot be made") // its own error quotes the URL
	}
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	return req, nil
}
