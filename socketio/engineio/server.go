package engineio

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/loglimit"
	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/ws"
	"posthouse/socketio/internal/answer"
	"posthouse/socketio/internal/workers"
)

// Server is an Engine.IO server; it is an http.Handler.
type Server struct {
	o        Options
	handler  http.Handler // the middlewares around serve
	upgrades []byte       // JSON, of the polling handshake
	format   *ws.Format
	deflate  *ws.DeflateOptions
	cookie   *http.Cookie // nil: none
	log      *slog.Logger

	flusher    flusher
	slowLog    loglimit.Limiter
	excess     atomic.Int64 // see backlog
	loops      netpoll.Group
	heartbeats heartbeatQueues

	compressFrom int       // bytes; negative: never
	polls        sync.Pool // of *poll
	workers      workers.Pool
	closing      atomic.Bool // Shutdown has begun; set with mu
	shutdownHook sync.Once   // of Options.OnShutdown

	mu       sync.Mutex // guards what follows
	sessions map[string]*Session
	draining bool                  // no new sessions
	serving  map[*http.Server]bool // see Serve
	running  int                   // sessions and goroutines not finished
	idle     chan struct{}         // closed when running reaches 0 while closing
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
	srv.flusher.srv = srv
	srv.o.setDefaults()
	srv.log = srv.o.Logger
	srv.format = ws.NewFormat(&ws.Limits{
		MaxMessage: int(srv.o.MaxPayload), MaxControl: srv.o.controlFrames(), MaxFragments: srv.o.MaxFragments,
	})
	srv.upgrades = srv.o.upgradesJSON()
	srv.setCompression()
	var err error
	if srv.cookie, err = cookieTemplate(srv.o.Cookie); err != nil {
		panic(err)
	}
	srv.handler = srv.chain(srv.serve)
	srv.heartbeats.init(srv.o.PingInterval, srv.o.PingTimeout)
	srv.loops = netpoll.NewGroup(srv.track, srv.done)
	return srv
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

// ServeHTTP serves the requests below Options.Path, and 404 for the rest.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if srv.o.BodyTimeout > 0 && mayStall(r) {
		serveTimed(http.HandlerFunc(srv.route), w, r, srv.o.BodyTimeout, time.Time{})
		return
	}
	srv.route(w, r)
}

func (srv *Server) route(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.EscapedPath(), srv.o.Path) {
		answer.Begin(w, srv.o.patience())
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		answer.Begin(w, srv.o.patience()) // CORS may answer, or serve
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
	case IsUpgrade(r):
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

// Drain refuses new sessions from now on: 503 with Retry-After, so that clients and
// load balancers try elsewhere. Sessions that exist go on, upgrades too, until they
// end or Shutdown ends them.
func (srv *Server) Drain() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.draining = true
}

// Shutdown refuses new sessions as Drain does, closes all open ones and waits until they are
// gone or ctx ends. It is idempotent.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.beginShutdown()
	defer srv.workers.Close()
	select {
	case <-srv.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engineio: shutdown: %w", ctx.Err())
	}
}

// beginShutdown is Shutdown without the waiting. It is idempotent.
func (srv *Server) beginShutdown() {
	if srv.o.OnShutdown != nil {
		srv.shutdownHook.Do(srv.o.OnShutdown)
	}
	srv.mu.Lock()
	srv.draining = true
	srv.closing.Store(true)
	srv.settle()
	all := slices.Collect(maps.Values(srv.sessions))
	srv.mu.Unlock()
	for _, s := range all {
		s.Discard()
	}
	if l := srv.loops.Ordered(); l != nil {
		// Connections between requests look whether the server is closing.
		l.WakeMatching(func(netpoll.Handler) bool { return true })
	}
}

// track counts one more thing that Shutdown waits for.
func (srv *Server) track() {
	srv.mu.Lock()
	srv.running++
	srv.mu.Unlock()
}

func (srv *Server) done() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.running--
	srv.settle()
}

// settle closes idle when everything is finished; mu is held. A connection that
// comes out of net/http too late for its session may make it run again.
func (srv *Server) settle() {
	if srv.running > 0 || !srv.closing.Load() {
		return
	}
	select {
	case <-srv.idle:
	default:
		close(srv.idle)
	}
}

// admit registers a session, which counts until it is finished; false while
// draining, or when the id is taken.
func (srv *Server) admit(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, taken := srv.sessions[s.id]; taken || srv.draining {
		return false
	}
	srv.sessions[s.id] = s
	srv.running++
	return true
}

// leaving reports whether new sessions are refused.
func (srv *Server) leaving() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.draining
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
