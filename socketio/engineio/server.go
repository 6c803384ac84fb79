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
	o              Options
	handler        http.Handler // the middlewares around serve
	upgradesJSON   []byte       // JSON, of the polling handshake
	wsFormat       *ws.Format
	deflateOptions *ws.DeflateOptions
	sessionCookie  *http.Cookie // nil: none
	log            *slog.Logger

	flusher     *flusher
	slowLog     loglimit.Limiter
	excessBytes atomic.Int64 // see backlog
	loopGroup   netpoll.Group
	heartbeats  heartbeatQueues
	counters    counters

	compressFrom  int       // bytes; negative: never
	pollPool      sync.Pool // of *poll
	workers       workers.Pool
	shutdownBegun atomic.Bool // Shutdown has begun; set with mu
	shutdownHook  sync.Once   // of Options.OnShutdown

	mu              sync.Mutex // guards what follows
	sessions        map[string]*Session
	formerReceived  traffic // of the sessions that have ended
	formerSent      traffic
	isDraining      bool                  // no new sessions
	httpServers     map[*http.Server]bool // see Serve
	unfinishedCount int                   // sessions and goroutines not finished
	allFinished     chan struct{}         // closed when running reaches 0 while closing
}

const (
	transportPolling      = "polling"
	transportWebSocket    = "websocket"
	transportWebTransport = "webtransport"
)

// NewServer returns a server that is ready to serve. It starts nothing. It
// panics when Options.Cookie is no valid cookie: New returns the error.
func NewServer(o *Options) *Server {
	srv, err := New(o)
	if err != nil {
		panic(err)
	}
	return srv
}

// New is NewServer with the error of Options.Cookie and Options.PerMessageDeflate.
func New(o *Options) (*Server, error) {
	srv := &Server{sessions: make(map[string]*Session), allFinished: make(chan struct{})}
	if o != nil {
		srv.o = *o
	}
	srv.pollPool.New = newPoll
	srv.flusher = newFlusher(srv)
	srv.o.setDefaults()
	srv.log = srv.o.Logger
	srv.wsFormat = ws.NewFormat(&ws.Limits{
		MaxMessage: int(srv.o.MaxPayload), MaxControl: srv.o.controlFrames(), MaxFragments: srv.o.MaxFragments,
	})
	srv.upgradesJSON = srv.o.upgradesJSON()
	if err := srv.setCompression(); err != nil {
		return nil, err
	}
	var err error
	if srv.sessionCookie, err = cookieTemplate(srv.o.Cookie); err != nil {
		return nil, err
	}
	srv.handler = srv.chain(srv.serve)
	srv.heartbeats.init(srv.o.PingInterval, srv.o.PingTimeout)
	srv.loopGroup = netpoll.NewGroup(srv.track, srv.done)
	return srv, nil
}

func (srv *Server) setCompression() error {
	if d := srv.o.PerMessageDeflate; d != nil {
		if n := d.ContextTakeover; n != 0 && (n < ws.MinHistory || n > ws.MaxHistory || n&(n-1) != 0) {
			return fmt.Errorf("engineio: PerMessageDeflate.ContextTakeover is %d: not 0 and no power of two from %d to %d", n, ws.MinHistory, ws.MaxHistory)
		}
		srv.deflateOptions = &ws.DeflateOptions{Threshold: d.Threshold, Level: d.Level, History: d.ContextTakeover}
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
	return nil
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
	a := arrivalOf(r)
	s, e := srv.verify(r, &q, a)
	if a != nil && a.s != s {
		a = nil // the query names another session than it seemed to
	}
	switch {
	case e != nil:
		srv.refuse(w, r, e)
	case IsUpgrade(r):
		srv.serveWebSocket(w, r, &q, s)
	case s == nil:
		srv.servePollingHandshake(w, r, &q)
	case r.Method == http.MethodGet:
		s.serveGET(w, r, a)
	case r.Method == http.MethodPost:
		s.servePOST(w, r, a)
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
	srv.isDraining = true
}

// Shutdown refuses new sessions as Drain does, closes all open ones and waits until they are
// gone or ctx ends. It is idempotent.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.beginShutdown()
	defer srv.workers.Close()
	select {
	case <-srv.allFinished:
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
	srv.isDraining = true
	srv.shutdownBegun.Store(true)
	srv.settle()
	all := srv.listSessionsLocked()
	srv.mu.Unlock()
	for _, s := range all {
		s.Discard()
	}
	if l := srv.loopGroup.Ordered(); l != nil {
		// Connections between requests look whether the server is closing.
		l.WakeMatching(func(netpoll.Handler) bool { return true })
	}
}

// track counts one more thing that Shutdown waits for.
func (srv *Server) track() {
	srv.mu.Lock()
	srv.unfinishedCount++
	srv.mu.Unlock()
}

func (srv *Server) done() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.unfinishedCount--
	srv.settle()
}

// settle closes idle when everything is finished; mu is held. A connection that
// comes out of net/http too late for its session may make it run again.
func (srv *Server) settle() {
	if srv.unfinishedCount > 0 || !srv.shutdownBegun.Load() {
		return
	}
	select {
	case <-srv.allFinished:
	default:
		close(srv.allFinished)
	}
}

// admit registers a session, which counts until it is finished; false while
// draining, or when the id is taken.
func (srv *Server) admit(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, taken := srv.sessions[s.id]; taken || srv.isDraining {
		return false
	}
	srv.sessions[s.id] = s
	srv.counters.sessionOpened(s.transportLocked()) // no other goroutine has the session yet
	srv.unfinishedCount++
	return true
}

// leaving reports whether new sessions are refused.
func (srv *Server) leaving() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.isDraining
}

// listSessionsLocked returns the sessions; mu is held.
func (srv *Server) listSessionsLocked() []*Session {
	all := make([]*Session, 0, len(srv.sessions)) // one piece of memory: there may be 100 000
	return slices.AppendSeq(all, maps.Values(srv.sessions))
}

// forget removes a session that has ended; Session.mu is held.
func (srv *Server) forget(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s.id)
	srv.formerReceived.add(s.received)
	srv.formerSent.add(s.sent)
}

func (srv *Server) session(id string) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sessions[id]
}
