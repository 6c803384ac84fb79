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
	if got := count(o); len(got) != 3 {
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
