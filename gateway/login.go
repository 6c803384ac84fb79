package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// loginDeps is what the login namespace is made of.
type loginDeps struct {
	io       *socketio.Server
	cfg      *Config
	accounts *accounts
	admit    *admission
	metrics  *metrics
	log      *slog.Logger
}

// loginNamespace is the /login namespace, the raw /ws/signup and the exchange of
// codes: everything by which a browser takes part in a login. The store is the
// truth: this replica keeps only which of its sockets waits for which ticket.
type loginNamespace struct {
	loginDeps
	guard       *panicGuard
	service     *login.Service
	namespace   *socketio.Namespace
	attempts    attempts
	tasks       taskGroup // deliveries and looks at single tickets
	raw         rawSockets
	revocations revocations

	limits    codeLimits
	exchanges *keyedRate[netip.Addr]
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
		loginDeps: deps,
		guard:     guard,
		attempts:  newAttempts(),
		tasks:     taskGroup{guard: guard},
		raw:       rawSockets{open: map[*rawSocket]struct{}{}},
		limits:    newCodeLimits(deps.cfg),
		// Every exchange follows a connection.
		exchanges: newKeyedRate[netip.Addr](deps.cfg.LimitHandshakes, 3*deps.cfg.LimitHandshakes.N),
	}
	o.Notifier = n
	var err error
	if n.service, err = login.NewService(o); err != nil {
		return nil, err
	}
	n.namespace = n.io.Of("/login")
	n.namespace.LimitEvents(eventsPerSecond, eventsBurst)
	n.namespace.OnConnection(n.welcome)
	n.namespace.OnServerSideEmit(ticketEvent, func(e *socketio.ServerSideEvent) {
		var id string
		if e.Bind(&id) == nil {
			n.look(n.attempts.find(id))
		}
	})
	return n, nil
}

// register adds POST /login/exchange, GET /login/revoked and /ws/signup.
func (n *loginNamespace) register(e *echo.Echo) {
	e.Any("/login/exchange", mount(n.admit.origins.middleware(http.HandlerFunc(n.exchange))))
	e.GET("/login/revoked", mount(http.HandlerFunc(n.revoked)))
	e.Any("/ws/signup", mount(n.admit.middleware(http.HandlerFunc(n.signup), engineio.IsUpgrade)))
}

// Notify implements login.Notifier: the replica that holds the ticket's socket
// looks at the ticket. It does not wait. A message that gets lost costs a moment:
// every replica looks at its open tickets itself.
func (n *loginNamespace) Notify(_ context.Context, t login.Ticket) error {
	if a := n.attempts.find(t.ID); a != nil && a.browser.id() == t.SocketID {
		n.look(a)
		return nil
	}
	if t.SocketID == "" {
		return nil // nobody is there: resume will find what there is
	}
	return n.namespace.ServerSideEmit(ticketEvent, t.ID)
}

// hint makes the other replicas look at a ticket whose socket has changed.
func (n *loginNamespace) hint(id string) {
	if err := n.namespace.ServerSideEmit(ticketEvent, id); err != nil {
		n.log.Debug("gateway: hint", "error", err) // the replica's own poll finds it
	}
}

// run looks at this replica's open tickets until ctx ends, as often as pollPlan says.
func (n *loginNamespace) run(ctx context.Context) {
	plan := n.pollPlan()
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			n.tasks.close()
			n.tasks.wait(context.Background()) // each of them ends by itself, in seconds
			return
		case <-tick.C:
			if plan.due(n.attempts.unread()) {
				n.guard.run("poll", func() { n.poll(ctx) })
			}
		}
	}
}

// finish lets results that are on their way arrive before sockets are closed, as
// long as ctx allows, and says goodbye to the raw sockets, which the Socket.IO
// server does not know.
func (n *loginNamespace) finish(ctx context.Context) {
	n.tasks.wait(ctx)
	n.raw.close(ctx, n.guard)
}
