package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/tracing"
	"posthouse/socketio"
)

// traces are the spans of the gateway (docs/operations.md, Traces). A nil *traces makes none
// and costs nothing: observers, middlewares and wrappers are left out then.
type traces struct {
	*tracing.Tracer
	metrics     *metrics                                   // closes the set of namespaces
	knownEvents atomic.Pointer[map[string]map[string]bool] // by namespace and name; replaced by reloads
}

// checkTraces refuses OTEL_* variables that cannot be used.
func checkTraces() error {
	_, err := tracing.Read(os.Getenv)
	return traceErrors(err)
}

func traceErrors(err error) error {
	var errs configErrors
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	for _, one := range joined.Unwrap() {
		if s, ok := errors.AsType[*tracing.SettingError](one); ok {
			one = keyError(s.Variable, s.Value, s.Fix)
		}
		errs.add(one)
	}
	return errs.joinErrors()
}

// buildTraces makes the traces that the OTEL_* variables ask for; nil without.
func (a *App) buildTraces() error {
	s, err := tracing.Read(os.Getenv)
	if err != nil {
		return traceErrors(err)
	}
	tracer, err := tracing.New(s, tracing.Options{Replica: a.replicaName, Version: moduleVersion(), Logger: a.log})
	if tracer == nil {
		return err
	}
	a.traces = &traces{Tracer: tracer, metrics: a.metrics}
	a.traces.knowEvents(a.config.Namespaces)
	return nil
}

// knowEvents closes the set of events that spans name.
func (t *traces) knowEvents(configured []Namespace) {
	if t == nil {
		return
	}
	events := map[string]map[string]bool{
		"/": {"rtt": true}, "/login": {"qrcode": true, "resume": true, "cancel": true},
	}
	for i := range configured {
		n := &configured[i]
		known := map[string]bool{"join": len(n.Join) > 0, "leave": len(n.Join) > 0}
		for _, event := range n.Relay {
			known[event] = true
		}
		if n.Hook != nil {
			for _, event := range n.Hook.Events {
				known[event] = event != "*"
			}
		}
		events[n.Name] = known
	}
	t.knownEvents.Store(&events)
}

func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return info.Main.Version
}

// shutdown sends what is left. It does not wait for a receiver that is away.
func (t *traces) shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.Shutdown(ctx)
}

func (t *traces) namespaceOf(n *socketio.Namespace) attribute.KeyValue {
	return attribute.String("socketio.namespace", t.metrics.labelOf(n))
}

// eventOf names events of the configuration; clients choose all other names.
func (t *traces) eventOf(e *socketio.Event) attribute.KeyValue {
	n := e.Socket().Namespace()
	name := e.Name()
	if !(*t.knownEvents.Load())[cmp.Or(n.Pattern(), n.Name())][name] {
		name = otherLabel
	}
	return attribute.String("socketio.event", name)
}

// observe adds the spans of connects and events to what o does.
func (t *traces) observe(o *socketio.Observer) *socketio.Observer {
	if t == nil {
		return o
	}
	handled := o.EventHandled
	o.SocketConnecting = func(ctx context.Context, s *socketio.Socket) context.Context {
		var auth struct {
			Traceparent string `json:"traceparent"`
		}
		if s.Auth(&auth) == nil {
			ctx = tracing.WithParent(ctx, auth.Traceparent)
		}
		ctx, _ = t.Start(ctx, tracing.Connect, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(t.namespaceOf(s.Namespace())))
		return ctx
	}
	o.SocketConnected = func(s *socketio.Socket, _ time.Time, err error) {
		span := trace.SpanFromContext(s.Context())
		if err != nil {
			tracing.Fail(span, "refused")
		}
		span.End()
	}
	o.EventStarting = func(ctx context.Context, e *socketio.Event) context.Context {
		ctx, _ = t.Start(ctx, tracing.Event, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(t.namespaceOf(e.Socket().Namespace()), t.eventOf(e)))
		return ctx
	}
	o.EventHandled = func(e *socketio.Event, start time.Time) {
		trace.SpanFromContext(e.Context()).End()
		handled(e, start)
	}
	o.Publishing = func(ctx context.Context, n *socketio.Namespace, _ string) (string, func(error)) {
		ctx, span := t.Start(ctx, tracing.Publish, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(t.namespaceOf(n)))
		return tracing.Traceparent(ctx), func(err error) {
			if err != nil {
				tracing.Fail(span, "not published")
			}
			span.End()
		}
	}
	o.Received = func(n *socketio.Namespace, parent string, start time.Time) {
		_, span := t.Start(tracing.WithParent(context.Background(), parent), tracing.Receive, trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithTimestamp(start), trace.WithAttributes(t.namespaceOf(n)))
		span.End()
	}
	return o
}

// followRequests makes the traceparent of API requests the parent of what they publish.
func (t *traces) followRequests(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			r = r.WithContext(tracing.WithParent(r.Context(), parent))
		}
		next.ServeHTTP(w, r)
	})
}

// startRaw gives the connection of a front end without Socket.IO a span, that its logins
// belong to.
func (t *traces) startRaw(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	ctx, span := t.Start(ctx, tracing.Connect, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("socketio.namespace", otherLabel)))
	span.End()
	return ctx
}

// step makes a span of a login below what made its ticket, on whichever replica. end takes
// the word of what went wrong, "" for nothing.
func (t *traces) step(ctx context.Context, name string, ticket login.Ticket) (_ context.Context, end func(reason string)) {
	if t == nil {
		return ctx, func(string) {}
	}
	ctx, span := t.Start(tracing.WithParent(ctx, ticket.Trace), name,
		trace.WithAttributes(attribute.String("posthouse.account", ticket.Account)))
	return ctx, func(reason string) {
		if reason != "" {
			tracing.Fail(span, reason)
		}
		span.End()
	}
}

// pushSpan is the span of one push of WeChat. Only the claim tells which login the push
// belongs to, so the span is made then, as of the arrival.
type pushSpan struct {
	arrivedAt time.Time
	mu        sync.Mutex // guards the field below
	span      trace.Span // nil: no login was found
}

type pushSpanKey struct{}

// middleware makes the span of a push.
func (t *traces) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	if t == nil {
		return next
	}
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method != http.MethodPost {
			return next(c)
		}
		p := &pushSpan{arrivedAt: time.Now()}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), pushSpanKey{}, p)))
		defer func() { // also when the push is left without an answer, which is a panic
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.span == nil {
				_, p.span = t.Start(context.Background(), tracing.Webhook, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(p.arrivedAt))
			}
			p.span.End()
		}()
		return next(c)
	}
}

// claimed makes the span of a claim below that of its push, both in the trace of the ticket.
func (t *traces) claimed(ctx context.Context, began time.Time, ticket login.Ticket, o login.Outcome, err error) {
	ctx = tracing.WithParent(ctx, ticket.Trace)
	if p, ok := ctx.Value(pushSpanKey{}).(*pushSpan); ok && ticket.ID != "" {
		p.mu.Lock()
		if p.span == nil {
			ctx, p.span = t.Start(ctx, tracing.Webhook, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(p.arrivedAt),
				trace.WithAttributes(attribute.String("posthouse.account", ticket.Account)))
		} else {
			ctx = trace.ContextWithSpan(ctx, p.span)
		}
		p.mu.Unlock()
	}
	outcome := string(o)
	if err != nil {
		outcome = "error"
	}
	_, span := t.Start(ctx, tracing.Claim, trace.WithTimestamp(began), trace.WithAttributes(attribute.String("posthouse.outcome", outcome)))
	if err != nil {
		tracing.Fail(span, outcome)
	}
	span.End()
}

// observeLogin makes the spans of what the login service does by itself: claims that waited in
// the spool, and codes that became tokens. nil without traces.
func (t *traces) observeLogin() func(context.Context, login.TracedStep) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, s login.TracedStep) {
		if s.Outcome != login.OutcomeExchanged {
			t.claimed(ctx, s.Began, s.Ticket, s.Outcome, s.Err)
			return
		}
		_, span := t.Start(tracing.WithParent(ctx, s.Ticket.Trace), tracing.Token, trace.WithTimestamp(s.Began), trace.WithAttributes(
			attribute.String("posthouse.account", s.Ticket.Account), attribute.String("posthouse.outcome", string(s.Outcome))))
		if s.Err != nil {
			tracing.Fail(span, "no token")
		}
		span.End()
	}
}

// login is the login service with spans for what people do.
func (t *traces) login(s *login.Service) callback.Login {
	if t == nil {
		return s
	}
	return &tracedLogin{s, t}
}

type tracedLogin struct {
	*login.Service
	traces *traces
}

// Claim implements callback.Login.
func (l *tracedLogin) Claim(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
	began := time.Now()
	t, o, err := l.Service.Claim(ctx, c)
	l.traces.claimed(ctx, began, t, o, err)
	return t, o, err
}

// ClaimCode implements callback.Login.
func (l *tracedLogin) ClaimCode(ctx context.Context, c login.Claim, text string) (login.Ticket, login.Outcome, error) {
	began := time.Now()
	t, o, err := l.Service.ClaimCode(ctx, c, text)
	if o != login.OutcomeUnknown { // most texts are no codes
		l.traces.claimed(ctx, began, t, o, err)
	}
	return t, o, err
}

// Confirm implements callback.Login.
func (l *tracedLogin) Confirm(ctx context.Context, appID, openID, number string, at time.Time) (login.Ticket, login.Outcome, error) {
	began := time.Now()
	t, o, err := l.Service.Confirm(ctx, appID, openID, number, at)
	if o != login.OutcomeUnknown {
		l.traces.claimed(ctx, began, t, o, err)
	}
	return t, o, err
}

// hookTransport makes requests to back ends with a span each, which the back end learns by
// traceparent. nil leaves the client of the hook its own transport.
func (t *traces) hookTransport(concurrency int) http.RoundTripper {
	if t == nil {
		return nil
	}
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.MaxIdleConnsPerHost, plain.MaxResponseHeaderBytes = cmp.Or(concurrency, 64), 64<<10 // as the client's own
	return &tracedRequests{plain, t}
}

type tracedRequests struct {
	next   http.RoundTripper
	traces *traces
}

// RoundTrip implements http.RoundTripper.
func (c *tracedRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := c.traces.Start(r.Context(), tracing.Hook, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	r = r.Clone(ctx)
	if parent := tracing.Traceparent(ctx); parent != "" {
		r.Header.Set("Traceparent", parent)
	}
	w, err := c.next.RoundTrip(r)
	switch {
	case err != nil:
		tracing.Fail(span, "no answer")
	default:
		span.SetAttributes(attribute.Int("http.response.status_code", w.StatusCode))
		if w.StatusCode >= http.StatusInternalServerError {
			tracing.Fail(span, "status")
		}
	}
	return w, err
}
