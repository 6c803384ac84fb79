package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

const rulesFile = "../examples/deploy/prometheus-rules.yaml"

// panelQuery is what the dashboard shows of a family.
func panelQuery(f *family) string {
	by := ""
	if len(f.labels) > 0 {
		by = strings.Join(f.labels, ", ")
	}
	group := "sum"
	if by != "" {
		group = "sum by (" + by + ")"
	}
	switch f.kind {
	case "counter":
		return group + " (rate(" + f.name + "[$__rate_interval]))"
	case "histogram":
		return "histogram_quantile(0.99, " + group + " (rate(" + f.name + "[$__rate_interval])))"
	}
	if strings.HasSuffix(f.name, "_lag_seconds") || strings.HasSuffix(f.name, "_nodes") || strings.HasSuffix(f.name, "_remaining") {
		return strings.Replace(group, "sum", "max", 1) + " (" + f.name + ")"
	}
	return group + " (" + f.name + ")"
}

// dashboard has a panel for each family, in the order of the documentation.
func dashboard(t *testing.T) string {
	type object = map[string]any
	source := object{"type": "prometheus", "uid": "${source}"}
	var panels []object
	for i := range families {
		f := &families[i]
		unit := f.unit
		switch {
		case f.kind == "counter" && unit == "bytes":
			unit = "Bps"
		case f.kind == "counter":
			unit = "ops"
		case unit == "":
			unit = "short"
		}
		legend := "all"
		if len(f.labels) > 0 {
			legend = "{{" + strings.Join(f.labels, "}} {{") + "}}"
		}
		title := f.name
		if f.kind == "histogram" {
			title += " (99 %)"
		}
		panels = append(panels, object{
			"id": i + 1, "type": "timeseries", "title": title, "description": f.help, "datasource": source,
			"gridPos":     object{"x": 8 * (i % 3), "y": 7 * (i / 3), "w": 8, "h": 7},
			"fieldConfig": object{"defaults": object{"unit": unit, "min": 0}, "overrides": []any{}},
			"targets":     []object{{"refId": "A", "datasource": source, "expr": panelQuery(f), "legendFormat": legend}},
		})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(object{
		"title": "Posthouse", "uid": "posthouse", "schemaVersion": 39, "version": 1, "refresh": "30s", "editable": true, "tags": []string{"posthouse", "socket.io"},
		"time": object{"from": "now-3h", "to": "now"},
		"templating": object{"list": []object{{
			"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus",
		}}},
		"panels": panels,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestMetrics_Generated_Dashboard(t *testing.T) {
	checkGenerated(t, "../examples/deploy/grafana/posthouse.json", func(string) string { return dashboard(t) })
}

// The alerts name metrics that exist, and each says what to do.
func TestRules_NameFamiliesOfTheList(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\b(?:posthouse|socketio)_[a-z_]+\b`).FindAllString(string(rules), -1) {
		if findFamily(name) == nil {
			t.Errorf("%s is no metric", name)
		}
	}
	alerts := strings.Split(string(rules), "- alert: ")[1:]
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert, "\n")
		if !strings.Contains(alert, "\n          action: ") || !strings.Contains(alert, "\n          summary: ") {
			t.Errorf("%s does not say what to do", name)
		}
	}
}

// promtool takes the alerts and the metrics of a gateway, and the queries of the dashboard
// as rules.
func TestRules_AndMetrics_PassPromtool(t *testing.T) {
	testenv.Need(t, "promtool")
	t.Parallel()
	check := func(stdin io.Reader, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "promtool", args...)
		cmd.Stdin = stdin
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	check(nil, "check", "rules", rulesFile)
	var queries strings.Builder
	queries.WriteString("groups:\n- name: panels\n  rules:\n")
	for i := range families {
		expr := strings.ReplaceAll(panelQuery(&families[i]), "$__rate_interval", "5m")
		fmt.Fprintf(&queries, "  - record: panel:%d\n    expr: %q\n", i, expr)
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, []byte(queries.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	check(nil, "check", "rules", file)
	app := appForMetrics(t, "redis://127.0.0.1:1")
	check(strings.NewReader(strings.Join(ownSeriesWithHelp(app), "")), "check", "metrics")
}

// ownSeriesWithHelp is /metrics without the families of the Go runtime.
func ownSeriesWithHelp(app *App) (all []string) {
	w := httptest.NewRecorder()
	app.metrics.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if hasAnyPrefix(name, "socketio_", "posthouse_") {
			all = append(all, line)
		}
	}
	return all
}

// Prometheus scrapes a gateway: the target is up, the native histograms arrive, and the
// alerts are loaded.
func TestMetrics_PrometheusScrapesAGateway(t *testing.T) {
	testenv.Need(t, "prometheus")
	t.Parallel()
	app := appForMetrics(t)
	app.metrics.ackTimes.Observe(0.25)
	target := httptest.NewServer(app.metrics.handler(false))
	defer target.Close()
	dir := t.TempDir()
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: posthouse\n  static_configs: [{targets: [%q]}]\n",
		rules, strings.TrimPrefix(target.URL, "http://"))
	if err := os.WriteFile(dir+"/prometheus.yml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	port := testenv.FreePort(t)
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	p := testenv.Start(t, nil, "prometheus", "--config.file="+dir+"/prometheus.yml", "--storage.tsdb.path="+dir+"/data",
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--enable-feature=native-histograms")
	p.Ready(t, base+"/-/ready")
	query := func(expr string) string {
		res, err := http.Get(base + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	testenv.Until(t, time.Minute, "a scrape with native histograms", func() bool {
		return strings.Contains(query(`up{job="posthouse"} == 1`), `"posthouse"`) &&
			strings.Contains(query(`histogram_quantile(0.5, socketio_ack_seconds)`), `"value"`)
	})
	if got := query(`sum(socketio_connections_closed_total)`); !strings.Contains(got, `"0"`) {
		t.Error(got)
	}
	res, err := http.Get(base + "/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if !strings.Contains(string(b), "PosthouseSpoolGrows") || strings.Contains(string(b), `"health":"err"`) {
		t.Errorf("%s", b)
	}
}
