package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
)

// appForMetrics is an app that does not run; redis is an address where none need be.
func appForMetrics(t *testing.T, redis ...string) *App {
	t.Helper()
	app, err := New(Config{
		Addr: "127.0.0.1:0", SocketIOPath: "/socket.io", RedisURL: redis, Adapter: "redis",
		JWTKey: Secret("hs256:" + strings.Repeat("A", 44)), JWTTTL: Duration(60e9), TicketTTL: Duration(60e9), Spool: t.TempDir() + "/spool",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.releaseBound)
	t.Cleanup(func() { _ = app.ioServer.Shutdown(t.Context()) })
	return app
}

// ownSeries are the lines of /metrics that are the gateway's.
func ownSeries(t *testing.T, app *App) (all []string) {
	t.Helper()
	w := httptest.NewRecorder()
	app.metrics.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if !hasAnyPrefix(line, "#", "go_", "process_", "promhttp_") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// Every family is there from the start, with the labels and the type that are documented.
func TestMetrics_Families_AreThoseOfTheList(t *testing.T) {
	t.Parallel()
	for _, redis := range []bool{false, true} {
		var addr []string
		if redis {
			addr = []string{"redis://127.0.0.1:1"}
		}
		app := appForMetrics(t, addr...)
		gathered, err := app.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]*dto.MetricFamily{}
		for _, g := range gathered {
			if found[g.GetName()] = g; findFamily(g.GetName()) == nil && !hasAnyPrefix(g.GetName(), "go_", "process_") {
				t.Errorf("%s is not in the list", g.GetName())
			}
		}
		for _, f := range families {
			g := found[f.name]
			optional := hasAnyPrefix(f.name, "posthouse_namespace_", "posthouse_jwks_", "posthouse_hook_", "posthouse_wechat_quota_")
			if g == nil {
				if (redis || !f.onlyRedis) && !optional {
					t.Errorf("redis %t: no %s", redis, f.name)
				}
				continue
			}
			if f.onlyRedis && !redis {
				t.Errorf("%s without Redis", f.name)
			}
			if kind := strings.ToLower(g.GetType().String()); kind != f.kind {
				t.Errorf("%s is a %s", f.name, kind)
			}
			var labels []string
			for _, l := range g.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			if want := slices.Sorted(slices.Values(f.labels)); !slices.Equal(labels, want) {
				t.Errorf("%s has the labels %v, want %v", f.name, labels, want)
			}
			if f.kind == "histogram" && g.GetMetric()[0].GetHistogram().Schema == nil {
				t.Errorf("%s is no native histogram", f.name)
			}
		}
		for _, series := range []string{
			`socketio_connections{transport="webtransport"} 0`, `socketio_sockets{namespace="other"} 0`, `socketio_sockets{namespace="/login"} 0`,
			`socketio_connections_closed_total{reason="ping timeout"} 0`, `socketio_connect_errors_total{code="1"} 0`, `socketio_upgrades_total{result="failed"} 0`,
			`socketio_events_total{direction="in",namespace="/login"} 0`, `socketio_recovered_total{result="ok"} 0`,
			`posthouse_login_stage_total{stage="scanned"} 0`, `posthouse_spool_claims 0`, `posthouse_refused_total{limit="origin"} 0`,
		} {
			if !slices.Contains(ownSeries(t, app), series) {
				t.Errorf("redis %t: no %s", redis, series)
			}
		}
	}
}

// docs/operations.md bounds the series, whatever clients do.
func TestMetrics_Series_AreBounded(t *testing.T) {
	t.Parallel()
	const bound = 200
	app := appForMetrics(t, "redis://127.0.0.1:1")
	before := ownSeries(t, app)
	t.Logf("%d series at the start", len(before))
	if len(before) > bound {
		t.Errorf("%d series at the start", len(before))
	}
	server := httptest.NewServer(app.Handler())
	defer server.Close()
	get := func(path string, headers ...string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			res.Body.Close()
		}
	}
	for i := range 200 {
		get(fmt.Sprintf("/socket.io/?EIO=%d&transport=t%d&sid=s%d", i%6, i, i), "Origin", fmt.Sprintf("https://o%d.example", i))
		get(fmt.Sprintf("/callback/wechat/account%d?signature=x&timestamp=%d", i, i))
		get(fmt.Sprintf("/p%d", i))
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", server.Listener.Addr())
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("%q %v", line, err)
	}
	for i := range 1000 {
		reason := strings.Repeat("x", 1+i%50) + strings.Repeat("y", i/50)
		app.metrics.Count("attempt", "default", reason)
		webhookCounter{app.metrics}.Refused("default", reason)
	}
	after := ownSeries(t, app)
	t.Logf("%d series after", len(after))
	if len(after) > bound {
		t.Errorf("%d series: %v", len(after), after)
	}
	if !slices.Contains(after, `socketio_connections{transport="websocket"} 1`) {
		t.Errorf("no connection in %v", after)
	}
}

// metricsTable is the table of docs/operations.md.
func metricsTable() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, f := range families {
		labels := make([]string, len(f.labels))
		for i, l := range f.labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(labels, ", "), f.help)
	}
	return b.String()
}

// replaceBetween replaces what lies between two lines of a document.
func replaceBetween(t *testing.T, doc, name, text string) string {
	t.Helper()
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	head, rest, ok := strings.Cut(doc, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("no %s in the document", begin)
	}
	return head + begin + text + end + tail
}

// checkGenerated compares a file with what the code makes of it, or writes it.
func checkGenerated(t *testing.T, path string, generate func(old string) string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	text := generate(string(old))
	if text == string(old) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says: go test ./gateway -run Generated -update", path)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMetrics_Generated_OperationsTable(t *testing.T) {
	checkGenerated(t, "../docs/operations.md", func(old string) string { return replaceBetween(t, old, "metrics", metricsTable()) })
}
