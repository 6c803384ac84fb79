package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"posthouse/internal/taskgroup"

	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// loginDeps is what the login namespace is made of.
type loginDeps struct {
	ioServer  *socketio.Server
	config    *Config
	accounts  *accounts
	admission *admission
	metrics   *metrics
	traces    *traces
	log       *slog.Logger
}

// loginNamespace is the /login namespace, the raw /ws/signup and the exchange of
// codes: everything by which a browser takes part in a login. The store is the
// truth: this replica keeps only which of its sockets waits for which ticket.
type loginNamespace struct {
	loginDeps
	panicGuard   *panicGuard
	loginService *login.Service
	namespace    *socketio.Namespace
	attempts     loginAttempts
	tasks        taskgroup.Group // deliveries and looks at single tickets
	rawSockets   rawSockets
	revocations  revocations

	codeLimits   codeLimits
	exchangeRate *keyedRate[netip.Addr]
}

var _ login.Notifier = (*loginNamespace)(nil)

// ticketEvent is what replicas tell each other: look at this ticket. It carries
// the ticket's id and nothing else: the result is made where the socket is, so no
// token passes through Redis (docs/reliability.md §4 row 36).
const ticketEvent = "login ticket"

// newLoginNamespace makes the service of o, which notifies the namespace, and
// registers the handlers.
func newLoginNamespace(deps loginDeps, o login.ServiceOptions) (*loginNamespace, error) {
	guard := newPanicGuard(deps.metrics, deps.log)
	n := &loginNamespace{
		loginDeps:  deps,
		panicGuard: guard,
		attempts:   newAttempts(),
		rawSockets: rawSockets{openSockets: map[*rawSocket]struct{}{}},
		codeLimits: newCodeLimits(deps.config),
		// Every exchange follows a connection.
		exchangeRate: newKeyedRate[netip.Addr](deps.config.LimitHandshakes, 3*deps.config.LimitHandshakes.N),
	}
	o.Notifier = n
	var err error
	if n.loginService, err = login.NewService(&o); err != nil {
		return nil, err
	}
	n.namespace = n.ioServer.Of("/login")
	declareLoginEvents(n.namespace)
	n.namespace.LimitEvents(eventsPerSecond, eventsBurst)
	n.namespace.OnConnection(n.onConnection)
	n.namespace.OnServerSideEmit(ticketEvent, func(e *socketio.ServerSideEvent) {
		var id string
		if e.Bind(&id) == nil {
			n.refresh(n.attempts.find(id))
		}
	})
	return n, nil
}

// register adds POST /login/exchange, GET /login/revoked and /ws/signup.
func (n *loginNamespace) register(e *echo.Echo) {
	e.Any("/login/exchange", mountHandler(n.admission.origins.middleware(http.HandlerFunc(n.exchangeCode))))
	e.GET("/login/revoked", mountHandler(http.HandlerFunc(n.serveRevoked)))
	e.Any("/ws/signup", mountHandler(n.admission.middleware(http.HandlerFunc(n.serveSignup), engineio.IsUpgrade)))
}

// Notify implements login.Notifier: the replica that holds the ticket's socket
// looks at the ticket. It does not wait. A message that gets lost costs a moment:
// every replica looks at its open tickets itself.
func (n *loginNamespace) Notify(_ context.Context, t login.Ticket) error {
	if a := n.attempts.find(t.ID); a != nil && a.recipient.id() == t.SocketID {
		n.refresh(a)
		return nil
	}
	if t.SocketID == "" {
		return nil // no socket is there: resume will find what there is
	}
	return n.namespace.ServerSideEmit(ticketEvent, t.ID)
}

// publishHint makes the other replicas look at a ticket whose socket has changed.
func (n *loginNamespace) publishHint(id string) {
	if err := n.namespace.ServerSideEmit(ticketEvent, id); err != nil {
		n.log.Debug("gateway: hint", "error", err) // the replica's own poll finds it
	}
}

// runPolls looks at this replica's open tickets until ctx ends, as often as pollPlan says.
func (n *loginNamespace) runPolls(ctx context.Context) {
	plan := n.pollPlan()
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			n.tasks.Close()
			_ = n.tasks.Wait(context.Background()) // each of them ends by itself, in seconds
			return
		case <-tick.C:
			if plan.readDue(n.attempts.roundUnfinished()) {
				n.panicGuard.runTask("poll", func() { n.pollTickets(ctx) })
			}
		}
	}
}

// startTask runs do on a goroutine; false when the replica is ending.
func (n *loginNamespace) startTask(do func()) bool {
	return n.tasks.Go(func() { n.panicGuard.runTask("login", do) })
}

// finishLogins lets results that are on their way arrive before sockets are closed, as
// long as ctx allows, and says goodbye to the raw sockets, which the Socket.IO
// server does not know.
func (n *loginNamespace) finishLogins(ctx context.Context) {
	_ = n.tasks.Wait(ctx) // a result that did not arrive stays in the store, for a resume
	n.rawSockets.closeAll(ctx, n.panicGuard)
}
