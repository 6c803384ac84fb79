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
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/loglimit"
	"posthouse/socketio/engineio"
)

// RelayOptions configure a Relay. Tag and Advertise are needed, and Secrets
// wherever replicas live on several machines.
type RelayOptions struct {
	// Tag names this replica in the session ids it gives out: 2 to 16 characters
	// of [A-Za-z0-9], unique in the cluster. It is opaque to clients; a balancer
	// may route by it (nginx: `map $arg_sid`).
	Tag string
	// Advertise is the host:port at which the other replicas reach this one.
	Advertise string
	// Secrets are known to the replicas alone: not to Redis, whose
	// writers could have requests sent to any host otherwise. Each has 16 bytes at
	// least. Replicas that share one of them trust each other, so that one can be
	// replaced while another stays. Without any, Advertise must be a loopback
	// address, and only such addresses are relayed to.
	Secrets [][]byte
	// Path is the engine's: Engine.Path of socketio.Options; "" means "/socket.io/".
	Path string
	// Headers names further headers that relayed requests and their answers may
	// carry, beside those of HTTP, CORS, WebSocket and proxies that the protocol needs.
	Headers []string
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

// Relay lets any replica serve any request, so that no sticky sessions are
// needed: a polling request or an upgrade that lands on a replica which does not
// hold the session is relayed, over HTTP, to the one that does. The session id
// says which one that is; Redis says where it lives, and whether. The session of a
// dead owner is answered as the protocol answers unknown ones (400, code 1), so
// that clients start over at once.
//
// Give NewID to the engine's GenerateID, put Middleware around the server, and Run
// it beside; Drain it together with the server. All methods are safe for
// concurrent use.
type Relay struct {
	options     RelayOptions
	redisClient redis.UniversalClient
	relayKeys   relayKeys
	sessionID   *regexp.Regexp
	forwarder   *forwarder
	log         *slog.Logger
	counters    relayCounters

	// ownTags are the names of this replica, the current one last. Run may add one.
	ownTags atomic.Pointer[[]string]

	untrustedLines, heartbeatLines, replacedLines loglimit.Limiter

	mu          sync.Mutex              // guards what follows
	ownersByTag map[string]ownerAddress // by tag; bounded by maxOwners
	heldPolls   map[string]*heldPoll    // of this replica's sessions, relayed here
}

// ownerAddress is what is known of another replica.
type ownerAddress struct {
	address    string // "" when it is dead
	validUntil time.Time
}

const (
	// ownerCached is how long an answer of Redis is believed; a failed connection
	// makes an owner dead for as long.
	ownerCached = time.Second
	// lookup bounds asking Redis where an owner lives: a session is lost if that
	// fails, so a busy Redis gets its time; one that is away refuses at once.
	lookup    = time.Second
	maxOwners = 1024
	idLength  = 20 // of a session id without its tag: 120 random bits
)

// NewRelay returns a relay. It starts nothing; see Run.
func NewRelay(rdb redis.UniversalClient, opts *RelayOptions) (*Relay, error) {
	var o RelayOptions
	if opts != nil {
		o = *opts
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]{2,16}$`).MatchString(o.Tag) {
		return nil, fmt.Errorf("adapter: relay tag %q is not 2 to 16 letters and digits", o.Tag)
	}
	if _, _, err := net.SplitHostPort(o.Advertise); err != nil || strings.ContainsAny(o.Advertise, " \t\r\n/?#@") {
		return nil, fmt.Errorf("adapter: relay address %q is not host:port", o.Advertise)
	}
	keys, err := newRelayKeys(o.Secrets)
	if err != nil {
		return nil, err
	}
	if keys.loopbackOnly && !isLoopback(o.Advertise) {
		return nil, fmt.Errorf("adapter: relay address %q needs RelayOptions.Secrets: without a secret that Redis does not know replicas relay to loopback addresses only", o.Advertise)
	}
	if o.Key == "" {
		o.Key = "socket.io"
	}
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if u, err := url.ParseRequestURI(o.Path); err != nil || u.Path != o.Path || u.RawQuery != "" {
		return nil, fmt.Errorf("adapter: relay path %q is not the path of a server", o.Path)
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
	r := &Relay{
		options: o, redisClient: rdb, relayKeys: keys, log: o.Logger,
		sessionID:   regexp.MustCompile(`^[A-Za-z0-9_-]{` + strconv.Itoa(idLength) + `}([A-Za-z0-9]{2,16})$`),
		ownersByTag: map[string]ownerAddress{}, heldPolls: map[string]*heldPoll{},
	}
	r.ownTags.Store(&[]string{o.Tag})
	r.forwarder = newForwarder(r)
	return r, nil
}

// currentTag is the name that new sessions get.
func (r *Relay) currentTag() string {
	tags := *r.ownTags.Load()
	return tags[len(tags)-1]
}

// ownsTag reports whether sessions with that tag are this replica's.
func (r *Relay) ownsTag(tag string) bool { return slices.Contains(*r.ownTags.Load(), tag) }

// NewID returns a session id that names this replica: 20 random characters (120
// bits) and the tag. It fits the engine's GenerateID.
func (r *Relay) NewID(*http.Request) (string, error) {
	var b [15]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]) + r.currentTag(), nil
}

// Middleware relays the requests of sessions that other replicas hold, and
// passes everything else on to next.
func (r *Relay) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mark := req.Header.Get(relayHeader)
		if mark != "" {
			req.Header.Del(relayHeader) // it is for this place only
			if nonce, ok := strings.CutPrefix(mark, markHello+" "); ok && isNonce(nonce) {
				r.answerHello(w, nonce)
				return
			}
		}
		sid := engineio.SessionID(req)
		match := r.sessionID.FindStringSubmatch(sid)
		if match == nil {
			next.ServeHTTP(w, req) // the engine answers
			return
		}
		tag := match[1]
		if r.ownsTag(tag) {
			if mark != "" {
				r.serveRelayed(w, req, next, sid, r.relayKeys.readMark(mark, tag, sid))
				return
			}
			next.ServeHTTP(w, req)
			return
		}
		// A mark for another replica is a client's invention, or comes from a replica
		// that took this one for another: it is no reason to trust the request. A
		// session id that is not spelled plainly is no client's.
		if !r.isRelayable(req) || !strings.Contains(req.URL.RawQuery, "sid="+sid) {
			next.ServeHTTP(w, req)
			return
		}
		addr := r.findOwner(req.Context(), tag)
		if addr == "" {
			r.counters.unknown.Add(1)
			unknownSession(w)
			return
		}
		r.forwarder.serveRelayed(w, req, destination{tag, addr}, sid)
	})
}

// isRelayable reports whether req is one that clients send: the path is the engine's
// own, whose spelling is left no choice, and so is that of the method.
func (r *Relay) isRelayable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodPost, http.MethodOptions:
	default:
		return false
	}
	return strings.TrimSuffix(req.URL.EscapedPath(), "/") == strings.TrimSuffix(r.options.Path, "/")
}

// destination is where a request is relayed to.
type destination struct{ tag, addr string }

// unknownSession is the protocol's answer to a session that does not exist
// (Engine.IO, code 1): the client opens a new one.
func unknownSession(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"code":1,"message":"Session ID unknown"}`)
}

// findOwner returns the address of a replica, "" when it is not known to live.
func (r *Relay) findOwner(ctx context.Context, tag string) string {
	r.mu.Lock()
	known, ok := r.ownersByTag[tag]
	r.mu.Unlock()
	if ok && time.Now().Before(known.validUntil) {
		return known.address
	}
	ctx, cancel := context.WithTimeout(ctx, lookup)
	defer cancel()
	text, err := r.redisClient.Get(ctx, r.entryKey(tag)).Result()
	if errors.Is(err, redis.Nil) {
		r.rememberOwner(tag, "")
		return ""
	}
	if err != nil {
		// Redis is away: what was true a moment ago is the best that is known.
		return known.address
	}
	addr, ok := r.relayKeys.readEntry(tag, text)
	if !ok {
		// Likewise; the owner takes its entry back with its next heartbeat.
		r.reportDistrust("an owner's entry in Redis is not signed by a replica", tag, "")
		addr = known.address
	}
	r.rememberOwner(tag, addr)
	return addr
}

// reportDistrust counts and tells that Redis names a place that is no replica.
func (r *Relay) reportDistrust(why, tag, addr string) {
	r.counters.untrusted.Add(1)
	if _, ok := r.untrustedLines.Allow(); ok {
		r.log.Warn("adapter: not relayed: "+why, "owner", tag, "address", addr,
			"fix", "give all replicas the same RelayOptions.Secrets, and nobody else write access to the keys in Redis", "key", r.entryKey(tag))
	}
}

func (r *Relay) rememberOwner(tag, addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ownersByTag) >= maxOwners {
		clear(r.ownersByTag) // tags that clients made up
	}
	r.ownersByTag[tag] = ownerAddress{addr, time.Now().Add(ownerCached)}
}

func (r *Relay) entryKey(tag string) string { return r.options.Key + "-owner#" + tag }
