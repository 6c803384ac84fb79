// Package tracing makes the gateway's OpenTelemetry spans and sends them over OTLP/HTTP, as
// the standard OTEL_* variables say. Without them a *Tracer is nil, and nothing is made: no
// goroutine, no connection, no span. The goroutine that sends spans belongs to the Tracer;
// Shutdown ends it and waits.
package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"posthouse/internal/loglimit"
)

// The names of spans (docs/operations.md, Traces). There are no others.
const (
	Connect   = "connect"
	Event     = "event"
	Publish   = "publish"
	Receive   = "receive"
	Hook      = "hook"
	Webhook   = "webhook"
	Claim     = "claim"
	Token     = "token"
	Delivered = "delivered"
)

// Options describe the process to the receiver.
type Options struct {
	Replica string // service.instance.id
	Version string // service.version
	Logger  *slog.Logger
}

// Tracer starts spans. A nil *Tracer starts none.
type Tracer struct {
	spans    trace.Tracer
	provider *sdktrace.TracerProvider
}

// New returns the Tracer that s describes; nil when traces are off.
func New(s *Settings, o Options) (*Tracer, error) {
	if s == nil {
		return nil, nil
	}
	// The exporter reads the other OTEL_EXPORTER_OTLP_* variables itself.
	exporter, err := otlptracehttp.New(context.Background())
	if err != nil {
		return nil, err
	}
	about, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", "posthouse"), attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Replica)),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win
		resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	lines := &loglimit.Limiter{}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if left, ok := lines.Allow(); ok {
			o.Logger.Warn("gateway: traces are lost: the OTLP receiver does not take them", "error", err, "left_out", left,
				"fix", "check OTEL_EXPORTER_OTLP_ENDPOINT and that the receiver takes OTLP over HTTP there, or set OTEL_TRACES_EXPORTER=none")
		}
	}))
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about), sdktrace.WithSampler(s.sampler()))
	return &Tracer{spans: provider.Tracer("posthouse"), provider: provider}, nil
}

// Start begins a span below that of ctx. The context that it returns carries the span.
func (t *Tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t == nil {
		return ctx, trace.SpanFromContext(nil) //nolint:staticcheck // the span that does nothing
	}
	return t.spans.Start(ctx, name, opts...)
}

// Shutdown sends what is left and ends the goroutine of the Tracer.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// maxParent is the length of a traceparent of version 00.
const maxParent = 55

// WithParent returns ctx below the span of another process, that a traceparent names. A
// text that is no traceparent changes nothing.
func WithParent(ctx context.Context, traceparent string) context.Context {
	if len(traceparent) != maxParent {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// Traceparent is the span of ctx in the form of the header; "" without a span.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// Fail marks a span as failed. The reason is a word of this program: the text of an error
// may hold what a receiver must not learn.
func Fail(span trace.Span, reason string) { span.SetStatus(codes.Error, reason) }
