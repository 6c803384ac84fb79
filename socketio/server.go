package socketio

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"posthouse/internal/loglimit"

	"posthouse/internal/taskgroup"

	"posthouse/socketio/engineio"
	"posthouse/socketio/internal/answer"
	"posthouse/socketio/internal/workers"
)

// logLines is how many lines of a kind that clients can cause are written within
// loglimit.Interval.
const logLines = 10

// Server is a Socket.IO server: an http.Handler to mount at Options.Engine.Path.
// It is its own main namespace, "/".
type Server struct {
	*Namespace // "/"

	options       Options
	engineServer  *engineio.Server
	log           *slog.Logger
	textCodec     textCodec // the codec, if it is one; else nil
	ctx           context.Context
	stop          context.CancelCauseFunc
	eventRate     *eventRate // of namespaces without one of their own
	clientFiles   *clientFiles
	liveTasks     taskgroup.Group // sockets and attempts that have not come to their end
	workers       workers.Pool
	closing       atomic.Bool
	panicLines    loglimit.Limiter // lines of panics
	refusalFloods loglimit.Limiter // lines of Limits.RefusedConnects
	eventFloods   loglimit.Limiter // lines of Limits.EventsPerSecond
	counters      counters

	socketDetails atomic.Pointer[[]socketDetail] // see AddDetail; copied on write under mu

	mu               sync.Mutex // guards what follows
	namespacesByName map[string]*namespaceEntry
	parentNamespaces []*ParentNamespace
	onNamespace      []func(*Namespace)
	shutdownCalled   bool
	formerTraffic    NamespaceStats // of namespaces that are gone
}

// NewServer returns a server that is ready to serve. It starts nothing. It
// panics when the adapter of the main namespace cannot be made, or Engine.Cookie is no
// valid cookie: New returns these errors.
func NewServer(o *Options) *Server {
	s, err := New(o)
	if err != nil {
		panic(err)
	}
	return s
}

// New is NewServer with the error of Options.NewAdapter or Options.Engine.
func New(o *Options) (*Server, error) {
	s := &Server{
		options: o.withDefaults(), namespacesByName: map[string]*namespaceEntry{},
		panicLines: loglimit.Limiter{Burst: logLines}, refusalFloods: loglimit.Limiter{Burst: logLines}, eventFloods: loglimit.Limiter{Burst: logLines},
	}
	s.log = s.options.Logger
	s.eventRate = newEventRate(s.options.Limits.EventsPerSecond, s.options.Limits.EventsBurst)
	s.textCodec, _ = s.options.Codec.(textCodec)
	// The lifetime of the server, which no request has.
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.options.Engine.Accept = s.acceptSession
	ended := s.options.Engine.OnShutdown
	s.options.Engine.OnShutdown = func() {
		s.endSockets()
		if ended != nil {
			ended()
		}
	}
	var err error
	if s.engineServer, err = engineio.New(&s.options.Engine); err != nil {
		return nil, err
	}
	s.clientFiles = newBundles(s.options.Bundles, answer.Patience(s.options.Engine.WriteTimeout, s.options.Engine.PingTimeout))
	if s.Namespace, err = s.findOrMake("/", nil, false); err != nil {
		return nil, err
	}
	return s, nil
}

// Engine returns the Engine.IO server below.
func (s *Server) Engine() *engineio.Server { return s.engineServer }

// ServeHTTP serves the engine and, if configured, the client bundles.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.clientFiles != nil {
		if name, ok := strings.CutPrefix(r.URL.Path, s.options.Engine.Path); ok && s.clientFiles.serveFile(w, r, name) {
			return
		}
	}
	s.engineServer.ServeHTTP(w, r)
}

// Serve accepts the connections of ln and serves them with hs, as hs.Serve(ln)
// does, with a fast path where the system has one. Shutdown of hs disconnects the
// sockets too; Shutdown of this server, which also closes the adapters, may come
// before or after it. See engineio.Server.Serve.
func (s *Server) Serve(ln net.Listener, hs *http.Server) error { return s.engineServer.Serve(ln, hs) }

// ServeTLS is Serve with TLS (see engineio.Server.ServeTLS).
func (s *Server) ServeTLS(ln net.Listener, hs *http.Server, certFile, keyFile string) error {
	return s.engineServer.ServeTLS(ln, hs, certFile, keyFile)
}

// Of returns the namespace of that name and creates it when needed; a missing
// leading slash is added. It panics when the adapter cannot be made: TryOf
// returns the error.
func (s *Server) Of(name string) *Namespace {
	n, err := s.TryOf(name)
	if err != nil {
		panic(err)
	}
	return n
}

// TryOf is Of with the error of Options.NewAdapter.
func (s *Server) TryOf(name string) (*Namespace, error) {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if s.hasNamespace(name) {
		return s.findOrMake(name, nil, false)
	}
	return s.findOrMake(name, s.parentFor(s.ctx, name, emptyObject), false)
}

// Namespaces returns the namespaces that exist now, sorted by name.
func (s *Server) Namespaces() []*Namespace {
	all := s.listNamespaces()
	slices.SortFunc(all, func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
	return all
}

// OnNamespace calls fn for every namespace made from now on, before it has
// sockets.
func (s *Server) OnNamespace(fn func(*Namespace)) {
	s.mu.Lock()
	s.onNamespace = append(s.onNamespace, fn)
	s.mu.Unlock()
}
