package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRatiosArePairedByRound(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "node", "bun"}, goals: goals}
	for round, v := range [][2]float64{{1, 10}, {2, 20}, {30, 60}} {
		tb.add("echo-1", "µs", "ours", round, v[0])
		tb.add("echo-1", "µs", "node", round, v[1])
	}
	tb.add("echo-1", "µs", "bun", 2, 40) // it failed in the first two
	r := tb.rows[0]
	if got := median(r.ratios("ours", "node")); got != 0.1 {
		t.Errorf("median ratio %v", got)
	}
	if got := r.ratios("ours", "bun"); len(got) != 1 || got[0] != 0.75 {
		t.Errorf("ratios with missing rounds %v", got)
	}
	if !math.IsNaN(median(nil)) || median([]float64{4, 1}) != 2.5 || noise([]float64{9, 10, 11}) != 0.1 {
		t.Error("median or noise")
	}
	var b strings.Builder
	if err := tb.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"÷ node", "0.100", "met", "0.750"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	svg := filepath.Join(t.TempDir(), "x.svg")
	if err := tb.draw(svg); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(svg); err != nil || !strings.Contains(string(b), "10.0×") || strings.Contains(string(b), "NaN") {
		t.Errorf("%s, %v", b, err)
	}
}

// A goal that the floor does not reach is not one that the server misses.
func TestVerdict_WhereTheFloorMissesTheGoal(t *testing.T) {
	t.Parallel()
	tb := &table{servers: []string{"ours", "floor", "node", "bun"}, goals: map[string]map[string]float64{"echo": {"node": 0.5, "bun": 0.5}}}
	for server, v := range map[string]float64{"ours": 6, "floor": 5.5, "node": 10, "bun": 11.5} {
		tb.add("echo", "µs", server, 0, v)
	}
	for peer, want := range map[string]string{"node": "floor 0.55", "bun": "missed"} {
		if got := tb.verdict(tb.rows[0], peer); got != want {
			t.Errorf("÷ %s: %s, want %s", peer, got, want)
		}
	}
	if got, want := tb.verdicts(tb.rows[0]), "÷ node ≤ 0.50 floor 0.55, ÷ bun ≤ 0.50 missed"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
