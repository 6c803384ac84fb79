// Command bench compares this module's server with Node's, Bun's and zishang520's for
// Go, side by side: what an operation costs each of them in CPU time, and a connection in
// memory. See README.md for what is measured and how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"posthouse/internal/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds   int
	load     load.Load
	only     string
	servers  string
	dir      string
	jsonFile string
	svgFile  string
	list     bool
}

func parseFlags() (o options) {
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; in each, every server meets every scenario once")
	flag.DurationVar(&o.load.Duration, "duration", 2*time.Second, "measured part of a scenario")
	flag.IntVar(&o.load.Connections, "connections", 50, "connections of the echo scenarios")
	flag.IntVar(&o.load.Idle, "idle", 1000, "connections of the idle scenarios")
	flag.StringVar(&o.only, "run", "", "regular expression of the scenarios to run")
	flag.StringVar(&o.servers, "servers", "ours,node,bun,zishang", "servers to compare; the first is compared with the others")
	flag.StringVar(&o.dir, "dir", "examples/bench", "folder of this program's source")
	flag.StringVar(&o.jsonFile, "json", "", "write every measured number to this file")
	flag.StringVar(&o.svgFile, "svg", "", "draw the ratios into this file")
	flag.BoolVar(&o.list, "list", false, "list the scenarios and stop")
	flag.Parse()
	return o
}

func run(ctx context.Context) error {
	o := parseFlags()
	scenarios := load.Scenarios()
	if o.only != "" {
		re, err := regexp.Compile(o.only)
		if err != nil {
			return err
		}
		scenarios = slices.DeleteFunc(scenarios, func(s load.Scenario) bool { return !re.MatchString(s.Name) })
	} else if !o.list {
		scenarios = slices.DeleteFunc(scenarios, func(s load.Scenario) bool { return s.Extra })
	}
	if o.list {
		for _, s := range scenarios {
			fmt.Println(s.Name)
		}
		return nil
	}
	if err := separate(); err != nil {
		return err
	}
	removeCertificate, err := makeCertificate(scenarios)
	if err != nil {
		return err
	}
	defer removeCertificate()
	kinds, clean, err := prepare(ctx, strings.Split(o.servers, ","), o.dir)
	if err != nil {
		return err
	}
	defer clean()
	redis, err := startRedis(ctx, scenarios)
	if err != nil {
		return err
	}
	defer redis.stop()

	t := &table{servers: names(kinds)}
	for round := range o.rounds {
		for _, s := range scenarios {
			if s.Redis && redis == nil {
				continue
			}
			for i := range kinds {
				k := kinds[(i+round)%len(kinds)] // a different server comes first in each round
				if s.Redis && k.alone {
					continue
				}
				started := time.Now()
				m, err := measure(ctx, o.load, s, k, redis)
				if ctx.Err() != nil {
					return errors.Join(t.write(os.Stdout), ctx.Err())
				}
				if err != nil {
					fmt.Fprintf(os.Stderr, "round %d %s %s: %v\n", round+1, s.Name, k.name, err)
				}
				for _, x := range m {
					t.add(metricName(s, x), x.Unit, k.name, round, x.Value)
					fmt.Fprintf(os.Stderr, "round %d  %-18s %-5s %9.2f %s  (%.1fs)\n", round+1, metricName(s, x), k.name, x.Value, x.Unit, time.Since(started).Seconds())
				}
			}
		}
	}
	return errors.Join(t.write(os.Stdout), t.save(o.jsonFile), t.draw(o.svgFile))
}

func metricName(s load.Scenario, m load.Metric) string {
	if m.Name == "" {
		return s.Name
	}
	return s.Name + " " + m.Name
}

// measure runs one scenario against fresh processes of one server.
func measure(ctx context.Context, l load.Load, s load.Scenario, k kind, redis *process) ([]load.Metric, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	env := s.Env
	if s.Redis {
		env = append(slices.Clone(env), "REDIS_URL=redis://"+redis.addr)
	}
	var targets []*load.Target
	for range s.Servers {
		p, err := k.start(ctx, env)
		if err != nil {
			return nil, err
		}
		defer p.stop()
		t, err := load.Find(ctx, p.addr)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return s.Run(ctx, l, targets)
}

// separate keeps this process on the first core; the servers get the last, so
// that the work of the one does not show in the other's.
func separate() error {
	if runtime.NumCPU() < 2 {
		return errors.New("needs two cores: one for the servers, one for the load")
	}
	if err := load.Pin(0); err != nil {
		return fmt.Errorf("pinning: %w", err)
	}
	runtime.GOMAXPROCS(1)
	return nil
}

// save writes all samples as JSON.
func (t *table) save(file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(t.rows, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
