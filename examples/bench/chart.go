package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// The chart shows, per metric, the peers' cost as a multiple of ours.
const (
	chartWidth = 760
	barLeft    = 170
	barHeight  = 12
	barGap     = 3
	rowGap     = 12
	chartTop   = 74
)

var barColors = []string{"#c2410c", "#2563eb", "#4d7c0f", "#7c3aed"}

// draw writes an SVG with a row per metric and a bar per peer: how many times the
// first server's cost theirs is. The axis is logarithmic, bars begin at 1×. The floor is no
// server that people choose.
func (t *table) draw(file string) error {
	if file == "" || len(t.servers) < 2 {
		return nil
	}
	peers := slices.DeleteFunc(slices.Clone(t.servers[1:]), func(s string) bool { return s == "floor" })
	most := 2.0
	for _, r := range t.rows {
		for _, s := range peers {
			if m := 1 / median(r.ratios(t.servers[0], s)); m > most { // false for NaN
				most = m
			}
		}
	}
	x := func(times float64) float64 {
		const least = 0.5
		return barLeft + math.Log(math.Max(times, least)/least)/math.Log(most/least)*(chartWidth-barLeft-60)
	}
	rowHeight := rowGap + max(2, len(peers))*(barHeight+barGap) // the two lines of the label at least
	bottom := chartTop + len(t.rows)*rowHeight
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui,sans-serif" font-size="13" fill="#222">`+"\n", chartWidth, bottom+10)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, bottom+10)
	fmt.Fprintf(&b, `<text x="12" y="22" font-size="15" font-weight="600">Cost as a multiple of %s: CPU time per operation, memory per connection</text>`+"\n", t.servers[0])
	for i, s := range peers {
		left := 12 + i*85
		fmt.Fprintf(&b, `<rect x="%d" y="36" width="12" height="12" fill="%s"/><text x="%d" y="47">%s</text>`+"\n", left, barColors[i%len(barColors)], left+18, s)
	}
	for _, times := range []float64{0.5, 1, 2, 5, 10, 20, 50} {
		if times > most {
			break
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#ccc"/><text x="%.1f" y="%d" font-size="11" fill="#666" text-anchor="middle">%g×</text>`+"\n",
			x(times), x(times), chartTop-6, bottom, x(times), chartTop-10, times)
	}
	for i, r := range t.rows {
		y := chartTop + i*rowHeight
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", barLeft-10, y+15, r.Metric)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-size="11" fill="#666">%.3g %s</text>`+"\n", barLeft-10, y+29, median(present(r.Samples[t.servers[0]])), r.Unit)
		for j, s := range peers {
			times := 1 / median(r.ratios(t.servers[0], s))
			if math.IsNaN(times) {
				continue
			}
			at := y + j*(barHeight+barGap)
			from, to := min(x(1), x(times)), max(x(1), x(times))
			fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="11">%.1f×</text>`+"\n",
				from, at, max(to-from, 1.5), barHeight, barColors[j%len(barColors)], to+5, at+10, times)
		}
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
