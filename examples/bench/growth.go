package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/load"
)

// growth is what rooms, namespaces and acknowledgements cost when there are many.
func growth() group {
	return group{
		name: "growth", title: "What rooms, namespaces and acknowledgements cost when there are many",
		// The other Go port stands in none: it knows no dynamic namespaces, and leaving rooms takes it minutes.
		servers: "ours,node,bun", rounds: 2, duration: time.Second, extra: true, scenarios: load.Growth(),
	}
}

// sockets is what a message costs at growing numbers of sockets.
func sockets() group {
	return group{
		name: "sockets", title: "What a message costs at growing numbers of sockets",
		servers: "ours,floor,node,bun,gws", rounds: 2, duration: time.Second, extra: true, scenarios: load.GrowthSockets(),
		chart:   lines("sockets", "CPU time of a message or delivery, by sockets", "sockets-"),
		summary: flatness,
	}
}

// replicas is what a broadcast costs a cluster of growing size.
func replicas() group {
	goals := map[string]map[string]float64{}
	for _, n := range []int{2, 4, 8} {
		goals[fmt.Sprintf("replicas-classic-%d", n)] = map[string]float64{"node": 0.15}
	}
	return group{
		name: "replicas", title: "What a broadcast to a room that lives on one replica costs the cluster",
		servers: "ours,node", rounds: 2, duration: time.Second, extra: true, scenarios: load.GrowthReplicas(), goals: goals,
		chart: lines("replicas", "CPU time of the whole cluster per broadcast, by replicas", "replicas-"),
	}
}

// flatness prints, for each kind of message, how much further from the floor ours is at the
// number where it is furthest than where it is nearest.
func flatness(t *table, w io.Writer) error {
	ratios := map[string][]float64{}
	for _, r := range t.rows {
		kind, _ := splitSize(r.Metric)
		if m := median(r.ratios(t.servers[0], "floor")); !math.IsNaN(m) {
			ratios[kind] = append(ratios[kind], m)
		}
	}
	for _, kind := range slices.Sorted(mapKeys(ratios)) {
		list := ratios[kind]
		if _, err := fmt.Fprintf(w, "%s: ÷ floor between %.2f and %.2f; goal at most 1.30\n", kind, slices.Min(list), slices.Max(list)); err != nil {
			return err
		}
	}
	return nil
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// splitSize takes the number off the end of a metric's name.
func splitSize(metric string) (kind string, n float64) {
	i := strings.LastIndexByte(metric, '-')
	if i < 0 {
		return metric, 0
	}
	n, err := strconv.ParseFloat(metric[i+1:], 64)
	if err != nil {
		return metric, 0
	}
	return metric[:i], n
}
