package adapter

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio/engineio"
)

// RouterOptions configure a Router. Tag and Advertise are needed.
type RouterOptions struct {
	// Tag names this replica in the session ids it gives out: 2 to 16 characters
	// of [A-Za-z0-9], unique in the cluster. It is opaque to clients; a balancer
	// may route by it (nginx: `map $arg_sid`).
	Tag string
	// Advertise is the host:port at which the other replicas reach this one.
	Advertise string
	// Key is the prefix of the keys in Redis; "" means "socket.io".
	Key string
	// Heartbeat is how often this replica says that it lives; its word counts
	// three times as long. Default 3 s.
	Heartbeat time.Duration
	// DialTimeout bounds connecting to an owner whose machine does not answer at
	// all; a process that is gone refuses at once. Default 1 s: a busy owner is not
	// a dead one.
	DialTimeout time.Duration
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// Router lets any replica serve any request, so that no sticky sessions are
// needed: a polling request or an upgrade that lands on a replica which does not
// hold the session is relayed, over HTTP, to the one that does. The session id
// says which one that is; Redis says where it lives, and whether. The session of a
// dead owner is answered as the protocol answers unknown ones (400, code 1), so
// that clients start over at once.
//
// Give NewID to the engine's GenerateID, put Middleware around the server, and Run
// it beside. All methods are safe for concurrent use.
type Router struct {
	o     RouterOptions
	rdb   redis.UniversalClient
	sid   *regexp.Regexp
	proxy *httputil.ReverseProxy
	twin  int // beats in a row that found another replica under our tag; Run's own

	mu     sync.Mutex
	owners map[string]owner // by tag; bounded by maxOwners
}

// owner is what is known of another replica.
type owner struct {
	addr  string // "" when it is dead
	until time.Time
}

const (
	// relayed marks requests that come from a replica: they are never relayed again.
	relayed = "X-Posthouse-Relay"
	// ownerCached is how long an answer of Redis is believed; a failed connection
	// makes an owner dead for as long.
	ownerCached = time.Second
	// lookup bounds asking Redis where an owner lives: a session is lost if that
	// fails, so a busy Redis gets its time; one that is away refuses at once.
	lookup    = time.Second
	maxOwners = 1024
	idLength  = 20 // of a session id without its tag: 120 random bits
)

// NewRouter returns a router. It starts nothing; see Run.
func NewRouter(rdb redis.UniversalClient, o RouterOptions) (*Router, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9]{2,16}$`).MatchString(o.Tag) {
		return nil, fmt.Errorf("adapter: router tag %q is not 2 to 16 letters and digits", o.Tag)
	}
	if _, _, err := net.SplitHostPort(o.Advertise); err != nil {
		return nil, fmt.Errorf("adapter: router address %q is not host:port", o.Advertise)
	}
	if o.Key == "" {
		o.Key = "socket.io"
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 3 * time.Second
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Router{
		o: o, rdb: rdb, owners: map[string]owner{},
		sid: regexp.MustCompile(`^[A-Za-z0-9_-]{` + strconv.Itoa(idLength) + `}([A-Za-z0-9]{2,16})$`),
	}
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: ownerAddr(p.In.Context())})
			// The owner judges origins and addresses as if the balancer had come to
			// it: everything stays as it was.
			p.Out.Host = p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery // not what net/url can read of it
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"} {
				if values := p.In.Header.Values(name); len(values) > 0 {
					p.Out.Header[name] = values
				}
			}
			p.Out.Header.Set(relayed, o.Tag)
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: o.DialTimeout}).DialContext,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		ErrorHandler:  r.failed,
	}
	return r, nil
}

// NewID returns a session id that names this replica: 20 random characters (120
// bits) and the tag. It fits the engine's GenerateID.
func (r *Router) NewID(*http.Request) (string, error) {
	var b [15]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]) + r.o.Tag, nil
}

// Middleware relays the requests of sessions that other replicas hold, and
// passes everything else on to next.
func (r *Router) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		match := r.sid.FindStringSubmatch(engineio.SessionID(req))
		if match == nil || match[1] == r.o.Tag || req.Header.Get(relayed) != "" {
			next.ServeHTTP(w, req) // ours, or nobody's: the engine answers
			return
		}
		addr := r.find(req.Context(), match[1])
		if addr == "" {
			unknownSession(w)
			return
		}
		r.proxy.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), ownerKey{}, destination{match[1], addr})))
	})
}

type ownerKey struct{}

// destination is where a request is relayed to.
type destination struct{ tag, addr string }

func ownerAddr(ctx context.Context) string {
	t, _ := ctx.Value(ownerKey{}).(destination)
	return t.addr
}

// failed answers for an owner that could not be reached.
func (r *Router) failed(w http.ResponseWriter, req *http.Request, err error) {
	var op *net.OpError
	t, _ := req.Context().Value(ownerKey{}).(destination)
	if errors.As(err, &op) && op.Op == "dial" && !op.Timeout() {
		r.learn(t.tag, "")
		r.o.Logger.Warn("adapter: owner of a session does not answer", "owner", t.tag)
	}
	if req.Context().Err() != nil {
		return // the client left
	}
	unknownSession(w)
}

// unknownSession is the protocol's answer to a session that does not exist
// (Engine.IO, code 1): the client opens a new one.
func unknownSession(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"code":1,"message":"Session ID unknown"}`)
}

// find returns the address of a replica, "" when it is not known to live.
func (r *Router) find(ctx context.Context, tag string) string {
	r.mu.Lock()
	known, ok := r.owners[tag]
	r.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.addr
	}
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	addr, err := r.rdb.Get(ctx, r.key(tag)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		// Redis is away: what was true a moment ago is the best that is known.
		return known.addr
	}
	r.learn(tag, addr)
	return addr
}

func (r *Router) learn(tag, addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.owners) >= maxOwners {
		clear(r.owners) // tags that somebody made up
	}
	r.owners[tag] = owner{addr, time.Now().Add(ownerCached)}
}

func (r *Router) key(tag string) string { return r.o.Key + "-owner#" + tag }

// Run tells the cluster that this replica lives, until ctx ends; then it says
// goodbye. It returns an error when another replica uses the same tag.
func (r *Router) Run(ctx context.Context) error {
	defer r.proxy.Transport.(*http.Transport).CloseIdleConnections()
	tick := time.NewTicker(r.o.Heartbeat)
	defer tick.Stop()
	for {
		if err := r.beat(ctx); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			// A lost goodbye costs its peers one refused connection.
			_ = r.rdb.Del(bye, r.key(r.o.Tag)).Err()
			return nil
		}
	}
}

// beat renews this replica's entry. A twin with the same tag is given the time in
// which a dead one's entry ends.
func (r *Router) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Heartbeat)
	defer cancel()
	addr, err := r.rdb.Get(ctx, r.key(r.o.Tag)).Result()
	if err == nil && addr != r.o.Advertise {
		if r.twin++; r.twin > 4 {
			return fmt.Errorf("adapter: router tag %q is taken by %s", r.o.Tag, addr)
		}
		return nil
	}
	r.twin = 0
	if err == nil || errors.Is(err, redis.Nil) {
		err = r.rdb.Set(ctx, r.key(r.o.Tag), r.o.Advertise, 3*r.o.Heartbeat).Err()
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		r.o.Logger.Warn("adapter: router heartbeat failed", "error", err)
	}
	return nil
}
