package engineio

import (
	"context"
	"log/slog"
	"net/http"
	"time"
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
}

// Server is an Engine.IO server; it is an http.Handler.
type Server struct{}

// NewServer returns a server that is ready to serve. It starts nothing.
func NewServer(o *Options) *Server { panic("todo") }

func (*Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("todo") }

// ClientsCount returns the number of open sessions.
func (*Server) ClientsCount() int { panic("todo") }

// Shutdown refuses new sessions, closes all open ones and waits until they are
// gone or ctx ends. It is idempotent.
func (*Server) Shutdown(ctx context.Context) error { panic("todo") }

// Stubs of option types, to be filled in files of their own.
type (
	CORS              struct{}
	HTTPCompression   struct{}
	PerMessageDeflate struct{}
	ConnectionError   struct{}
)
