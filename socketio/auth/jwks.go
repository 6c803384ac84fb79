package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The rules of the cache (docs/realtime.md §2).
const (
	minKeyAge    = 5 * time.Minute
	maxKeyAge    = 24 * time.Hour
	unknownEvery = 30 * time.Second // between refreshes for unknown kids
	retryEvery   = 5 * time.Second  // between refreshes while they fail
	fetchTimeout = 5 * time.Second
)

// JWKSOptions configure a JWKS. Nil means the defaults.
type JWKSOptions struct {
	// Client fetches the keys. Default: a client of its own. Redirects are not
	// followed whatever the client says.
	Client *http.Client
	// Logger is told when the issuer cannot be reached. Default slog.Default().
	Logger *slog.Logger
}

// JWKS is a KeySource that fetches a JSON Web Key Set and keeps it as long as its
// Cache-Control says, but 5 minutes at least and 24 hours at most. One refresh runs
// at a time, an unknown kid causes at most one in 30 seconds, and while the issuer is
// away the keys that are known stay in use.
//
// The libraries for this (jwkset, httprc) refresh by interval or by their own
// goroutines and bound neither the refreshes for unknown kids nor count stale answers:
// the cache is this package's own, the keys are parsed by jwkset.
type JWKS struct {
	url    string
	client *http.Client
	log    *slog.Logger

	mu          sync.Mutex // guards the fields below; not held while the issuer is asked
	keys        Keys
	fetched     bool          // keys are those of an answer
	expires     time.Time     // of keys
	retry       time.Time     // no refresh before: the last one failed
	unknown     time.Time     // when an unknown kid last caused a refresh
	refreshing  chan struct{} // closed when the refresh under way has ended; nil: none
	lastErr     error         // of the last refresh
	failures    uint64
	staleServed uint64
}

// JWKSStats counts what operators should see of a JWKS.
type JWKSStats struct {
	Failures uint64 // refreshes that failed
	Stale    uint64 // tokens judged with keys that should have been refreshed
}

// NewJWKS returns the key set at a URL: https, or http on a loopback address. It asks
// nothing yet.
func NewJWKS(address string, o *JWKSOptions) (*JWKS, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("auth: JWKS URL %q is malformed or holds credentials", redacted(u))
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, fmt.Errorf("auth: JWKS URL %q must be https (http on loopback only)", address)
	}
	var opts JWKSOptions
	if o != nil {
		opts = *o
	}
	client := http.Client{}
	if opts.Client != nil {
		client = *opts.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return &JWKS{url: u.String(), client: &client, log: opts.Logger}, nil
}

func redacted(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Redacted()
}

// withoutQuery is a URL for the log: its query may hold a secret.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Stats returns the counters.
func (j *JWKS) Stats() JWKSStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return JWKSStats{Failures: j.failures, Stale: j.staleServed}
}

// Err returns why the last refresh failed; nil when it went well, or none was needed yet.
func (j *JWKS) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lastErr
}

// Find returns the keys of a kid; it may fetch the key set first.
func (j *JWKS) Find(ctx context.Context, kid string) ([]Key, error) {
	for asked := false; ; asked = true {
		j.mu.Lock()
		now := time.Now()
		found, _ := j.keys.Find(ctx, kid)
		stale := !now.Before(j.expires)
		switch {
		case len(found) > 0 && !stale:
			j.mu.Unlock()
			return found, nil
		case len(found) > 0 && (asked || j.refreshing != nil || now.Before(j.retry)):
			j.staleServed++ // the issuer is away or slow
			j.mu.Unlock()
			return found, nil
		case asked || now.Before(j.retry) || !stale && now.Sub(j.unknown) < unknownEvery:
			fetched := j.fetched
			j.mu.Unlock()
			if !fetched {
				return nil, ErrUnavailable
			}
			return nil, nil
		}
		wait := j.refreshing
		if wait == nil {
			if !stale {
				j.unknown = now
			}
			wait = make(chan struct{})
			j.refreshing = wait
			j.mu.Unlock()
			j.refresh(ctx, wait)
			continue
		}
		j.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
}

// refresh fetches the keys for all who wait; the end of the one client that caused it
// does not end it.
func (j *JWKS) refresh(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, age, err := j.fetch(ctx)
	j.mu.Lock()
	now := time.Now()
	j.lastErr = err
	if err == nil {
		j.keys, j.fetched, j.expires, j.retry = keys, true, now.Add(age), time.Time{}
	} else {
		j.failures++
		j.retry = now.Add(retryEvery)
	}
	j.refreshing = nil
	failures, stale := j.failures, j.staleServed
	j.mu.Unlock()
	close(done)
	if err != nil { // at most one line in retryEvery
		j.log.Warn("auth: keys not refreshed", "url", withoutQuery(j.url), "error", err, "failures", failures,
			"staleAnswers", stale, "fix", "make the JWKS URL reachable from this host")
	}
}

var errNoKeys = errors.New("the set holds no usable key")
