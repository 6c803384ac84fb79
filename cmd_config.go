package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"posthouse/gateway"
)

// configCommands is the command "posthouse config": what an operator asks about the
// settings.
type configCommands struct {
	Check configCheck `cmd:"" passthrough:"" help:"Say everything that is wrong with the settings, one line each."`
	Show  configShow  `cmd:"" passthrough:"" help:"Print the settings in force and where each came from."`
	Doc   configDoc   `cmd:"" help:"Print every setting with its type, default and meaning."`
}

// Help is shown by posthouse config --help.
func (configCommands) Help() string {
	return "Example: posthouse config check posthouse.yaml"
}

// configCheck is the command "posthouse config check".
type configCheck struct {
	Args []string `arg:"" optional:"" name:"[FILE] [--flag=value …]" help:"FILE stands for --config; the flags are those of serve."`
}

// Run reads the settings as serve would, and fails when something is wrong.
func (c configCheck) Run(known variables) error {
	const help = `Usage: posthouse config check [FILE] [--flag=value ...]

Reads flags, environment and file exactly as serve would, connects to nothing,
and says everything that is wrong, one line each:

  FILE:LINE: key: what is wrong; the fix
  POSTHOUSE_X: what is wrong; the fix
  --x: what is wrong; the fix

Exit code 0 when nothing is wrong, else 1.

Example: POSTHOUSE_ENV=production posthouse config check posthouse.yaml
`
	s := readSettings(c.Args, known, help)
	if s == nil {
		return nil
	}
	return problems(s)
}

// configShow is the command "posthouse config show".
type configShow struct {
	Args []string `arg:"" optional:"" name:"[FILE] [--flag=value …]" help:"FILE stands for --config; the flags are those of serve."`
}

// Run prints the settings, and fails when something is wrong with them.
func (c configShow) Run(known variables) error {
	const help = `Usage: posthouse config show [FILE] [--flag=value ...]

Prints one line for each setting: the flag's name, the value in force, and the
source of the value: flag, env, file or default. Secrets are printed as ***.

Example: posthouse config show posthouse.yaml --log-level=debug
`
	s := readSettings(c.Args, known, help)
	if s == nil {
		return nil
	}
	if err := s.Show(os.Stdout); err != nil {
		return err
	}
	return problems(s)
}

// configDoc is the command "posthouse config doc".
type configDoc struct {
	Markdown bool `help:"Print the table of docs/configuration.md."`
}

// Help is shown by posthouse config doc --help.
func (configDoc) Help() string { return "Example: posthouse config doc | grep -A2 redis" }

// Run prints the settings that there are.
func (c configDoc) Run() error { return gateway.SettingsDoc(os.Stdout, c.Markdown) }

// variables are the environment variables that some command reads.
type variables []string

// readSettings reads what follows the command. It returns nil after having printed help.
func readSettings(args []string, known variables, help string) *gateway.Settings {
	if slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		fmt.Print(help)
		return nil
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"--config=" + args[0]}, args[1:]...)
	}
	return gateway.ReadSettings(args, os.Environ(), known)
}

// errWrongSettings is for settings whose problems have been printed.
var errWrongSettings = errors.New("the settings are wrong")

func problems(s *gateway.Settings) error {
	for _, line := range s.Problems() {
		fmt.Fprintln(os.Stderr, line)
	}
	if len(s.Problems()) > 0 {
		return errWrongSettings
	}
	return nil
}
