// Posthouse is a Socket.IO-compatible realtime gateway with a WeChat login. Run
// without arguments it starts everything with embedded defaults: no Redis, no
// configuration, a local WeChat.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"posthouse/gateway"
)

// commands is what the binary can do; serve is the default.
type commands struct {
	Serve    serve            `cmd:"" default:"withargs" help:"Run the gateway (the default)."`
	Wxsim    wxsimCommands    `cmd:"" help:"Run the local WeChat alone, or scenarios and load against gateways."`
	Emit     emit             `cmd:"" help:"Emit an event to clients, through the API or Redis."`
	Bench    bench            `cmd:"" help:"Put a Socket.IO server under load and tell what it costs."`
	Doctor   examine          `cmd:"" help:"Examine the way to any Socket.IO server, and name the hop that is to blame."`
	Admin    adminCommands    `cmd:"" help:"Tools for the Admin UI."`
	Config   configCommands   `cmd:"" help:"Check, show and explain the settings."`
	Version  printVersion     `cmd:"" help:"Print version, commit, Go release and protocols, for bug reports."`
	Complete completion       `cmd:"" name:"completion" help:"Print a script that completes commands and flags in a shell."`
	Short    kong.VersionFlag `name:"version" help:"Print the version."`
}

func main() {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("posthouse"),
		kong.Description("A Socket.IO-compatible realtime gateway with a WeChat login."),
		kong.Vars{"version": buildVersion()},
		kong.Help(printHelp),
	)
	if err != nil {
		panic(err) // the tags above are wrong
	}
	known := environmentNames(parser.Model)
	for _, name := range known {
		if os.Getenv(name) == "" {
			_ = os.Unsetenv(name) // compose files pass what is not set as empty
		}
	}
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fatal(err)
	}
	if !strings.HasPrefix(command.Command(), "config ") { // which says all that is wrong
		if err := gateway.CheckEnvironment(os.Environ(), known); err != nil {
			fatal(err)
		}
	}
	command.Bind(variables(known))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run()
	code, hasCode := errors.AsType[exitCode](err)
	switch {
	case hasCode:
		os.Exit(int(code))
	case errors.Is(err, errWrongSettings):
		os.Exit(1)
	case err != nil:
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "posthouse:", err)
	os.Exit(1)
}

// environmentNames lists the variables that some flag reads.
func environmentNames(app *kong.Application) []string {
	var names []string
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			names = append(names, flag.Envs...)
		}
		return next(nil)
	})
	return names
}

// serve runs the gateway until SIGTERM or SIGINT.
type serve struct {
	gateway.Config `embed:""`
}

// Help is shown by posthouse serve --help.
func (serve) Help() string {
	return `Settings are flags, environment variables and keys of a YAML file:
  posthouse config doc      lists all of them with their defaults
  posthouse config show     prints those in force, and where each came from
  posthouse config check    says everything that is wrong with them

--addr=:3000 is POSTHOUSE_ADDR=:3000, and in a file addr: ":3000". Flags win over
the environment, the environment wins over the file of --config.

Example: posthouse serve
         POSTHOUSE_ENV=production posthouse serve --config=posthouse.yaml`
}

func (s *serve) Run(ctx context.Context, known variables) error {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "serve" {
		args = args[1:]
	}
	s.Reread = func() *gateway.Settings { return gateway.ReadSettings(args, os.Environ(), known) }
	limitMemory()
	paceCollector()
	slog.SetDefault(gateway.NewLogger(os.Stderr, s.LogLevel, s.LogFormat))
	app, err := gateway.New(s.Config)
	if err != nil {
		return err
	}
	app.Banner(os.Stdout)
	return app.Run(ctx)
}
