package webtransport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	wt "github.com/quic-go/webtransport-go"

	"posthouse/socketio/engineio"
)

// Engine is what sessions are handed to: an *engineio.Server, or a Socket.IO
// server that passes the call on to its own. "webtransport" must be among its
// Options.Transports.
type Engine interface {
	External(name string, open engineio.OpenFunc) http.Handler
}

// Options configures a Server.
type Options struct {
	// TLS holds the certificate; required, QUIC has no plain form. Browsers want
	// one they trust, or of ECDSA, valid for less than 14 days and named by its
	// hash in the page (serverCertificateHashes).
	TLS *tls.Config
	// IdleTimeout closes QUIC connections on which nothing moves; default 45 s.
	// It must be longer than the engine's PingInterval, whose pings move.
	IdleTimeout time.Duration
	// Logger gets a line for connections that fail; nil means slog.Default().
	Logger *slog.Logger
}

// The limits of one QUIC connection (docs/reliability.md §2.2): one session needs two
// streams, and HTTP/3 three in one direction.
const (
	maxStreams      = 16
	maxHeaderBytes  = 8 << 10
	streamWindow    = 128 << 10
	maxStreamWindow = 1 << 20
	handshakeTime   = 5 * time.Second
)

// Server serves WebTransport sessions. All methods are safe for concurrent use.
type Server struct {
	wt     *wt.Server
	tls    *tls.Config
	quic   *quic.Config
	log    *slog.Logger
	ctx    context.Context // of Serve and everything below it
	cancel context.CancelFunc

	mu              sync.Mutex // guards what follows
	unfinishedCount int        // Serve calls, connections and guards
	shutdownBegun   bool
	allFinished     chan struct{} // closed when running reaches 0 while closing
}

// NewServer returns a server that hands its sessions to e. It starts nothing.
func NewServer(e Engine, o *Options) *Server {
	if o == nil {
		o = &Options{}
	}
	s := &Server{log: o.Logger, allFinished: make(chan struct{})}
	if s.log == nil {
		s.log = slog.Default()
	}
	idle := o.IdleTimeout
	if idle <= 0 {
		idle = 45 * time.Second
	}
	if o.TLS != nil {
		s.tls = http3.ConfigureTLSConfig(o.TLS)
	}
	s.quic = &quic.Config{
		HandshakeIdleTimeout:             handshakeTime,
		MaxIdleTimeout:                   idle,
		MaxIncomingStreams:               maxStreams,
		MaxIncomingUniStreams:            maxStreams,
		InitialStreamReceiveWindow:       streamWindow,
		MaxStreamReceiveWindow:           maxStreamWindow,
		InitialConnectionReceiveWindow:   2 * streamWindow,
		MaxConnectionReceiveWindow:       2 * maxStreamWindow,
		EnableDatagrams:                  true,
		EnableStreamResetPartialDelivery: true,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wt = &wt.Server{
		H3: &http3.Server{Handler: e.External("webtransport", s.open), MaxHeaderBytes: maxHeaderBytes, Logger: s.log},
		// The engine's own gate looks at the origin, as for every transport.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return s
}

// Serve accepts connections from pc until Shutdown, and then returns
// http.ErrServerClosed. It does not close pc.
func (s *Server) Serve(pc net.PacketConn) error {
	if s.tls == nil {
		return errors.New("webtransport: Options.TLS is required")
	}
	if !s.begin() {
		return http.ErrServerClosed
	}
	defer s.done()
	ln, err := quic.ListenEarly(pc, s.tls, s.quic)
	if err != nil {
		return fmt.Errorf("webtransport: listen: %w", err)
	}
	defer ln.Close() //nolint:errcheck // nothing depends on it
	for {
		c, err := ln.Accept(s.ctx)
		if s.ctx.Err() != nil {
			return http.ErrServerClosed
		}
		if err != nil {
			return fmt.Errorf("webtransport: accept: %w", err)
		}
		s.spawn(func() {
			if err := s.wt.ServeQUICConn(c); err != nil && !errors.Is(err, http.ErrServerClosed) {
				s.log.Debug("webtransport: connection failed", slog.Any("error", err))
			}
		})
	}
}

// ListenAndServe is Serve on a UDP address of its own, such as ":443".
func (s *Server) ListenAndServe(addr string) error {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return fmt.Errorf("webtransport: %w", err)
	}
	defer pc.Close() //nolint:errcheck // nothing depends on it
	return s.Serve(pc)
}

// Shutdown closes all connections and waits until their goroutines are gone or
// ctx ends. Shut the engine down first, so that its sessions can say goodbye. It
// is idempotent.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.shutdownBegun
	s.shutdownBegun = true
	if first && s.unfinishedCount == 0 {
		close(s.allFinished)
	}
	s.mu.Unlock()
	if first {
		s.wt.Close() //nolint:errcheck // it closes what it can
		s.cancel()
	}
	select {
	case <-s.allFinished:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("webtransport: shutdown: %w", ctx.Err())
	}
}

// begin counts one more thing that Shutdown waits for; false when it is too late.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shutdownBegun {
		return false
	}
	s.unfinishedCount++
	return true
}

func (s *Server) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unfinishedCount--; s.unfinishedCount == 0 && s.shutdownBegun {
		close(s.allFinished)
	}
}

// spawn starts a goroutine that Shutdown waits for. The caller is counted itself.
func (s *Server) spawn(fn func()) {
	s.mu.Lock()
	s.unfinishedCount++
	s.mu.Unlock()
	go func() {
		defer s.done()
		fn()
	}()
}
