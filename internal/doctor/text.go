package doctor

import (
	"fmt"
	"io"
	"strings"
)

// marks are the first characters of the lines.
var marks = map[Result]string{OK: "✓", Fail: "✗", Skip: "–"}

// WriteText writes one line for each check. A line with a known hop names that hop's
// setting only.
func (r *Report) WriteText(w io.Writer) error {
	for _, c := range r.Checks {
		line := fmt.Sprintf("%s %-14s %s", marks[c.Result], c.Name, c.Seen)
		if c.Blame != "" {
			line += "; to blame: " + c.Blame
		}
		if settings := c.Settings; len(settings) > 0 {
			if strings.HasPrefix(settings[0], c.Blame+": ") {
				settings = settings[:1]
			}
			line += "; to change: " + strings.Join(settings, " | ")
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
