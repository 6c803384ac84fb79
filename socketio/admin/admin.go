package admin

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/loglimit"
	"posthouse/socketio"
)

// Admin is an instrumented server.
type Admin struct {
	io        *socketio.Server
	namespace *socketio.Namespace
	options   Options
	log       *slog.Logger
	startedAt time.Time
	hostname  string
	notices   noticeQueue
	budget    budget
	reporter  statsReporter
	counts    counts
	storeLog  loglimit.Limiter

	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows
	tasks    sync.WaitGroup
	isClosed bool
	watched  map[*socketio.Namespace]*watchedNamespace // every namespace that exists
	watching bool                                      // the namespaces have watchers
	lookers  map[*socketio.Socket]bool                 // administrators here who see everything
	remote   bool                                      // there are such administrators elsewhere
}

// counts are what Stats tells.
type counts struct {
	administrators atomic.Int64
	sent           atomic.Uint64
	dropped        atomic.Uint64
	refused        atomic.Uint64
	commands       atomic.Uint64
}

// Stats are counters since Instrument.
type Stats struct {
	Administrators int64  // connected to this node now
	Sent           uint64 // messages about sockets, rooms and events
	Dropped        uint64 // messages above Options.Budget
	Refused        uint64 // log-ins
	Commands       uint64 // carried out
}

// Stats returns the counters.
func (a *Admin) Stats() Stats {
	c := &a.counts
	return Stats{c.administrators.Load(), c.sent.Load(), c.dropped.Load(), c.refused.Load(), c.commands.Load()}
}

// Instrument adds the administrators' namespace to a server. Call it before the server
// has clients and before dynamic namespaces are registered that the name would fit.
func Instrument(io *socketio.Server, o *Options) (*Admin, error) {
	options, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Admin{
		io: io, options: options, log: options.Logger, startedAt: time.Now(), hostname: hostname(),
		watched: map[*socketio.Namespace]*watchedNamespace{}, lookers: map[*socketio.Socket]bool{},
		budget: budget{perSecond: options.Budget},
	}
	a.notices.admin = a
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if a.namespace, err = io.TryOf(options.Namespace); err != nil {
		return nil, err
	}
	if options.NoAuth {
		a.log.Warn("socketio/admin: every client is let in as an administrator", "namespace", options.Namespace, "fix", "set PasswordHash instead of NoAuth")
	} else {
		gate, err := newGate(a)
		if err != nil {
			return nil, err
		}
		a.namespace.Use(gate.admit)
	}
	io.AddDetail(detailName, a.detailOf)
	a.namespace.OnConnection(a.welcome)
	a.namespace.OnDisconnect(a.farewell)
	io.OnNamespace(a.addNamespace)
	for _, n := range io.Namespaces() {
		a.addNamespace(n)
	}
	a.start(a.runStats)
	if options.Mode == Development {
		a.namespace.OnServerSideEmit(watchEvent, func(*socketio.ServerSideEvent) { a.setRemote(true) })
		a.start(a.runWatch)
	}
	return a, nil
}

// start runs a task that Close waits for, unless Close was called.
func (a *Admin) start(task func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.isClosed {
		a.tasks.Go(task)
	}
}

// Close takes the watchers away, stops everything and waits for it. Administrators stay
// connected, but see nothing new. It is idempotent.
func (a *Admin) Close() error {
	a.cancel()
	a.mu.Lock()
	a.isClosed = true
	a.updateWatchersLocked()
	a.mu.Unlock()
	a.tasks.Wait()
	return nil
}

// features are announced to an administrator, in Node's order.
func (a *Admin) features(everything bool) []string {
	var all []string
	if !a.options.ReadOnly {
		all = append(all, "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	}
	all = append(all, "AGGREGATED_EVENTS")
	if everything {
		all = append(all, "ALL_EVENTS")
	}
	return all
}

type config struct {
	SupportedFeatures []string `json:"supportedFeatures"`
}

// welcome is the connection function of administrators.
func (a *Admin) welcome(s *socketio.Socket) {
	a.counts.administrators.Add(1)
	if !a.options.ReadOnly {
		a.registerCommands(s)
	}
	if id, ok := newSession.Of(s); ok {
		newSession.Delete(s)
		_ = s.Emit("session", id) // a socket that has gone needs none
	}
	a.log.Info("socketio/admin: administrator connected", "address", s.Handshake().Address)
	if a.options.Mode == Production || a.isCrowded(a.countSockets()) {
		_ = s.Emit("config", config{a.features(false)})
		return
	}
	a.mu.Lock()
	a.lookers[s] = true
	a.updateWatchersLocked()
	a.mu.Unlock()
	a.start(func() { a.fillPage(s) })
}

func (a *Admin) farewell(s *socketio.Socket, _ socketio.Reason) {
	a.counts.administrators.Add(-1)
	a.stopLooking(s)
}

// stopLooking takes s off those that see everything.
func (a *Admin) stopLooking(s *socketio.Socket) {
	a.mu.Lock()
	delete(a.lookers, s)
	a.updateWatchersLocked()
	a.mu.Unlock()
}

// countSockets counts the sockets of this node, administrators left out.
func (a *Admin) countSockets() (count int) {
	for _, n := range a.io.Namespaces() {
		if n != a.namespace {
			count += n.Len()
		}
	}
	return count
}

func (a *Admin) isCrowded(sockets int) bool {
	return a.options.MaxSockets >= 0 && sockets > a.options.MaxSockets
}

func (a *Admin) isPrivate(namespace string) bool {
	return slices.Contains(a.options.PrivateNamespaces, namespace)
}

func (a *Admin) storeTrouble(err error) {
	if suppressed, ok := a.storeLog.Allow(); ok {
		a.log.Warn("socketio/admin: the session store failed; administrators need their password again", "error", err, "suppressed", suppressed)
	}
}

func pid() int { return os.Getpid() }
