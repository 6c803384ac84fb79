package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestDebugLimits_ValuesUseAndRefusals(t *testing.T) {
	t.Parallel()
	app := appForMetrics(t)
	app.config.LimitQRCodesIP = Rate{N: 7, Per: 60e9}
	app.config.LimitConnections.Off = true
	app.metrics.refusals.countRefusal("origin")
	app.metrics.refusals.countRefusal("origin")
	webhookCounter{app.metrics}.Refused("default", "flood")
	app.admission.openConns.Add(3)
	w := httptest.NewRecorder()
	app.metrics.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/limits", nil))
	var page struct{ Limits []limitReport }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err, w.Body)
	}
	find := func(name string) limitReport {
		i := slices.IndexFunc(page.Limits, func(r limitReport) bool { return r.Name == name })
		if i < 0 {
			t.Fatalf("no %s in %s", name, w.Body)
		}
		return page.Limits[i]
	}
	if r := find("origin"); r.Refused != 2 || r.Answer != "403" || r.Row != 25 {
		t.Errorf("%+v", r)
	}
	if r := find("webhook"); r.Refused != 1 {
		t.Errorf("%+v", r)
	}
	if r := find("connections"); r.Use == nil || *r.Use != 3 {
		t.Errorf("%+v", r)
	}
	if r := find("qrcodes_per_ip"); r.Value != "7/m" {
		t.Errorf("%+v", r)
	}
	if r := find("connections_per_ip"); r.Value != "off" {
		t.Errorf("%+v", r)
	}
}

// Every reason that is counted is a limit of the page.
func TestDebugLimits_NameEveryRefusal(t *testing.T) {
	t.Parallel()
	named := func(name string) bool {
		return slices.ContainsFunc(limits, func(l limit) bool { return l.name == name })
	}
	for name := range newMetrics(func() float64 { return 0 }).refusals.totals {
		if !named(name) {
			t.Errorf("%s is no row", name)
		}
	}
}

func TestDebugLimits_Generated_OperationsTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| row | name | default | setting | place | answer |\n|---|---|---|---|---|---|\n")
	for _, l := range limits {
		setting := ""
		if l.setting != "" {
			setting = "`" + l.setting + "`"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s | %s |\n", l.row, l.name, l.value, setting, l.place, l.answer)
	}
	checkGenerated(t, "../docs/operations.md", func(old string) string { return replaceBetween(t, old, "limits", b.String()) })
}
