package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"posthouse/internal/randid"
	"posthouse/socketio/engineio"
)

// Run serves until ctx ends and then drains: not ready, no new handshakes,
// sockets closed, webhooks answered to the last. It returns nil after a clean end.
func (a *App) Run(ctx context.Context) error {
	defer a.releaseBound()
	background, end := context.WithCancel(context.Background())
	defer end()
	server := a.newServer(a.httpHandler)
	var tasks sync.WaitGroup
	failed := make(chan error, 8)
	keep := func(task string, do func(context.Context)) {
		tasks.Go(func() { a.loginNamespace.panicGuard.keepRunning(background, task, do) })
	}
	tasks.Go(func() {
		if err := a.serveMain(server); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("gateway: serve: %w", err)
		}
	})
	if a.certificate != nil {
		keep("certificate", a.certificate.watch)
	}
	keep("spool", func(ctx context.Context) {
		if err := a.loginService.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			failed <- err
		}
	})
	for _, account := range a.accounts.inOrder {
		if account.senderIPs != nil {
			keep("senders", account.senderIPs.Run)
		}
	}
	keep("login", a.loginNamespace.runPolls)
	keep("keys", a.watchKeys)
	keep("development key", a.awaitKey)
	keep("memory", a.admission.memory.collectGarbage)
	if a.redisClient != nil {
		keep("redis", a.health.redisWatch.run)
	}
	if a.namespaces != nil && a.namespaces.ownGuard != nil {
		keep("revoked tokens", a.watchRevoked)
	}
	if a.namespaces != nil {
		for _, p := range a.namespaces.presences {
			keep("presence of "+p.namespace, p.here.Run)
		}
	}
	if a.relay != nil {
		keep("relay", func(ctx context.Context) {
			if err := a.relay.Run(ctx); err != nil {
				failed <- err
			}
		})
	}
	stopMetrics, err := a.serveMetrics(&tasks, failed)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	defer stopMetrics()
	stopAPI, err := a.serveAPI(&tasks, failed)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	defer stopAPI()
	stopPlain, err := a.servePlain(&tasks, failed)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	defer stopPlain()
	drainWebTransport, err := a.serveWebTransport(&tasks, failed)
	if err != nil {
		return errors.Join(err, server.Close())
	}
	keep("watchdog", watchdog)
	if a.config.Reread != nil {
		keep("settings", a.watchSettings)
	}
	notifySystemd("READY=1")

	select {
	case err = <-failed:
	case <-ctx.Done():
		notifySystemd("STOPPING=1")
		err = a.drainAll(server)
	}
	end()
	farewell, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	_ = drainWebTransport(farewell) // its sessions have ended, or are cut now
	stopPlain()
	stopMetrics()
	stopAPI()
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = a.namespaces.shutdown(last) // done already, unless Run ends by a fault
	_ = a.loginHook.shutdown(last)  // likewise
	if err := a.traces.shutdown(last); err != nil {
		a.log.Warn("gateway: the last traces were not sent", "error", err)
	}
	return errors.Join(err, server.Close(), waitFor(&tasks, 5*time.Second))
}

// drainAll ends in the order of docs/reliability.md §7: readiness first, the webhook last.
func (a *App) drainAll(server *http.Server) error {
	a.log.Info("gateway: draining", "connections", a.ioServer.Engine().ClientsCount())
	a.health.draining.Store(true)
	if d := time.Duration(a.config.DrainDelay); d > 0 {
		delay := time.NewTimer(d)
		<-delay.C
	}
	a.admission.startDrain()
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(a.config.Drain))
	defer cancel()
	a.loginNamespace.finishLogins(ctx)
	if err := errors.Join(a.drainSockets(ctx), a.ioServer.Shutdown(ctx)); err != nil {
		a.log.Warn("gateway: sockets did not close in time", "error", err)
	}
	if err := errors.Join(a.namespaces.shutdown(ctx), a.loginHook.shutdown(ctx)); err != nil {
		a.log.Warn("gateway: the back ends did not hear of all disconnects and logins in time", "error", err)
	}
	// The remaining requests are webhooks and pages: short ones.
	last, cancelLast := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancelLast()
	if err := server.Shutdown(last); err != nil {
		a.log.Warn("gateway: requests did not end in time", "error", err)
	}
	a.closeAdmin()
	a.log.Info("gateway: drained")
	return nil
}

// drainSockets ends own connections and those relayed for others, both spread over
// the same time. Sessions that other replicas hold live on.
func (a *App) drainSockets(ctx context.Context) error {
	n := a.ioServer.Engine().ClientsCount()
	if a.relay == nil {
		return a.ioServer.Drain(ctx, drainTime(n, time.Duration(a.config.Drain)))
	}
	over := drainTime(n+a.relay.Stats().Sockets, time.Duration(a.config.Drain))
	relayed := make(chan error, 1)
	go func() { relayed <- a.relay.Drain(ctx, over) }() // ends with ctx; waited for below
	own := a.ioServer.Drain(ctx, over)
	return errors.Join(own, <-relayed)
}

// drainTime spreads the end of n connections, so that their clients do not all come
// to the other replicas at once: about a hundred a second, with time to spare.
func drainTime(n int, limit time.Duration) time.Duration {
	return min(max(time.Second, time.Duration(n)*10*time.Millisecond), limit*3/4)
}

func (a *App) newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       75 * time.Second, // longer than nginx keeps its own
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// newSideServer is newServer for an address of its own, where no engine watches peers that
// send or take nothing (docs/reliability.md §4 row 3). An answer has limit.
func (a *App) newSideServer(h http.Handler, limit time.Duration) *http.Server {
	server := a.newServer(engineio.BodyDeadline(h))
	server.WriteTimeout = limit
	return server
}

const (
	// metricsLimit leaves time for profiles, which are written after the time that they cover.
	metricsLimit = 5 * time.Minute
	// apiLimit is more than an emit may wait for acknowledgements.
	apiLimit = 75 * time.Second
)

// serveMetrics serves /metrics and pprof on an address of their own.
func (a *App) serveMetrics(tasks *sync.WaitGroup, failed chan<- error) (stop func(), err error) {
	if a.config.MetricsAddr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", a.config.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("gateway: POSTHOUSE_METRICS_ADDR: %w", err)
	}
	if !isLoopback(a.config.MetricsAddr) {
		a.log.Warn("gateway: metrics are served beyond this machine", "addr", a.config.MetricsAddr,
			"fix", "set POSTHOUSE_METRICS_ADDR=127.0.0.1:9100, or keep strangers off the port; /debug/pprof answers loopback only unless POSTHOUSE_PPROF is set")
	}
	server := a.newSideServer(a.metrics.handler(a.config.Pprof), metricsLimit)
	tasks.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("gateway: serve metrics: %w", err)
		}
	})
	return func() { server.Close() }, nil
}

// waitFor waits for tasks, but not without end: a stuck one is a bug to report, not
// a reason to hang at exit.
func waitFor(tasks *sync.WaitGroup, limit time.Duration) error {
	done := make(chan struct{})
	go func() {
		tasks.Wait()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return errors.New("gateway: background tasks did not end")
	}
}

// newReplicaName is opaque: a host name would tell people what they need not know.
func newReplicaName() string {
	return randid.Hex(3)
}
