package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"posthouse/internal/load"
)

// table gathers the samples of all rounds.
type table struct {
	title   string
	servers []string
	goals   map[string]map[string]float64
	rows    []*row
}

// row is one metric. Samples has a list per server, by round; NaN is missing.
type row struct {
	Metric  string               `json:"metric"`
	Unit    string               `json:"unit"`
	Samples map[string][]float64 `json:"samples"`
}

// goals are the ratios that issue 7 asks for: ours ÷ Node, ours ÷ Bun.
var goals = map[string]map[string]float64{
	"echo-1":         {"node": 0.40, "bun": 0.90},
	"echo-16":        {"node": 0.10, "bun": 0.25},
	"binary":         {"node": 0.25, "bun": 0.30},
	"fanout-1000":    {"node": 0.45, "bun": 0.70},
	"fanout-5000":    {"node": 0.50, "bun": 0.75},
	"fanout-bursts":  {"node": 0.18, "bun": 0.18},
	"polling":        {"node": 0.55, "bun": 0.90},
	"polling-open":   {"node": 0.35, "bun": 0.55},
	"login":          {"node": 0.12, "bun": 0.85},
	"cluster":        {"node": 0.18, "bun": 0.45},
	"idle memory":    {"node": 0.45, "bun": 0.60},
	"idle handshake": {"node": 0.30, "bun": 0.50},
	"pings":          {"node": 0.25, "bun": 0.33},
}

func (t *table) add(metric, unit, server string, round int, value float64) {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.Metric == metric })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &row{Metric: metric, Unit: unit, Samples: map[string][]float64{}})
	}
	s := t.rows[i].Samples[server]
	for len(s) <= round {
		s = append(s, 0)
	}
	s[round] = value
	t.rows[i].Samples[server] = s
}

// ratios returns first ÷ other of every round in which both were measured and the other is
// more than nothing.
func (r *row) ratios(first, other string) (list []float64) {
	a, b := r.Samples[first], r.Samples[other]
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > load.Nothing {
			list = append(list, a[i]/b[i])
		}
	}
	return list
}

func present(samples []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(samples), func(x float64) bool { return x <= 0 })
}

// median returns NaN for nothing.
func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// noise is the spread of a list around its median: the middle half of it, as a
// fraction of the median.
func noise(list []float64) float64 {
	m := median(list)
	var off []float64
	for _, x := range list {
		off = append(off, math.Abs(x-m))
	}
	return median(off) / m
}

// verdict says whether the goal against a peer is met. A goal that the floor does not reach
// cannot be met on this machine: the verdict is the floor's ratio.
func (t *table) verdict(r *row, peer string) string {
	goal := t.goals[r.Metric][peer]
	if median(r.ratios(t.servers[0], peer)) <= goal {
		return "met"
	}
	if floor := median(r.ratios("floor", peer)); floor > goal {
		return fmt.Sprintf("floor %.2f", floor)
	}
	return "missed"
}

// write prints a line per metric: the medians, and for each peer the median of
// the paired ratios with its noise, the goal, and whether it is met.
func (t *table) write(w io.Writer) error {
	if t.title != "" {
		fmt.Fprintf(w, "\n%s\n\n", t.title)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "metric\tunit\t" + strings.Join(t.servers, "\t")
	for _, s := range t.servers[1:] {
		head += fmt.Sprintf("\t÷ %s\tnoise\tgoal\t", s)
	}
	fmt.Fprintln(tw, head)
	for _, r := range t.rows {
		fmt.Fprintf(tw, "%s\t%s", r.Metric, r.Unit)
		for _, s := range t.servers {
			cell := "-"
			if m := median(present(r.Samples[s])); !math.IsNaN(m) {
				cell = fmt.Sprintf("%.2f", m)
			}
			fmt.Fprint(tw, "\t"+cell)
		}
		for _, s := range t.servers[1:] {
			list := r.ratios(t.servers[0], s)
			if len(list) == 0 {
				fmt.Fprint(tw, "\t\t\t\t")
				continue
			}
			goal := "\t"
			if g := t.goals[r.Metric][s]; g > 0 {
				goal = fmt.Sprintf("%.2f\t%s", g, t.verdict(r, s))
			}
			fmt.Fprintf(tw, "\t%.3f\t±%.0f%%\t%s", median(list), 100*noise(list), goal)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}
