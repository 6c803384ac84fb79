package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"text/tabwriter"
	"time"

	"posthouse/internal/load"
)

// bench puts a server under load that offers the events of examples/bench, on
// this machine, whatever it is written in.
type bench struct {
	Target      []string      `arg:"" placeholder:"HOST:PORT" help:"Servers under load; the cluster scenario needs two."`
	Only        string        `name:"run" placeholder:"REGEXP" help:"Scenarios to run; all that fit the targets by default."`
	Duration    time.Duration `default:"2s" help:"Measured part of a scenario."`
	Connections int           `default:"50" help:"Connections of the echo scenarios."`
	Idle        int           `default:"1000" help:"Connections of the idle scenarios."`
}

// Help is shown by posthouse bench --help.
func (bench) Help() string {
	return `Example: posthouse bench --run echo --duration 5s 127.0.0.1:4000`
}

func (b *bench) Run(ctx context.Context) error {
	only, err := regexp.Compile(b.Only)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	var targets []*load.Target
	for _, addr := range b.Target {
		t, err := load.Find(ctx, addr)
		if err != nil {
			return fmt.Errorf("%s does not offer /bench/pid: %w", addr, err)
		}
		targets = append(targets, t)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	ran, bar := false, newProgress(os.Stderr)
	for _, s := range load.Scenarios() {
		if s.Servers > len(targets) || !only.MatchString(s.Name) || s.Extra && b.Only == "" {
			continue
		}
		ran = true
		bar.show(s.Name)
		metrics, err := s.Run(ctx, load.Load{Duration: b.Duration, Connections: b.Connections, Idle: b.Idle}, targets[:s.Servers])
		bar.clear()
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		for _, m := range metrics {
			fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\n", s.Name, m.Name, m.Value, m.Unit)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if !ran {
		return errors.New("no scenario fits")
	}
	return nil
}
