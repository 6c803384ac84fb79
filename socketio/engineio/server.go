package engineio

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// Options configures a Server. The zero value of a field means Node's default.
type Options struct {
	// Accept is called for each new session, after the open packet was queued
	// and before any message is delivered. It returns the handler of the
	// session. r is valid only during the call: copy what is needed.
	Accept func(s *Session, r *http.Request) (Handler, error)

	Path              string        // default "/engine.io/"; "/socket.io/" when under socketio
	Transports        []string      // default polling, websocket
	PingInterval      time.Duration // default 25 s
	PingTimeout       time.Duration // default 20 s
	UpgradeTimeout    time.Duration // default 10 s
	MaxPayload        int64         // bytes, default 1e6
	MaxBuffered       int           // bytes waiting for a slow peer, default 1 MiB (at least MaxPayload)
	DisallowUpgrades  bool
	AllowEIO3         bool
	AllowRequest      func(r *http.Request) error
	Middlewares       []func(http.Handler) http.Handler
	CORS              *CORS
	InitialPacket     *Message
	Cookie            *http.Cookie // name and attributes of the handshake cookie; nil = none
	HTTPCompression   *HTTPCompression
	PerMessageDeflate *PerMessageDeflate
	GenerateID        func(r *http.Request) (string, error)
	OnConnectionError func(*ConnectionError)
	OnInitialHeaders  func(h http.Header, r *http.Request)
	OnHeaders         func(h http.Header, r *http.Request)
	Logger            *slog.Logger

	// WriteTimeout is how long a WebSocket peer may take no byte of what is
	// written to it, default 10 s; negative: as long as the heartbeat allows.
	WriteTimeout time.Duration
	// MaxPackets is the number of packets in one polling payload, default 1000;
	// negative: no limit.
	MaxPackets int
	// BodyTimeout is how long the body of a POST may take, default 10 s, in
	// which at least 1 KB/s must arrive after the first 2 s; negative: no limit.
	BodyTimeout time.Duration
	// MaxControl is the number of packets and WebSocket frames without a message
	// (pings, pongs and their like) that a session may send within a second,
	// default 10 or twice what the heartbeat needs. More are dropped, ten times
	// as many close the session.
	MaxControl int
	// JSONP serves clients that load answers as scripts (section 1.10 of the
	// protocol notes). Node does; here it is off, because a script can be loaded
	// by any page.
	JSONP bool
	// AnyOrigin takes requests from pages of every origin, as Node does. Without
	// it a request that names a foreign origin which CORS does not allow is
	// refused with 403.
	AnyOrigin bool
	// NoTrailingSlash takes requests whose path merely begins with Path
	// (addTrailingSlash: false).
	NoTrailingSlash bool
}

// Server is an Engine.IO server; it is an http.Handler.
type Server struct {
	o        Options
	handler  http.Handler // the middlewares around serve
	upgrades []byte       // JSON, of the polling handshake
	format   *ws.Format
	deflate  *ws.DeflateOptions
	cookie   *http.Cookie // nil: none
	log      *slog.Logger

	flusher flusher

	compressFrom int       // bytes; negative: never
	polls        sync.Pool // of *poll

	mu       sync.Mutex // guards what follows
	sessions map[string]*Session
	closing  bool
	running  int           // sessions and goroutines not finished
	idle     chan struct{} // closed when running reaches 0 while closing
}

const (
	transportPolling      = "polling"
	transportWebSocket    = "websocket"
	transportWebTransport = "webtransport"
)

// NewServer returns a server that is ready to serve. It starts nothing. It
// panics when Options.Cookie is no valid cookie.
func NewServer(o *Options) *Server {
	srv := &Server{sessions: make(map[string]*Session), idle: make(chan struct{})}
	if o != nil {
		srv.o = *o
	}
	srv.polls.New = newPoll
	srv.o.setDefaults()
	srv.log = srv.o.Logger
	srv.format = ws.NewFormat(&ws.Limits{MaxMessage: int(srv.o.MaxPayload), MaxControl: srv.o.controlFrames()})
	srv.upgrades = srv.o.upgradesJSON()
	srv.setCompression()
	var err error
	if srv.cookie, err = cookieTemplate(srv.o.Cookie); err != nil {
		panic(err)
	}
	srv.handler = srv.chain(srv.serve)
	return srv
}

// controlFrames is MaxControl in the terms of the WebSocket layer, which always
// has a limit.
func (o *Options) controlFrames() int {
	if o.MaxControl < 0 {
		return math.MaxInt32 / 10
	}
	return o.MaxControl
}

func (srv *Server) setCompression() {
	if d := srv.o.PerMessageDeflate; d != nil {
		srv.deflate = &ws.DeflateOptions{Threshold: d.Threshold, Level: d.Level}
	}
	srv.compressFrom = 1024
	if c := srv.o.HTTPCompression; c != nil {
		if c.Threshold != 0 {
			srv.compressFrom = max(c.Threshold, 0)
		}
		if c.Disabled {
			srv.compressFrom = -1
		}
	}
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
	setDefault(&o.MaxPackets, 1000)
	setDefault(&o.BodyTimeout, 10*time.Second)
	setDefault(&o.MaxControl, max(10, 2*int(time.Second/o.PingInterval)))
	setDefault(&o.MaxPayload, 1e6)
	setDefault(&o.MaxBuffered, 1<<20)
	o.MaxBuffered = max(o.MaxBuffered, int(o.MaxPayload))
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

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

// ServeHTTP serves the requests below Options.Path, and 404 for the rest.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.EscapedPath(), srv.o.Path) {
		http.NotFound(w, r)
		return
	}
	srv.handler.ServeHTTP(w, r)
}

// serve is what the middlewares stand around.
func (srv *Server) serve(w http.ResponseWriter, r *http.Request) {
	q := parseQuery(r.URL.RawQuery)
	s, e := srv.verify(r, &q)
	switch {
	case e != nil:
		srv.refuse(w, r, e)
	case isUpgrade(r):
		srv.serveWebSocket(w, r, &q, s)
	case s == nil:
		srv.servePollingHandshake(w, r, &q)
	case r.Method == http.MethodGet:
		s.serveGET(w, r)
	case r.Method == http.MethodPost:
		s.servePOST(w, r)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// ClientsCount returns the number of open sessions.
func (srv *Server) ClientsCount() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.sessions)
}

// Shutdown refuses new sessions, closes all open ones and waits until they are
// gone or ctx ends. It is idempotent.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	if !srv.closing {
		srv.closing = true
		if srv.running == 0 {
			close(srv.idle)
		}
	}
	all := slices.Collect(maps.Values(srv.sessions))
	srv.mu.Unlock()
	for _, s := range all {
		s.Discard()
	}
	select {
	case <-srv.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engineio: shutdown: %w", ctx.Err())
	}
}

// track counts one more thing that Shutdown waits for. Only what is counted
// itself may call it, so that the count never rises from 0 while closing.
func (srv *Server) track() {
	srv.mu.Lock()
	srv.running++
	srv.mu.Unlock()
}

func (srv *Server) done() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.running--; srv.running == 0 && srv.closing {
		close(srv.idle)
	}
}

// admit registers a session, which counts until it is finished; false while
// shutting down, or when the id is taken.
func (srv *Server) admit(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, taken := srv.sessions[s.id]; taken || srv.closing {
		return false
	}
	srv.sessions[s.id] = s
	srv.running++
	return true
}

func (srv *Server) shuttingDown() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.closing
}

func (srv *Server) forget(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s.id)
}

func (srv *Server) session(id string) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sessions[id]
}
