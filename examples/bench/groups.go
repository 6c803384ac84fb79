package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"posthouse/internal/load"
)

// group is a set of scenarios that share a table, a chart and defaults. The names of its
// scenarios begin with the name of the group, so that -run finds the whole of it.
type group struct {
	name      string
	title     string        // heads its table
	servers   string        // compared by default; empty: those of -servers
	rounds    int           // by default; 0: those of -rounds
	duration  time.Duration // of the measured part by default; 0: that of -duration
	extra     bool          // runs only with -all or when -run finds it
	scenarios []load.Scenario
	goals     map[string]map[string]float64     // by metric and peer
	chart     func(t *table, file string) error // nil: the bars of table.draw
	summary   func(t *table, w io.Writer) error // what the group prints below its table; nil: nothing
}

// groups lists all of them, in the order in which they run.
func groups() []group {
	return []group{
		{name: "table", title: "What an operation costs", scenarios: load.Scenarios(), goals: goals},
		growth(), sockets(), replicas(), latency(), gateway(), history(), recovery(),
	}
}

// choose returns the groups with the scenarios that o asks for.
func choose(all []group, o options) ([]group, error) {
	re, err := regexp.Compile(o.only)
	if err != nil {
		return nil, err
	}
	var list []group
	for _, g := range all {
		g.scenarios = slices.DeleteFunc(slices.Clone(g.scenarios), func(s load.Scenario) bool {
			switch {
			case o.only != "":
				return !re.MatchString(s.Name)
			case o.list:
				return false
			}
			return s.Extra || g.extra && !o.all
		})
		if len(g.scenarios) > 0 {
			list = append(list, g.withDefaults(o))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no scenario matches %q", o.only)
	}
	return list, nil
}

// withDefaults fills in what the flags say; a flag that was given wins.
func (g group) withDefaults(o options) group {
	if g.servers == "" || o.given["servers"] {
		g.servers = o.servers
	}
	if g.rounds == 0 || o.given["rounds"] {
		g.rounds = o.rounds
	}
	if g.duration == 0 || o.given["duration"] {
		g.duration = o.load.Duration
	}
	return g
}
