// Command bench compares this module's server with Node's, Bun's, zishang520's for Go and,
// as the bare WebSocket line, lxzan/gws, side by side: what an operation costs each of them
// in CPU time, and a connection in memory. See README.md for what is measured and how.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
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

const defaultServers = "ours,floor,node,bun,zishang,gws"

// options are the flags.
type options struct {
	rounds   int
	load     load.Load
	only     string
	servers  string
	dir      string
	jsonFile string
	svgFile  string
	svgDir   string
	markdown string
	list     bool
	all      bool
	given    map[string]bool // flags of the command line
}

func parseFlags() (o options) {
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; in each, every server meets every scenario once")
	flag.DurationVar(&o.load.Duration, "duration", 2*time.Second, "measured part of a scenario")
	flag.IntVar(&o.load.Connections, "connections", 50, "connections of the echo scenarios")
	flag.IntVar(&o.load.Idle, "idle", 1000, "connections of the idle scenarios")
	flag.StringVar(&o.only, "run", "", "regular expression of the scenarios to run")
	flag.StringVar(&o.servers, "servers", defaultServers, "servers to compare; the first is compared with the others")
	flag.StringVar(&o.dir, "dir", "examples/bench", "folder of this program's source")
	flag.StringVar(&o.jsonFile, "json", "", "write every measured number to this file")
	flag.StringVar(&o.svgFile, "svg", "", "draw the ratios into this file")
	flag.StringVar(&o.svgDir, "svgs", "", "draw each other group into GROUP.svg in this folder")
	flag.StringVar(&o.markdown, "markdown", "", "write the tables between the markers <!-- bench GROUP --> and <!-- end --> of this file")
	flag.BoolVar(&o.list, "list", false, "list the scenarios and stop")
	flag.BoolVar(&o.all, "all", false, "run every group, not the first table only")
	flag.Parse()
	o.given = map[string]bool{}
	flag.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	return o
}

func run(ctx context.Context) error {
	o := parseFlags()
	if what, only, _ := strings.Cut(o.only, "/"); what == "cores" && !o.list {
		return runCores(ctx, o, only)
	}
	chosen, err := choose(groups(), o)
	if err != nil {
		return err
	}
	if o.list {
		for _, g := range chosen {
			for _, s := range g.scenarios {
				fmt.Println(s.Name)
			}
		}
		fmt.Println("cores")
		return nil
	}
	if err := separate(); err != nil {
		return err
	}
	var tables []*table
	for _, g := range chosen {
		t, err := g.run(ctx, o)
		if t != nil {
			tables = append(tables, t)
			err = errors.Join(err, t.write(os.Stdout))
		}
		if err == nil {
			err = g.report(t, o)
		}
		if err != nil {
			return errors.Join(err, save(o.jsonFile, tables))
		}
	}
	return save(o.jsonFile, tables)
}

// run lets every server meet every scenario of the group, once a round.
func (g group) run(ctx context.Context, o options) (*table, error) {
	removeCertificate, err := makeCertificate(g.scenarios)
	if err != nil {
		return nil, err
	}
	defer removeCertificate()
	kinds, clean, err := prepare(ctx, strings.Split(g.servers, ","), o.dir)
	if err != nil {
		return nil, err
	}
	defer clean()
	redis, err := startRedis(ctx, g.scenarios)
	if err != nil {
		return nil, err
	}
	defer redis.stop()

	o.load.Duration = g.duration
	if g.extra {
		o.load.Warmup = max(g.duration/2, time.Second) // what a compiler does at first is not counted
	}
	t := &table{title: g.title, servers: names(kinds), goals: g.goals}
	for round := range g.rounds {
		for _, s := range g.scenarios {
			if s.Redis && redis == nil {
				continue
			}
			for i := range kinds {
				k := kinds[(i+round)%len(kinds)] // a different server comes first in each round
				if !k.fits(s) {
					continue
				}
				started := time.Now()
				m, err := measure(ctx, o.load, s, k, redis)
				if ctx.Err() != nil {
					return t, ctx.Err()
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
	return t, nil
}

// report prints, draws and files what the group makes of its table.
func (g group) report(t *table, o options) error {
	if g.summary != nil {
		if err := g.summary(t, os.Stdout); err != nil {
			return err
		}
	}
	draw, file := t.draw, ""
	if g.chart != nil {
		draw = func(file string) error { return g.chart(t, file) }
	}
	switch {
	case !g.extra:
		file = o.svgFile
	case o.svgDir != "":
		file = filepath.Join(o.svgDir, g.name+".svg")
	}
	return errors.Join(draw(file), t.insert(o.markdown, g.name))
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
		if err := redis.flush(); err != nil { // so that one scenario's streams are not the next one's
			return nil, err
		}
		env = append(slices.Clone(env), "REDIS_URL=redis://"+redis.addr)
		l.Redis = redis.addr
	}
	if s.Gateway {
		return measureGateway(ctx, l, s, k)
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
func save(file string, tables []*table) error {
	if file == "" {
		return nil
	}
	var rows []*row
	for _, t := range tables {
		rows = append(rows, t.rows...)
	}
	b, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
