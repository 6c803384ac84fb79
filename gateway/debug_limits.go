package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// limit is a bound of what clients may do, as GET /debug/limits and docs/operations.md
// show it.
type limit struct {
	row     int    // of docs/reliability.md §4
	name    string // the reason label of posthouse_refused_total where there is one
	setting string // that changes it; "" when it is fixed
	value   string // the default
	place   string // where it is enforced
	answer  string // what the client gets
	metric  string // the series that counts what was refused; "": that of its name, if there is one

	current func(*Config) string // nil: value
	use     func(*App) int64     // nil: there is no use to show
	refused func(*App) uint64    // nil: by name
}

// limitOff is a limit that is switched off, as in the configuration.
const limitOff = "off"

func rateText(r Rate) string {
	switch {
	case r.Off:
		return limitOff
	case r.Per == time.Minute:
		return strconv.Itoa(r.N) + "/m"
	case r.Per == time.Hour:
		return strconv.Itoa(r.N) + "/h"
	}
	return strconv.Itoa(r.N) + "/s"
}

func countText(c Count) string {
	if c.Off {
		return limitOff
	}
	return strconv.Itoa(c.N)
}

func percentText(p Percent) string {
	if p.Off {
		return limitOff
	}
	return strconv.Itoa(p.N) + "%"
}

// limitReport is a limit in the answer of /debug/limits.
type limitReport struct {
	Row     int     `json:"row"`
	Name    string  `json:"name"`
	Setting string  `json:"setting,omitempty"`
	Value   string  `json:"value"`
	Place   string  `json:"place"`
	Answer  string  `json:"answer"`
	Use     *int64  `json:"use,omitempty"`
	Metric  string  `json:"metric,omitempty"`  // that counts what was refused, together with what else it counts
	Refused *uint64 `json:"refused,omitempty"` // absent: metric alone counts it, or nothing is refused
}

// series is what counts the refusals of a limit; "" when nothing does.
func (l *limit) series() string {
	switch {
	case l.metric != "":
		return l.metric
	case isRefusal(l.name):
		return `posthouse_refused_total{limit="` + l.name + `"}`
	}
	return ""
}

// isRefusal reports whether a name is a label of posthouse_refused_total.
func isRefusal(name string) bool {
	_, loud := refusalFixes[name]
	return loud || slices.Contains(quietRefusals, name)
}

func (a *App) reportLimits() (all []limitReport) {
	for i := range limits {
		l := &limits[i]
		r := limitReport{Row: l.row, Name: l.name, Setting: l.setting, Value: l.value, Place: l.place, Answer: l.answer, Metric: l.series()}
		if l.current != nil {
			r.Value = l.current(&a.config)
		}
		if l.use != nil {
			n := l.use(a)
			r.Use = &n
		}
		switch {
		case l.refused != nil:
			n := l.refused(a)
			r.Refused = &n
		case isRefusal(l.name):
			n := a.metrics.refusals.refusedBy(l.name)
			r.Refused = &n
		}
		all = append(all, r)
	}
	return all
}

// serveLimits answers GET /debug/limits: each limit, its use and its refusals.
func (a *App) serveLimits(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(struct {
		Limits []limitReport `json:"limits"`
	}{a.reportLimits()}) // the peer may be gone
}
