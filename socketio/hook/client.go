package hook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"

	"github.com/sony/gobreaker/v2"

	"posthouse/internal/loglimit"
	"posthouse/socketio"
)

// Options configure a Client. URL and Secrets are required.
type Options struct {
	// URL is where everything is posted, http or https. No part of it ever comes from a
	// client.
	URL string
	// Secrets sign the requests: see ParseSecrets.
	Secrets []Secret
	// Events are what is posted: "connect", "disconnect", names of events, and "*" for
	// all events. Default: all three.
	Events []string
	// Timeout bounds each request with its answer. Default 5 s.
	Timeout time.Duration
	// FailOpen lets sockets in when the back end cannot be asked. Default: it refuses
	// them with "unavailable".
	FailOpen bool
	// Concurrency is how many requests may be under way for connects and events.
	// Default 64.
	Concurrency int
	// Retries is how often an event is posted again, with the same webhook-id, when the
	// back end could not be asked: 0 (the default) to 5.
	Retries int
	// Headers names headers of a connection's first request that a connect passes on.
	Headers []string
	// User and Claims tell of a socket what the body holds. Default of User: what a
	// package such as auth, or the answer to connect, stored as "sub"; of Claims: none.
	User   func(s *socketio.Socket) string
	Claims func(s *socketio.Socket) any
	// Replica is the name of this process in the body.
	Replica string
	// Transport makes the requests. Default: one of its own, which keeps connections.
	// Redirects are never followed.
	Transport http.RoundTripper
	// Logger is told why the back end could not be asked. Default slog.Default().
	Logger *slog.Logger
}

// The limits of the protocol (docs/realtime.md §4).
const (
	maxRetries      = 5
	breakerFailures = 5
	breakerPause    = 5 * time.Second
	maxAnswer       = 1 << 20
)

// Client posts to one back end. Safe for concurrent use.
type Client struct {
	current atomic.Pointer[terms]
	log     *slog.Logger
	logged  loglimit.Limiter
	counts  counters
	leaving disconnects
	mu      sync.Mutex // held by Update
}

// terms are the options in force, and what follows from them. The fields are not changed.
type terms struct {
	opts         Options
	ownTransport bool // made here, for the address of URL
	events       map[string]bool
	url          *url.URL
	slots        chan struct{} // one for each request under way
	breaker      *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// Stats counts what a Client did.
type Stats struct {
	Posted      uint64 // requests sent, repeats included
	Failed      uint64 // requests without a usable answer
	Refused     uint64 // not sent: too many under way, or the back end is spared
	Disconnects uint64 // that wait to be posted now
	Dropped     uint64 // disconnects that were given up
}

type counters struct{ posted, failed, refused, dropped atomic.Uint64 }

// New checks the options and returns a Client. It starts nothing and connects to
// nothing. Its error names the option and the fix.
func New(o *Options) (*Client, error) {
	t, err := newTerms(*o)
	if err != nil {
		return nil, err
	}
	if t.opts.Transport == nil {
		t.opts.Transport, t.ownTransport = newTransport(t.opts.Concurrency), true
	}
	c := &Client{log: t.opts.Logger}
	if c.log == nil {
		c.log = slog.Default()
	}
	c.current.Store(t)
	c.leaving.init(c)
	return c, nil
}

func newTerms(opts Options) (*terms, error) {
	u, err := url.Parse(opts.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		shown := "" // of what cannot be read it is not known where a password stands
		if err == nil {
			shown = withoutSecrets(u)
		}
		return nil, fmt.Errorf("hook: URL %q: write a whole http or https URL", shown)
	case len(opts.Secrets) == 0:
		return nil, errors.New("hook: Secrets: at least one is needed")
	case opts.Retries < 0 || opts.Retries > maxRetries:
		return nil, fmt.Errorf("hook: Retries %d: use 0 to %d", opts.Retries, maxRetries)
	}
	if len(opts.Events) == 0 {
		opts.Events = []string{"connect", "disconnect", "*"}
	}
	t := &terms{url: u, events: map[string]bool{}}
	for _, event := range opts.Events {
		t.events[event] = true
	}
	opts.Timeout = cmp.Or(opts.Timeout, 5*time.Second)
	opts.Concurrency = cmp.Or(opts.Concurrency, 64)
	if opts.User == nil {
		opts.User = func(s *socketio.Socket) string {
			user, _ := userKey.Of(s)
			return user
		}
	}
	t.opts = opts
	t.slots = make(chan struct{}, opts.Concurrency)
	t.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     breakerPause,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= breakerFailures },
	})
	return t, nil
}

// Update puts other options in the place of those in force, from the next request on; what
// waits to be posted goes to the new URL with the new secrets. The options User, Claims,
// Replica, Transport and Logger stay those of New. An error changes nothing.
func (c *Client) Update(o *Options) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.current.Load()
	opts, fixed := *o, &before.opts
	opts.User, opts.Claims, opts.Replica, opts.Transport, opts.Logger = fixed.User, fixed.Claims, fixed.Replica, fixed.Transport, fixed.Logger
	t, err := newTerms(opts)
	if err != nil {
		return err
	}
	t.ownTransport = before.ownTransport
	sameAddress := t.url.Scheme == before.url.Scheme && t.url.Host == before.url.Host
	sameBounds := cap(t.slots) == cap(before.slots)
	if sameBounds {
		t.slots = before.slots // the requests under way count
	}
	if sameAddress {
		t.breaker = before.breaker
	}
	replaced := t.ownTransport && !(sameAddress && sameBounds)
	if replaced {
		t.opts.Transport = newTransport(t.opts.Concurrency)
	}
	c.current.Store(t)
	if replaced {
		before.closeIdle()
	}
	return nil
}

// closeIdle lets go of the connections that no request uses.
func (t *terms) closeIdle() {
	if c, ok := t.opts.Transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Notify queues a notice that no socket causes. It is posted as JSON like a disconnect:
// signed, with id as its webhook-id, and again for ten minutes while the back end cannot be
// asked. What the back end answers is ignored. The same id again is a repeat.
func (c *Client) Notify(id string, payload any) error {
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("hook: notify: %w", err)
	}
	c.leaving.addNotice(id, data)
	return nil
}

// Stats returns the counters.
func (c *Client) Stats() Stats {
	return Stats{
		Posted: c.counts.posted.Load(), Failed: c.counts.failed.Load(), Refused: c.counts.refused.Load(),
		Disconnects: uint64(c.leaving.len()), Dropped: c.counts.dropped.Load(),
	}
}

// Shutdown posts the disconnects that wait, each at least once more, and returns when
// none waits any more or ctx ends; those that are left then are dropped and counted. End
// the sockets before: see socketio.Server.Shutdown.
func (c *Client) Shutdown(ctx context.Context) error {
	err := c.leaving.shutdown(ctx)
	c.current.Load().closeIdle()
	return err
}

// wants reports whether an event of clients is posted.
func (t *terms) wants(event string) bool { return t.events["*"] || t.events[event] }

// withoutSecrets is a URL for operators: its user, its password and its query may be secrets.
func withoutSecrets(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// failure tells the operator that the back end could not be asked.
func (c *Client) failure(kind string, err error) {
	if held, ok := c.logged.Allow(); ok {
		c.log.Warn("hook: the back end could not be asked", "url", withoutSecrets(c.current.Load().url), "type", kind, "error", err,
			"left_out", held, "fix", "look at the back end; hook.timeout and hook.concurrency bound each request")
	}
}

var errSpared = errors.New("the back end failed five times in a row and is spared for five seconds")
var errBusy = errors.New("too many requests are under way")

// ask posts b as often as the options allow. Without a usable answer it returns an error,
// and has counted and logged it.
func (c *Client) ask(ctx context.Context, b *body, retries int) (*answer, error) {
	slots := c.current.Load().slots
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	default:
		c.counts.refused.Add(1)
		c.failure(b.Type, errBusy)
		return nil, errBusy
	}
	data, err := b.encode()
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		a, err := c.post(ctx, b.ID, data)
		if err == nil || try >= retries || errors.Is(err, errSpared) || ctx.Err() != nil {
			if err != nil {
				c.failure(b.Type, err)
			}
			return a, err
		}
		if sleep.For(ctx, retryDelay(try)) != nil {
			return nil, err
		}
	}
}

// post makes one request, unless the back end is spared.
func (c *Client) post(ctx context.Context, id string, data []byte) (*answer, error) {
	t := c.current.Load()
	done, err := t.breaker.Allow()
	if err != nil {
		c.counts.refused.Add(1)
		return nil, errSpared
	}
	c.counts.posted.Add(1)
	a, err := t.exchange(ctx, id, data)
	switch {
	case err == nil:
		done(nil)
	case ctx.Err() != nil:
		done(nil) // the client has gone: that says nothing about the back end
		c.counts.failed.Add(1)
	default:
		done(err)
		c.counts.failed.Add(1)
	}
	return a, err
}

// retryDelay is the pause before try+1.
func retryDelay(try int) time.Duration { return 100 * time.Millisecond << min(try, 4) }

// passedOn returns the headers of a connection that a connect carries, by their names in
// Options.
func (c *Client) passedOn(s *socketio.Socket) map[string]string {
	var headers map[string]string
	for _, name := range slices.Compact(slices.Clone(c.current.Load().opts.Headers)) {
		if value := s.Header(name); value != "" {
			if headers == nil {
				headers = map[string]string{}
			}
			headers[name] = value
		}
	}
	return headers
}
