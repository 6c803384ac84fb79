package gateway

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"posthouse/internal/testenv"
)

// receiver takes OTLP over HTTP, as a collector does.
type receiver struct {
	url    string
	mu     sync.Mutex // guards what follows
	spans  []*otlp.Span
	raw    []byte // all that came
	header http.Header
}

// startReceiver starts a receiver and makes the gateways that start from now on use it.
func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		var batch collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil || q.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", q.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw, r.header = append(r.raw, body...), q.Header
		for _, resource := range batch.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	return r
}

func (r *receiver) find(match func(*otlp.Span) bool) (found []*otlp.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if match(s) {
			found = append(found, s)
		}
	}
	return found
}

// await waits until each name has a span in the trace, and returns one of each.
func (r *receiver) await(t *testing.T, traceID string, names ...string) map[string]*otlp.Span {
	t.Helper()
	found := map[string]*otlp.Span{}
	testenv.Until(t, 10*time.Second, "spans "+strings.Join(names, ", ")+" in trace "+traceID, func() bool {
		for _, s := range r.find(func(s *otlp.Span) bool { return hex.EncodeToString(s.TraceId) == traceID }) {
			found[s.Name] = s
		}
		return !slices.ContainsFunc(names, func(name string) bool { return found[name] == nil })
	})
	return found
}

func attributeOf(s *otlp.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}
