package gateway

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"posthouse/internal/login"
	"posthouse/internal/wxsim"
	"posthouse/socketio"
	"posthouse/socketio/client"
	"posthouse/socketio/sockettest"
)

const (
	remoteTrace  = "0af7651916cd43dd8448eb211c80319c"
	remoteSpan   = "b7ad6b7169203331"
	remoteParent = "00-" + remoteTrace + "-" + remoteSpan + "-01"
)

func dialSocket(t *testing.T, a *App, path string, auth any) *client.Socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, "http://"+a.Addr().String()+path, &client.Options{Auth: auth})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A login begins at one replica and its push arrives at the other: one trace.
func TestTraces_Login_IsOneTraceOverReplicas(t *testing.T) {
	r := startReceiver(t)
	sim, err := wxsim.New(&wxsim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	wechat := httptest.NewServer(sim.Handler())
	defer wechat.Close()
	redis := "--redis-url=redis://" + startRedis(t).addr()
	args := []string{"--addr=127.0.0.1:0", redis, "--wechat-simulator=" + wechat.URL}
	page, other := runApp(t, append(args, "--spool="+filepath.Join(t.TempDir(), "a"))...), runApp(t, append(args, "--spool="+filepath.Join(t.TempDir(), "b"))...)
	sim.SetCallbacks("http://" + other.Addr().String() + "/callback/wechat")

	s := dialSocket(t, page, "/login", map[string]string{"traceparent": remoteParent})
	token := make(chan string, 1)
	s.On("token", func(e *client.Event) {
		var text string
		_ = e.Bind(&text)
		_ = e.Ack()
		token <- text
	})
	q, err := client.Call[qrcodeAnswer](t.Context(), s, "qrcode")
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.Post(wechat.URL+"/sim/scan", "application/json", strings.NewReader(`{"person":"ana","follow":true,"ticket":"`+q.Ticket+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(w.Body)
	w.Body.Close()
	var jwt string
	select {
	case jwt = <-token:
	case <-time.After(10 * time.Second):
		t.Fatalf("no token; scan: %s", answer)
	}
	spans := r.await(t, remoteTrace, "connect", "event", "webhook", "claim", "token", "delivered")
	if got := hex.EncodeToString(spans["connect"].ParentSpanId); got != remoteSpan {
		t.Errorf("the connect is below %s", got)
	}
	for child, parent := range map[string]string{"event": "connect", "webhook": "event", "claim": "webhook", "token": "event", "delivered": "event"} {
		if !bytes.Equal(spans[child].ParentSpanId, spans[parent].SpanId) {
			t.Errorf("%s is not below %s", child, parent)
		}
	}
	if n, e := attributeOf(spans["event"], "socketio.namespace"), attributeOf(spans["event"], "socketio.event"); n != "/login" || e != "qrcode" {
		t.Errorf("event of %q, %q", n, e)
	}
	if o := attributeOf(spans["claim"], "posthouse.outcome"); o != "claimed" {
		t.Errorf("outcome %q", o)
	}
	// Nothing that a receiver must not learn leaves: no token, secret, ticket or openid.
	claims, err := page.issuer.Verify(jwt)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for what, secret := range map[string]string{
		"token": jwt, "signature": jwt[strings.LastIndexByte(jwt, '.')+1:], "openid": claims.OpenID, "jti": claims.JTI, "resume": q.Resume, "ticket": q.Ticket,
	} {
		if secret == "" || bytes.Contains(r.raw, []byte(secret)) {
			t.Errorf("the spans hold the %s", what)
		}
	}
}

// Names that a client makes up become no attribute, and a text that is no traceparent is
// no parent.
func TestTraces_NamesOfClients_AreOther(t *testing.T) {
	r := startReceiver(t)
	a := runApp(t, "--addr=127.0.0.1:0", "--spool="+filepath.Join(t.TempDir(), "s"))
	s := dialSocket(t, a, "/", map[string]string{"traceparent": "00-secret-openid-" + strings.Repeat("o", 40)})
	if err := s.Emit("o6_bmjrPTlm6_2sgVt7hMZOPfL2M"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call[any](t.Context(), s, "rtt"); err != nil && !strings.Contains(err.Error(), "argument") {
		t.Fatal(err)
	}
	waitUntil(t, 10*time.Second, "both events", func() bool {
		return len(r.find(func(s *otlp.Span) bool { return s.Name == "event" })) >= 2
	})
	names := map[string]int{}
	for _, span := range r.find(func(s *otlp.Span) bool { return s.Name == "event" }) {
		names[attributeOf(span, "socketio.event")]++
	}
	if names["other"] != 1 || names["rtt"] != 1 {
		t.Errorf("%v", names)
	}
	if c := r.find(func(s *otlp.Span) bool { return s.Name == "connect" }); len(c) != 1 || len(c[0].ParentSpanId) != 0 {
		t.Errorf("connect: %v", c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes.Contains(r.raw, []byte("o6_bmjrP")) || bytes.Contains(r.raw, []byte("secret-openid")) {
		t.Error("a client's text is in the spans")
	}
}

// The trace of an event goes on at the back end, and at the replicas that its answer reaches.
func TestTraces_HookAndAPI_GoOnToBackEndsAndReplicas(t *testing.T) {
	r := startReceiver(t)
	seen := make(chan string, 16)
	backEnd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		seen <- q.Header.Get("Traceparent")
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer backEnd.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret := write("secret", "whsec_"+strings.Repeat("A", 32)+"\n")
	file := write("posthouse.yaml", "namespaces:\n  /team/{id}:\n    auth: open\n    hook: {url: \""+backEnd.URL+"\", secret-file: "+secret+", events: [save]}\n")
	redis := "--redis-url=redis://" + startRedis(t).addr()
	keys := write("keys", "a-key-of-sixteen-characters\n")
	args := []string{"--addr=127.0.0.1:0", redis, "--config=" + file, "--api-key-file=" + keys}
	one, two := runApp(t, append(args, "--spool="+filepath.Join(dir, "a"))...), runApp(t, append(args, "--spool="+filepath.Join(dir, "b"))...)

	s := dialSocket(t, two, "/team/7", map[string]string{"traceparent": remoteParent})
	heard := make(chan struct{}, 1)
	s.On("news", func(*client.Event) { heard <- struct{}{} })
	if _, err := s.EmitWithAck(t.Context(), "save", 1); err != nil {
		t.Fatal(err)
	}
	spans := r.await(t, remoteTrace, "connect", "event", "hook")
	if !bytes.Equal(spans["hook"].ParentSpanId, spans["event"].SpanId) || attributeOf(spans["event"], "socketio.namespace") != "/team/{id}" ||
		attributeOf(spans["event"], "socketio.event") != "save" {
		t.Errorf("hook below %x, event %v", spans["hook"].ParentSpanId, spans["event"])
	}
	if got, want := <-seen, "00-"+remoteTrace+"-"+hex.EncodeToString(spans["hook"].SpanId)+"-01"; got != want {
		t.Errorf("the back end was told %q, not %q", got, want)
	}

	dialSocket(t, one, "/team/7", nil) // the API knows namespaces that its replica has
	const apiTrace = "1af7651916cd43dd8448eb211c80319c"
	q, err := http.NewRequest(http.MethodPost, "http://"+one.Addr().String()+"/api/emit", strings.NewReader(`{"namespace":"/team/7","event":"news","args":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer a-key-of-sixteen-characters")
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Traceparent", "00-"+apiTrace+"-"+remoteSpan+"-01")
	w, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if text, _ := io.ReadAll(w.Body); w.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", w.Status, text)
	}
	select {
	case <-heard:
	case <-time.After(10 * time.Second):
		t.Fatal("the event did not arrive")
	}
	spans = r.await(t, apiTrace, "publish", "receive")
	if hex.EncodeToString(spans["publish"].ParentSpanId) != remoteSpan || !bytes.Equal(spans["receive"].ParentSpanId, spans["publish"].SpanId) {
		t.Error("publish and receive are not below the request")
	}
}

func TestTraces_NotSampledParent_MakesNoSpans(t *testing.T) {
	r := startReceiver(t)
	a := runApp(t, "--addr=127.0.0.1:0", "--spool="+filepath.Join(t.TempDir(), "s"))
	quiet := dialSocket(t, a, "/", map[string]string{"traceparent": "00-" + remoteTrace + "-" + remoteSpan + "-00"})
	if _, err := quiet.EmitWithAck(t.Context(), "rtt"); err != nil {
		t.Fatal(err)
	}
	loud := dialSocket(t, a, "/", nil)
	if _, err := loud.EmitWithAck(t.Context(), "rtt"); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, 10*time.Second, "the other event", func() bool {
		return len(r.find(func(s *otlp.Span) bool { return s.Name == "event" })) == 1
	})
	if len(r.find(func(s *otlp.Span) bool { return hex.EncodeToString(s.TraceId) == remoteTrace })) != 0 {
		t.Error("spans of a parent that is not sampled")
	}
}

func TestTraces_WrongVariables_AreRefusedWithTheFix(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"OTEL_TRACES_EXPORTER", "zipkin", "otlp or none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "whole URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:pass@collector:4318", "OTEL_EXPORTER_OTLP_HEADERS"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"},
		{"OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"},
		{"OTEL_TRACES_SAMPLER_ARG", "2", "0 to 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
			t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
			t.Setenv(c.name, c.value)
			err := (&Config{Addr: ":3000"}).Normalize()
			if err == nil || !strings.Contains(err.Error(), c.name) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "pass@") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTraces_Off_NothingIsMade(t *testing.T) {
	for name, env := range map[string][2]string{
		"no endpoint": {"OTEL_SERVICE_NAME", "x"}, "none": {"OTEL_TRACES_EXPORTER", "none"}, "disabled": {"OTEL_SDK_DISABLED", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "no endpoint" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			}
			t.Setenv(env[0], env[1])
			a := runApp(t, "--addr=127.0.0.1:0", "--spool="+filepath.Join(t.TempDir(), "s"))
			if a.traces != nil {
				t.Error("there are traces")
			}
			if o := a.traces.observe(a.metrics.observer()); o.SocketConnecting != nil || o.EventStarting != nil || o.Publishing != nil || o.Received != nil {
				t.Error("the observer is told of more than without traces")
			}
			if n := testing.AllocsPerRun(100, func() {
				ctx, end := a.traces.step(t.Context(), "token", login.Ticket{})
				_ = ctx
				end("")
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// BenchmarkTraces_Event is one event with its acknowledgement, through a server that makes no
// traces, and through one whose sampler takes none or all.
func BenchmarkTraces_Event(b *testing.B) {
	receive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer receive.Close()
	for _, c := range []struct{ name, sampler string }{{"off", ""}, {"none sampled", "always_off"}, {"all sampled", "always_on"}} {
		b.Run(c.name, func(b *testing.B) {
			var tr *traces
			m := newMetrics(func() float64 { return 0 })
			if c.sampler != "" {
				b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receive.URL)
				b.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
				a := &App{metrics: m, log: slog.New(slog.DiscardHandler)}
				if err := a.buildTraces(); err != nil {
					b.Fatal(err)
				}
				defer func() { _ = a.traces.shutdown(b.Context()) }()
				tr = a.traces
			}
			s := sockettest.NewServer(b, &socketio.Options{Observer: tr.observe(m.observer())})
			s.OnEvent("rtt", func(e *socketio.Event) { _ = e.Ack() })
			page := s.Connect("/", nil)
			b.ReportAllocs()
			for b.Loop() {
				page.Call("rtt")
			}
		})
	}
}
