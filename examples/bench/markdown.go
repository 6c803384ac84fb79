package main

import (
	"fmt"
	"math"
	"os"
	"strings"

	"posthouse/internal/load"
)

// insert replaces what stands between the markers of a group in a Markdown file by the
// table. A file without the markers is left alone.
func (t *table) insert(file, group string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- bench "+group+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(b), begin)
	if !ok {
		return nil
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return fmt.Errorf("%s: the table of %s has no %s", file, group, end)
	}
	return os.WriteFile(file, []byte(before+begin+"\n"+t.markdown()+"\n"+end+after), 0o644)
}

// markdown has a row per metric: the median of the first server, and its ratio to each
// of the others with the noise. The value of a peer stands alone where ours is missing.
func (t *table) markdown() string {
	var b strings.Builder
	head, line := "| | "+t.servers[0], "|---|---:"
	for _, s := range t.servers[1:] {
		head += " | ÷ " + s
		line += "|---:"
	}
	goals := len(t.goals) > 0
	if goals {
		head += " | goal"
		line += "|---"
	}
	fmt.Fprintf(&b, "%s |\n%s|\n", head, line)
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s", r.Metric, number(median(present(r.Samples[t.servers[0]])), r.Unit))
		for _, s := range t.servers[1:] {
			list := r.ratios(t.servers[0], s)
			cell := ""
			switch {
			case len(list) > 0:
				cell = fmt.Sprintf("%.2f ±%.0f %%", median(list), 100*noise(list))
			case len(present(r.Samples[s])) > 0:
				cell = number(median(present(r.Samples[s])), r.Unit)
			}
			fmt.Fprintf(&b, " | %s", cell)
		}
		if goals {
			b.WriteString(" | " + t.verdicts(r))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// verdicts says which goals of a metric there are, and what became of those that are not met.
func (t *table) verdicts(r *row) string {
	var list []string
	for _, s := range t.servers[1:] {
		goal := t.goals[r.Metric][s]
		if goal == 0 || len(r.ratios(t.servers[0], s)) == 0 {
			continue
		}
		text := fmt.Sprintf("÷ %s ≤ %.2f", s, goal)
		if v := t.verdict(r, s); v != "met" {
			text += " " + v
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// number has three significant digits; NaN was not measured.
func number(x float64, unit string) string {
	switch {
	case math.IsNaN(x):
		return ""
	case x <= load.Nothing:
		return "0 " + unit
	case x < 0.005:
		return fmt.Sprintf("%.1g %s", x, unit)
	}
	digits := 2
	switch {
	case x >= 100:
		digits = 0
	case x >= 10:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, x, unit)
}
