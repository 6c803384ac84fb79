package main

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"posthouse/internal/load"
)

// latency is how long events take under an open load.
func latency() group {
	goals := map[string]map[string]float64{}
	for _, p := range []string{"p50", "p99", "p99.9"} {
		for _, level := range []string{"20", "50", "80"} {
			goals["latency "+p+" at "+level+" %"] = map[string]float64{"node": 1, "bun": 1}
		}
	}
	return group{
		name: "latency", title: "How long an event takes under an open load, at parts of each server's own capacity",
		servers: "ours,floor,node,bun", rounds: 5, duration: 3 * time.Second, extra: true, scenarios: load.Latency(), goals: goals,
		chart: latencyChart,
	}
}

var latencyMetric = regexp.MustCompile(`^latency (p[\d.]+) at (\d+) %$`)

// latencyChart has a panel per percentile and a line per server, over its load.
func latencyChart(t *table, file string) error {
	var panels []panel
	for _, r := range t.rows {
		m := latencyMetric.FindStringSubmatch(r.Metric)
		if m == nil {
			continue
		}
		load, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(panels, func(p panel) bool { return p.title == m[1] })
		if i < 0 {
			i = len(panels)
			panels = append(panels, panel{title: m[1], lines: map[string][]point{}})
		}
		for _, s := range t.servers {
			if list := present(r.Samples[s]); len(list) > 0 {
				panels[i].lines[s] = append(panels[i].lines[s], point{load, median(list)})
			}
		}
	}
	return drawLines(file, "From when an event was due to its answer, by load", "% of the server's own capacity", "µs", t.servers, panels)
}
