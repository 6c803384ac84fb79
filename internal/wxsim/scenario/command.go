package scenario

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

//go:embed scripts
var scripts embed.FS

// ErrFailed is what a run ends with when the gateway did something wrong. What
// it was has been printed.
var ErrFailed = errors.New("scenario: failed")

// Command is the runner as a command line has it. Its tags are read by the
// binary's flag parser.
type Command struct {
	Script []string `arg:"" optional:"" help:"Scenario files, names of built-in ones, or \"all\". Without any: load."`

	Gateway      []string      `sep:"," default:"http://127.0.0.1:3000" help:"Base URLs of the replicas."`
	Simulator    string        `placeholder:"URL" help:"Base URL of the simulator with its prefix; default: /sim of the first gateway."`
	SocketIOPath string        `name:"socketio-path" default:"/socket.io/" help:"Path of Socket.IO."`
	Spread       bool          `default:"true" negatable:"" help:"Let tabs come from many addresses of 127.0.0.0/8, so that limits per address can stay on (Linux, local gateways)."`
	Logins       int           `default:"1000" help:"Logins of a load run."`
	Concurrency  int           `default:"128" help:"Tabs open at a time."`
	Rate         float64       `default:"80" help:"Logins started per second; negative: as fast as possible."`
	ThinkTime    time.Duration `default:"0s" help:"Longest pause between code and scan."`
	Seed         uint64        `default:"1" help:"The same seed asks for the same logins."`
	Timeout      time.Duration `default:"1m" help:"Longest time for one login."`

	Mix     map[string]float64 `placeholder:"SHARE=PERCENT;…" help:"Shares of the load's fates that are not to be the usual ones: never-scan, cancelled, replaced, expired, late, two-people, rescan, reconnect, lost-ack, pkce, denied; of its pushes: duplicates, delays, reorders."`
	Account map[string]string  `placeholder:"NAME=APPID;…" help:"Accounts of the gateway to spread the load over, and their appids at the simulator."`
	Confirm bool               `help:"The gateway asks for a number before each login (POSTHOUSE_CONFIRM=always): a token without that is a failure."`
	Outages bool               `help:"Replicas or Redis are killed meanwhile: pushes may meet broken connections before they are answered."`

	// Output gets steps and reports; default os.Stdout.
	Output io.Writer `kong:"-"`
}

// Help is shown by posthouse wxsim scenario --help.
func (c *Command) Help() string {
	return `Shares of --mix: never-scan, cancelled, replaced, expired, late, two-people, rescan,
reconnect, lost-ack, pkce, denied; of the pushes: duplicates, delays, reorders.
Example: posthouse wxsim scenario all --gateway http://127.0.0.1:3000`
}

// Run plays the scripts, or the load when there are none. ErrFailed tells that
// the run itself was fine and the gateway was not.
func (c *Command) Run(ctx context.Context) error {
	out := c.Output
	if out == nil {
		out = os.Stdout
	}
	target := Target{Gateways: c.Gateway, Simulator: c.Simulator, SocketIOPath: c.SocketIOPath, Spread: c.Spread}
	if len(c.Script) == 0 {
		return c.load(ctx, target, out)
	}
	names := c.Script
	all := len(names) == 1 && names[0] == "all"
	if all {
		names = Builtin()
	}
	failed := false
	for _, name := range names {
		script, err := open(name)
		if err != nil {
			return err
		}
		if all && script.Needs != "" {
			fmt.Fprintf(out, "%s: left out, it needs %s (name it to play it)\n", name, script.Needs)
			continue
		}
		if Play(ctx, script, target, out) != nil {
			failed = true
		}
	}
	if failed {
		return ErrFailed
	}
	return nil
}

func (c *Command) load(ctx context.Context, target Target, out io.Writer) error {
	mix := DefaultMix()
	for name, percent := range c.Mix {
		if err := mix.Set(name, percent); err != nil {
			return err
		}
	}
	var accounts []Account
	for _, name := range slices.Sorted(maps.Keys(c.Account)) {
		accounts = append(accounts, Account{Name: name, AppID: c.Account[name]})
	}
	report, err := Load(ctx, LoadOptions{
		Target: target, Logins: c.Logins, Concurrency: c.Concurrency, Rate: c.Rate, ThinkTime: c.ThinkTime, Timeout: c.Timeout,
		Mix: &mix, Seed: c.Seed, Accounts: accounts, Confirm: c.Confirm, Outages: c.Outages, Output: out,
	})
	if err != nil {
		return err
	}
	report.Print(out)
	if !report.OK() {
		return ErrFailed
	}
	return nil
}

// Builtin is the names of the scenarios that come with the package.
func Builtin() []string {
	files, _ := fs.Glob(scripts, "scripts/*.yaml")
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "scripts/"), ".yaml")
	}
	return files
}

// open reads a built-in scenario, or a file.
func open(name string) (Script, error) {
	var file fs.File
	file, err := scripts.Open("scripts/" + name + ".yaml")
	if err != nil {
		if file, err = os.Open(name); err != nil {
			return Script{}, fmt.Errorf("scenario: %q is neither a file nor one of %s", name, strings.Join(Builtin(), ", "))
		}
	}
	defer func() { _ = file.Close() }()
	s, err := ReadScript(file)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}
