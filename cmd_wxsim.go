package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"posthouse/internal/wxsim"
	"posthouse/internal/wxsim/scenario"
)

// wxsimCommands is what the local WeChat can do; to serve is the default.
type wxsimCommands struct {
	Serve    simulate         `cmd:"" default:"withargs" help:"Serve the local WeChat (the default)."`
	Scenario scenario.Command `cmd:"" help:"Play scenarios, or a load of logins with faults, and judge what became of them."`
}

// Help is shown by posthouse wxsim --help.
func (wxsimCommands) Help() string {
	return `A SIMULATOR of the WeChat Official Account platform: API, QR codes, a phone to
click, pushes with real signatures. It opens nothing but itself, and answers
loopback only.

Example: posthouse wxsim --callback http://127.0.0.1:3000/callback/wechat
         posthouse --wechat-simulator http://127.0.0.1:3900
         posthouse wxsim scenario all --gateway http://127.0.0.1:3000

The phone is http://127.0.0.1:3900/sim. Programs drive it with JSON:
POST /sim/scan {"person":"ann","ticket":"…","follow":true}, /sim/follow,
/sim/unfollow, /sim/text; GET /sim/log and /sim/stats tell what the callback
answered; /sim/faults, /sim/clock, /sim/settings and /sim/accounts change the
platform while it runs.`
}

// simulate runs the local WeChat in a process of its own.
type simulate struct {
	Host         string   `default:"127.0.0.1" help:"Address to listen on."`
	Port         int      `default:"3900" help:"Port to listen on."`
	Callback     []string `sep:"," placeholder:"URL" help:"Where pushes go, in turn: http://127.0.0.1:3000/callback/wechat"`
	Accounts     string   `placeholder:"FILE" help:"YAML file with Official Accounts (appid, originalId, secret, token, aesKey, mode, kind, unionGroup, callbacks, …) instead of the built-in one."`
	UnsafeListen bool     `help:"Listen on other addresses than loopback: anybody who reaches it can log in as anybody."`

	Timeout    time.Duration `default:"5s" help:"How long an answer to a push is waited for."`
	Deliveries int           `default:"3" help:"How often a push is delivered at most."`
	MarkFail   int           `default:"50" help:"Failed deliveries within a minute that stop pushes for a minute; -1: never."`
	Seed       uint64        `placeholder:"N" help:"Seed of everything random; a different one each time by default."`
}

// Help is shown by posthouse wxsim serve --help.
func (simulate) Help() string {
	return "Example: posthouse wxsim --port 3900 --callback http://127.0.0.1:3000/callback/wechat"
}

func (s *simulate) Run(ctx context.Context) error {
	opts := wxsim.Options{Timeout: s.Timeout, Deliveries: s.Deliveries, MarkFail: s.MarkFail, Seed: s.Seed}
	if s.Accounts != "" {
		file, err := os.Open(s.Accounts)
		if err != nil {
			return fmt.Errorf("wxsim: --accounts: %w", err)
		}
		defer file.Close()
		if opts.Accounts, err = wxsim.ReadAccounts(file); err != nil {
			return fmt.Errorf("--accounts %s: %w", s.Accounts, err)
		}
	}
	return wxsim.Serve(ctx, wxsim.ServeOptions{
		Host: s.Host, Port: s.Port, Callbacks: s.Callback, UnsafeListen: s.UnsafeListen, Output: os.Stdout, Options: opts,
	})
}
