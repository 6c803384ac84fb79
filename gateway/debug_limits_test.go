package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
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
	if r := find("origin"); r.Refused == nil || *r.Refused != 2 || r.Answer != "403" || r.Row != 25 {
		t.Errorf("%+v", r)
	}
	if r := find("webhook"); r.Refused == nil || *r.Refused != 1 {
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
	b.WriteString("| row | name | default | setting | place | answer | counted by |\n|---|---|---|---|---|---|---|\n")
	for _, l := range limits {
		setting := ""
		if l.setting != "" {
			setting = "`" + l.setting + "`"
		}
		series := l.series()
		if series != "" {
			series = "`" + series + "`"
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s | %s | %s |\n", l.row, l.name, l.value, setting, l.place, l.answer, series)
	}
	checkGenerated(t, "../docs/operations.md", func(old string) string { return replaceBetween(t, old, "limits", b.String()) })
}

// rowsWithoutBound are the rows of docs/reliability.md §4 that are rules of what is refused
// always, and have no number, setting or use that an operator could look at.
var rowsWithoutBound = []int{
	5,                          // many packets in a payload are handled; docs/reliability.md §4 row 10 bounds control packets
	16, 20, 23, 24, 26, 27, 28, // what is no protocol, no session, no origin, no proxy
	29, 32, 33, 36, 38, 39, 40, 41, // what is not WeChat's, not the browser's own, not a replica's
	44, 46, // what is never told, what is always logged
}

// Every row of docs/reliability.md §4 is in the answer of /debug/limits or is a rule without a
// bound, and the series that are named exist.
func TestDebugLimits_HaveTheRowsOfTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## 4. ")
	section, _, _ = strings.Cut(section, "\n## 5. ")
	var documented []int
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(section, -1) {
		n, _ := strconv.Atoi(m[1])
		documented = append(documented, n)
	}
	if len(documented) < 46 {
		t.Fatalf("%d rows", len(documented))
	}
	app := appForMetrics(t)
	w := httptest.NewRecorder()
	app.metrics.handler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/limits", nil))
	var page struct{ Limits []limitReport }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	shown := map[int]bool{}
	names := map[string]bool{}
	last := 0
	for _, l := range page.Limits {
		shown[l.Row] = true
		if l.Value == "" || l.Place == "" || l.Answer == "" || names[l.Name] || l.Row < last || !slices.Contains(documented, l.Row) {
			t.Errorf("%+v", l)
		}
		names[l.Name], last = true, l.Row
		name, _, _ := strings.Cut(l.Metric, "{")
		if name != "" && !slices.ContainsFunc(families, func(f family) bool { return f.name == name }) {
			t.Errorf("%s: no family %s", l.Name, name)
		}
	}
	for _, row := range documented {
		if shown[row] == slices.Contains(rowsWithoutBound, row) {
			t.Errorf("row %d: shown %v", row, shown[row])
		}
	}
	// The table of the page is the same list.
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains(string(operations), "| `"+name+"` |") {
			t.Errorf("docs/operations.md lacks %s", name)
		}
	}
}

// The reasons that the limits name are those that the library counts connections by.
func TestDebugLimits_ClosedBy_AreReasonsOfTheLibrary(t *testing.T) {
	t.Parallel()
	app := appForMetrics(t)
	known := ownSeries(t, app)
	for i := range limits {
		metric := limits[i].metric
		if strings.HasPrefix(metric, "socketio_") && !slices.ContainsFunc(known, func(series string) bool { return strings.HasPrefix(series, metric+" ") }) {
			t.Errorf("%s: no series %s in %v", limits[i].name, metric, known)
		}
	}
}
