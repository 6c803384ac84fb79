package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"posthouse/internal/doctor"
)

// examine is the command "posthouse doctor": the way from a browser to any Socket.IO
// server, check by check (docs/doctor.md).
type examine struct {
	JSON   bool   `name:"json" help:"Print one JSON object."`
	Path   string `default:"/socket.io/" help:"The path of Socket.IO."`
	Origin string `placeholder:"URL" help:"The origin of the pages that use the server, when it is another one."`
	Auth   string `placeholder:"JSON" help:"What clients hand over as auth, for a namespace that asks for it."`
	CAFile string `name:"ca-file" type:"existingfile" placeholder:"FILE" help:"PEM file with issuers to trust in place of the system's."`

	URL string `arg:"" help:"The server; a path names the namespace, as in socket.io-client."`
}

// Help is shown by posthouse doctor --help.
func (examine) Help() string {
	return `One line for each check: ✓, ✗ or – (not asked, not offered), what was seen, the
hop to blame and its setting. It ends within a minute; the exit code is the
number of ✗.

Example: posthouse doctor https://www.example.com
         posthouse doctor --json --origin https://app.example.com https://api.example.com/chat`
}

// maxExitCode bounds the number of failures that an exit code can tell.
const maxExitCode = 100

// Run walks the checks.
func (e *examine) Run(ctx context.Context) error {
	o := doctor.Options{URL: e.URL, Path: e.Path, Origin: e.Origin}
	if e.Auth != "" {
		if o.Auth = json.RawMessage(e.Auth); !json.Valid(o.Auth) {
			return errors.New("--auth is no JSON; write it as '{\"token\":\"…\"}'")
		}
	}
	if e.CAFile != "" {
		text, err := os.ReadFile(e.CAFile)
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("--ca-file: %s holds no certificate in PEM", e.CAFile)
		}
	}
	bar := newProgress(os.Stderr)
	o.Progress = bar.show
	report, err := doctor.Run(ctx, o)
	bar.clear()
	if err != nil {
		return err
	}
	if e.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = report.WriteText(os.Stdout)
	}
	if err != nil {
		return err
	}
	if report.Failed > 0 {
		return exitCode(min(report.Failed, maxExitCode))
	}
	return nil
}

// exitCode ends the process without a word: the command has said what is wrong.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }
