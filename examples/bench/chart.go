package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// The chart shows, per metric, the peers' cost as a multiple of ours.
const (
	chartWidth = 760
	barLeft    = 170
	barHeight  = 12
	rowHeight  = 42
	chartTop   = 56
)

var barColors = []string{"#c2410c", "#2563eb", "#4d7c0f", "#7c3aed"}

// draw writes an SVG with a row per metric and a bar per peer: how many times the
// first server's cost theirs is. The scale is logarithmic.
func (t *table) draw(file string) error {
	if file == "" || len(t.servers) < 2 {
		return nil
	}
	most := 2.0
	for _, r := range t.rows {
		for _, s := range t.servers[1:] {
			if m := 1 / median(r.ratios(t.servers[0], s)); m > most { // false for NaN
				most = m
			}
		}
	}
	scale := func(times float64) float64 {
		return math.Max(2, math.Log(math.Max(times, 0.5)/0.5)/math.Log(most/0.5)*(chartWidth-barLeft-90))
	}
	height := chartTop + len(t.rows)*rowHeight + 12
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui,sans-serif" font-size="13" fill="#222">`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="12" y="22" font-size="15" font-weight="600">Cost compared with %s (1×): CPU time per operation, memory per connection</text>`+"\n", t.servers[0])
	for i, s := range t.servers[1:] {
		x := barLeft + i*90
		fmt.Fprintf(&b, `<rect x="%d" y="33" width="12" height="12" fill="%s"/><text x="%d" y="44">%s</text>`+"\n", x, barColors[i%len(barColors)], x+18, s)
	}
	one := barLeft + scale(1)
	fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#999" stroke-dasharray="3 3"/><text x="%.1f" y="44" font-size="11" fill="#666" text-anchor="end">1×</text>`+"\n", one, one, chartTop-6, height-8, one-4)
	for i, r := range t.rows {
		y := chartTop + i*rowHeight
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", barLeft-10, y+15, r.Metric)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-size="11" fill="#666">%.3g %s</text>`+"\n", barLeft-10, y+29, median(present(r.Samples[t.servers[0]])), r.Unit)
		for j, s := range t.servers[1:] {
			times := 1 / median(r.ratios(t.servers[0], s))
			if math.IsNaN(times) {
				continue
			}
			at := y + j*(barHeight+3)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="11">%.1f×</text>`+"\n",
				barLeft, at, scale(times), barHeight, barColors[j%len(barColors)], barLeft+scale(times)+5, at+10, times)
		}
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
