package engineio

import (
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"posthouse/socketio/internal/answer"
)

// Options configures a Server; it is read once, by NewServer. The zero value of
// a field means Node's default. Functions are called on the goroutines of the
// requests, so several at a time.
type Options struct {
	// Accept is called for each new session, after the open packet was queued
	// and before any message is delivered. It returns the handler of the
	// session; an error refuses the client with 403, and is not shown to it. r is
	// valid only during the call: copy what is needed.
	Accept func(s *Session, r *http.Request) (Handler, error)

	// Path is what the path of a request must begin with, default "/engine.io/".
	// A trailing slash is added.
	Path string
	// NoTrailingSlash leaves the slash away (addTrailingSlash: false).
	NoTrailingSlash bool
	// Transports lists what is enabled, default "polling" and "websocket".
	Transports []string
	// DisallowUpgrades announces no upgrade to clients that poll.
	DisallowUpgrades bool
	// AllowEIO3 serves clients of revision 3 too (those of Socket.IO v1 and v2).
	AllowEIO3 bool
	// JSONP serves clients that load answers as scripts (docs/protocol.md §1.10). Node does; here it is off, because a script can be loaded
	// by any page.
	JSONP bool

	// PingInterval is the time from a pong to the next ping, default 25 s.
	PingInterval time.Duration
	// PingTimeout is how long a pong may take, default 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout is how long an upgrade may take, default 10 s.
	UpgradeTimeout time.Duration
	// WriteTimeout is how long a peer may take no byte of what is written to it, and
	// one that polls may leave more than MaxBuffered bytes unfetched, default 10 s;
	// negative: as long as the heartbeat allows. (An answer of an http.Server that
	// Serve does not serve must be taken by 16 KiB in that time.) Polls have this
	// time for their answers, and http.Server.WriteTimeout and ReadTimeout do not
	// cut them while they wait.
	WriteTimeout time.Duration
	// BodyTimeout is how long no byte of a request's body may come, default 10 s;
	// each byte moves that deadline. Besides, at least 1 KB/s on average must come
	// after the first 2 s, so that a body takes MaxPayload / 1 KB/s at most. Where
	// http.Server.ReadTimeout ends earlier, this replaces it. Negative: no limit.
	BodyTimeout time.Duration

	// MaxPayload is the size of a message, and of the body of a POST, in bytes;
	// default 1e6. Clients are told.
	MaxPayload int64
	// MaxBuffered is how many bytes may wait for a peer that takes nothing, default
	// 1 MiB, at least MaxPayload. When more wait and the peer has taken nothing for
	// WriteTimeout (a client that polls: has fetched nothing), the session is closed
	// with ErrSlow.
	MaxBuffered int
	// MaxBacklog is how many bytes may wait for any peer, default 16 × MaxBuffered.
	// Beyond, the session is closed with ErrSlow at once. All sessions together may
	// keep 16 × MaxBacklog above their MaxBuffered; while that is used up,
	// MaxBuffered takes the place of MaxBacklog.
	MaxBacklog int
	// MaxFragments is the number of frames in which one WebSocket message may come,
	// default 1024, or one for each KiB of MaxPayload when that is more.
	MaxFragments int
	// MaxControl is the number of packets and WebSocket frames without a message
	// (pings, pongs and their like) that a session may send within a second,
	// default 10 or twice what the heartbeat needs. More are dropped, ten times
	// as many close the session. Negative: no limit.
	MaxControl int

	// AllowRequest decides about new sessions, whatever the transport; it is not
	// asked about upgrades. The text of its error is the answer's message.
	AllowRequest func(r *http.Request) error
	// AnyOrigin takes requests from pages of every origin, as Node does. Without
	// it a request that names a foreign origin which CORS does not allow is
	// refused with 403.
	AnyOrigin bool
	// CORS lets pages of other origins in; nil: none.
	CORS *CORS
	// Middlewares stand before everything but CORS, the first one outermost, for
	// every request of every transport. See RefuseRequest.
	Middlewares []func(http.Handler) http.Handler

	// ConnLimiter decides which TCP connections Serve keeps; nil: all.
	ConnLimiter ConnLimiter

	// OnShutdown is called once, before the end of the sessions: when Shutdown begins,
	// or Shutdown of the http.Server that Serve serves. It must not call Shutdown.
	OnShutdown func()

	// InitialPacket is a message that every session gets with the open packet.
	InitialPacket *Message
	// Cookie has the name (default "io") and the attributes (default path "/",
	// SameSite=Lax; always HttpOnly) of a cookie with the session id, which the
	// answer to a polling handshake sets; nil: none.
	Cookie *http.Cookie
	// HTTPCompression configures the compression of polling answers; nil: on,
	// from 1024 bytes.
	HTTPCompression *HTTPCompression
	// PerMessageDeflate turns the compression of WebSockets on; nil: off.
	PerMessageDeflate *PerMessageDeflate
	// GenerateID makes the session ids, which must be unique and hard to guess;
	// nil: 120 random bits.
	GenerateID func(r *http.Request) (string, error)

	// OnConnectionError learns of every refused request.
	OnConnectionError func(*ConnectionError)
	// OnSessionEnd learns of every session that has ended, before its handler does. The
	// description of the session is valid only during the call, which must not block.
	OnSessionEnd func(*SessionEnd)
	// OnFlush is told how long messages waited, of about every sixteenth send: from the
	// send until nothing waits for that peer any more. It is called with a lock held and must
	// not block or call the session.
	OnFlush func(took time.Duration)
	// OnInitialHeaders may change the headers of the answer that opens a session,
	// OnHeaders those of every answer but refusals.
	OnInitialHeaders func(h http.Header, r *http.Request)
	OnHeaders        func(h http.Header, r *http.Request)
	// Logger gets what no peer is told, such as panics of handlers; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	setDefault(&o.Path, "/engine.io")
	o.Path = strings.TrimSuffix(o.Path, "/")
	if !o.NoTrailingSlash {
		o.Path += "/"
	}
	if o.Transports == nil {
		o.Transports = []string{transportPolling, transportWebSocket}
	}
	setDefault(&o.PingInterval, 25*time.Second)
	setDefault(&o.PingTimeout, 20*time.Second)
	setDefault(&o.UpgradeTimeout, 10*time.Second)
	setDefault(&o.WriteTimeout, 10*time.Second)
	setDefault(&o.BodyTimeout, 10*time.Second)
	setDefault(&o.MaxControl, max(10, 2*int(time.Second/o.PingInterval)))
	setDefault(&o.MaxPayload, 1e6)
	setDefault(&o.MaxBuffered, 1<<20)
	o.MaxBuffered = max(o.MaxBuffered, int(o.MaxPayload))
	setDefault(&o.MaxBacklog, 16*o.MaxBuffered)
	o.MaxBacklog = max(o.MaxBacklog, o.MaxBuffered)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// patience is how long a peer may take nothing of an answer.
func (o *Options) patience() time.Duration { return answer.Patience(o.WriteTimeout, o.PingTimeout) }

// upgradesJSON lists what a polling session may upgrade to.
func (o *Options) upgradesJSON() []byte {
	list := []string{}
	for _, t := range []string{transportWebSocket, transportWebTransport} {
		if !o.DisallowUpgrades && slices.Contains(o.Transports, t) {
			list = append(list, t)
		}
	}
	b, _ := json.Marshal(list) // strings only
	return b
}

// controlFrames is MaxControl in the terms of the WebSocket layer, which always
// has a limit.
func (o *Options) controlFrames() int {
	if o.MaxControl < 0 {
		return math.MaxInt32 / 10
	}
	return o.MaxControl
}
