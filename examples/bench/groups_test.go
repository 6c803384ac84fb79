package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"posthouse/internal/load"
)

func TestGroups_NamesAreUniqueAndBeginWithTheGroup(t *testing.T) {
	t.Parallel()
	seen, scenarios := map[string]bool{}, map[string]bool{}
	for _, g := range groups() {
		if len(g.scenarios) == 0 || seen[g.name] {
			t.Errorf("group %q is empty or stands twice", g.name)
		}
		seen[g.name] = true
		for _, s := range g.scenarios {
			if scenarios[s.Name] || g.extra && !strings.HasPrefix(s.Name, g.name) {
				t.Errorf("scenario %q of group %q", s.Name, g.name)
			}
			scenarios[s.Name] = true
		}
	}
}

func TestChoose_RunFindsExtraGroupsAndFlagsWin(t *testing.T) {
	t.Parallel()
	all := []group{
		{name: "table", scenarios: []load.Scenario{{Name: "echo-1"}, {Name: "scaling", Extra: true}}},
		{name: "growth", extra: true, servers: "ours,node", rounds: 3, scenarios: []load.Scenario{{Name: "growth-rooms"}}},
	}
	o := options{servers: "ours,node,bun", rounds: 5, load: load.Load{Duration: time.Second}}
	count := func(o options) (names []string) {
		list, _ := choose(all, o)
		for _, g := range list {
			for _, s := range g.scenarios {
				names = append(names, s.Name)
			}
		}
		return names
	}
	if got := count(o); len(got) != 1 || got[0] != "echo-1" {
		t.Errorf("without flags: %v", got)
	}
	o.only = "growth|scal"
	if got := count(o); len(got) != 2 {
		t.Errorf("-run: %v", got)
	}
	o.only, o.all = "", true
	if got := count(o); len(got) != 2 || got[1] != "growth-rooms" { // not what is asked for by name only
		t.Errorf("-all: %v", got)
	}
	o.only = "growth"
	list, err := choose(all, o)
	if err != nil || list[0].rounds != 3 || list[0].servers != "ours,node" || list[0].duration != time.Second {
		t.Errorf("defaults of the group: %+v, %v", list, err)
	}
	o.given = map[string]bool{"rounds": true, "servers": true}
	if list, _ = choose(all, o); list[0].rounds != 5 || list[0].servers != o.servers {
		t.Errorf("flags that were given: %+v", list)
	}
	o.only = "nothing"
	if _, err := choose(all, o); err == nil {
		t.Error("no scenario, and no error")
	}
}

func TestTable_InsertReplacesWhatStandsBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "node"}}
	tb.add("join", "µs", "ours", 0, 2)
	tb.add("join", "µs", "node", 0, 8)
	tb.add("leave", "µs", "node", 0, 123)
	file := filepath.Join(t.TempDir(), "x.md")
	const text = "before\n<!-- bench growth -->\nold\n<!-- end -->\nafter <!-- end -->\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := tb.insert(file, "growth"); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n<!-- bench growth -->\n\n| | ours | ÷ node |\n|---|---:|---:|\n| join | 2.00 µs | 0.25 ±0 % |\n| leave |  | 123 µs |\n\n<!-- end -->\nafter <!-- end -->\n"
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
	if err := tb.insert(file, "other"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte("<!-- bench growth -->\nno end"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tb.insert(file, "growth"); err == nil {
		t.Error("a table without an end, and no error")
	}
}

func TestTable_ShowsAMeasuredZeroWithoutARatio(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "node"}, goals: map[string]map[string]float64{"busy": {"node": 0.5}, "slow": {"node": 0.5}}}
	tb.add("others", "µs", "ours", 0, load.Nothing)
	tb.add("others", "µs", "node", 0, load.Nothing)
	tb.add("busy", "µs", "ours", 0, 1)
	tb.add("busy", "µs", "node", 0, 4)
	tb.add("slow", "µs", "ours", 0, 4)
	tb.add("slow", "µs", "node", 0, 4)
	want := "| | ours | ÷ node | goal |\n|---|---:|---:|---|\n" +
		"| others | 0 µs | 0 µs |  |\n| busy | 1.00 µs | 0.25 ±0 % | ÷ node ≤ 0.50 |\n| slow | 4.00 µs | 1.00 ±0 % | ÷ node ≤ 0.50 missed |\n"
	if got := tb.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var b strings.Builder
	if err := tb.write(&b); err != nil || strings.Contains(b.String(), "NaN") {
		t.Errorf("%s %v", &b, err)
	}
}

func TestGrowth_LinesAndFlatness(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "floor"}}
	for i, n := range []string{"100", "1000", "10000"} {
		tb.add("sockets-echo-"+n, "µs", "ours", 0, float64(2+i))
		tb.add("sockets-echo-"+n, "µs", "floor", 0, 2)
	}
	var b strings.Builder
	if err := flatness(tb, &b); err != nil || b.String() != "sockets-echo: ÷ floor between 1.00 and 2.00; goal at most 1.30\n" {
		t.Errorf("%s, %v", &b, err)
	}
	file := filepath.Join(t.TempDir(), "x.svg")
	if err := lines("sockets", "title", "sockets-")(tb, file); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(svg), "NaN") || strings.Count(string(svg), "<polyline") != 2 || strings.Count(string(svg), "<circle") != 6 {
		t.Errorf("%s, %v", svg, err)
	}
}

func TestLatency_ChartHasAPanelPerPercentile(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "node"}}
	for _, level := range []string{"20", "50", "80"} {
		for _, p := range []string{"p50", "p99", "p99.9"} {
			tb.add("latency "+p+" at "+level+" %", "µs", "ours", 0, 50)
			tb.add("latency "+p+" at "+level+" %", "µs", "node", 0, 100)
		}
		tb.add("latency GC at "+level+" %", "%", "ours", 0, 1)
	}
	file := filepath.Join(t.TempDir(), "x.svg")
	if err := latencyChart(tb, file); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || strings.Count(string(svg), "<polyline") != 6 || strings.Contains(string(svg), "NaN") {
		t.Errorf("%s, %v", svg, err)
	}
}

func TestGateway_SaysWhetherPollingKeepsItsBound(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{0.17: "met", 5: "missed"} {
		tb := &table{servers: []string{"gateway"}}
		tb.add("gateway-open commands a second", "cmd", "gateway", 0, value)
		var b strings.Builder
		if err := pollingGoal(tb, &b); err != nil || !strings.HasSuffix(b.String(), want+"\n") {
			t.Errorf("%v: %s, %v", value, &b, err)
		}
	}
}

func TestKind_TakesPartInWhatItCanAnswer(t *testing.T) {
	t.Parallel()
	bare, port, whole := kind{bare: true, alone: true}, kind{alone: true}, kind{}
	for _, c := range []struct {
		s    load.Scenario
		want [3]bool
	}{
		{load.Scenario{Bare: true}, [3]bool{true, true, true}},
		{load.Scenario{}, [3]bool{false, true, true}},
		{load.Scenario{Redis: true}, [3]bool{false, false, true}},
	} {
		if got := [3]bool{bare.fits(c.s), port.fits(c.s), whole.fits(c.s)}; got != c.want {
			t.Errorf("%+v: %v", c.s, got)
		}
	}
}

func TestLines_AxisHasFewAndShortLabels(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{50: "50 µs", 2000: "2 ms", 5e6: "5 s"} {
		if got := axisLabel(v, "µs"); got != want {
			t.Errorf("%v is labelled %q, want %q", v, got, want)
		}
	}
	if got := axisLabel(5000, "KiB"); got != "5000 KiB" {
		t.Errorf("%q", got)
	}
	if got := steps(5, 200); len(got) != 6 || got[0] != 5 || got[5] != 200 {
		t.Errorf("%v", got)
	}
	if got := steps(10, 1e6); len(got) != 6 {
		t.Errorf("%v", got)
	}
	if decade(7, true) != 10 || decade(7, false) != 5 {
		t.Error("decade")
	}
}
