package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
)

// point is a place on a line.
type point struct{ x, y float64 }

// panel is one diagram of a chart of lines.
type panel struct {
	title string
	lines map[string][]point // by server
}

// Places of a chart of lines.
const (
	panelWidth  = 360
	panelHeight = 240
	panelLeft   = 60
	panelTop    = 40
	panelBottom = 36
)

// lines returns a chart with a panel per kind of metric and a line per server: metrics are
// named KIND-NUMBER, and the number is the place on the axis. Both axes are logarithmic.
func lines(axis, title, prefix string) func(*table, string) error {
	return func(t *table, file string) error {
		var panels []panel
		for _, r := range t.rows {
			kind, n := splitSize(r.Metric)
			if n == 0 {
				continue
			}
			kind = strings.TrimPrefix(kind, prefix)
			i := slices.IndexFunc(panels, func(p panel) bool { return p.title == kind })
			if i < 0 {
				i = len(panels)
				panels = append(panels, panel{title: kind, lines: map[string][]point{}})
			}
			for _, s := range t.servers {
				if y := median(present(r.Samples[s])); !math.IsNaN(y) {
					panels[i].lines[s] = append(panels[i].lines[s], point{n, y})
				}
			}
		}
		return drawLines(file, title, axis, "µs", t.servers, panels)
	}
}

// drawLines writes the panels as an SVG, two in a row.
func drawLines(file, title, axis, unit string, servers []string, panels []panel) error {
	if file == "" || len(panels) == 0 {
		return nil
	}
	rows := (len(panels) + 1) / 2
	width, height := 2*panelWidth+20, 62+rows*(panelHeight+10)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui,sans-serif" font-size="13" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="12" y="22" font-size="15" font-weight="600">%s</text>`+"\n", title)
	for i, s := range servers {
		left := 12 + i*80
		fmt.Fprintf(&b, `<rect x="%d" y="36" width="12" height="12" fill="%s"/><text x="%d" y="47">%s</text>`+"\n", left, lineColor(i), left+18, s)
	}
	for i, p := range panels {
		p.draw(&b, (i%2)*panelWidth, 62+i/2*(panelHeight+10), axis, unit, servers)
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// lineColor leaves the first, which is ours, black.
func lineColor(i int) string {
	if i == 0 {
		return "#111"
	}
	return barColors[(i-1)%len(barColors)]
}

// draw writes one diagram with its corner at left, top.
func (p panel) draw(b *strings.Builder, left, top int, axis, unit string, servers []string) {
	var all []point
	for _, line := range p.lines {
		all = append(all, line...)
	}
	if len(all) == 0 {
		return
	}
	low, high := all[0], all[0]
	for _, q := range all {
		low = point{min(low.x, q.x), min(low.y, q.y)}
		high = point{max(high.x, q.x), max(high.y, q.y)}
	}
	at := func(v, least, most, from, to float64) float64 {
		if most <= least {
			return (from + to) / 2
		}
		return from + math.Log(v/least)/math.Log(most/least)*(to-from)
	}
	x := func(v float64) float64 {
		return at(v, low.x, high.x, float64(left+panelLeft), float64(left+panelWidth-30))
	}
	bottom := float64(top + panelHeight - panelBottom)
	least, most := decade(low.y, false), decade(high.y, true)
	y := func(v float64) float64 { return at(v, least, most, bottom, float64(top+panelTop)) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="600">%s</text>`+"\n", left+panelLeft, top+24, p.title)
	for _, v := range steps(least, most) {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" font-size="11" fill="#666" text-anchor="end">%s</text>`+"\n",
			left+panelLeft, left+panelWidth-30, y(v), y(v), left+panelLeft-6, y(v)+4, axisLabel(v, unit))
	}
	var marks []float64
	for _, q := range all {
		marks = append(marks, q.x)
	}
	slices.Sort(marks)
	for _, v := range slices.Compact(marks) {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="11" fill="#666" text-anchor="middle">%.0f</text>`+"\n", x(v), bottom+15, v)
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f" font-size="11" fill="#666" text-anchor="end">%s</text>`+"\n", left+panelWidth-30, bottom+29, axis)
	for i, s := range servers {
		var path []string
		for _, q := range p.lines[s] {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(q.x), y(q.y)))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(q.x), y(q.y), lineColor(i))
		}
		if len(path) > 0 {
			fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.8"/>`+"\n", strings.Join(path, " "), lineColor(i))
		}
	}
}

// axisLabel takes the larger unit of time where the number would be long.
func axisLabel(v float64, unit string) string {
	switch {
	case unit == "µs" && v >= 1e6:
		return fmt.Sprintf("%g s", v/1e6)
	case unit == "µs" && v >= 1000:
		return fmt.Sprintf("%g ms", v/1000)
	}
	return fmt.Sprintf("%g %s", v, unit)
}

// steps are the round values from least to most: 1, 2, 5 of each power of ten, or the powers
// alone where they are many.
func steps(least, most float64) (list []float64) {
	parts := []float64{1, 2, 5}
	if most/least > 2000 {
		parts = parts[:1]
	}
	for power := math.Pow(10, math.Floor(math.Log10(least))); power <= most; power *= 10 {
		for _, m := range parts {
			if v := m * power; v >= least*0.999 && v <= most*1.001 {
				list = append(list, v)
			}
		}
	}
	return list
}

// decade rounds a value down or up to one of steps.
func decade(v float64, up bool) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	best := power
	for _, m := range []float64{1, 2, 5, 10} {
		switch {
		case up && m*power >= v:
			return m * power
		case !up && m*power <= v:
			best = m * power
		}
	}
	return best
}
