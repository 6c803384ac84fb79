package main

import (
	"context"
	"os"

	"posthouse/internal/wxsim"
	"posthouse/internal/wxsim/scenario"
)

// wxsimCommands is what the local WeChat can do; to serve is the default.
type wxsimCommands struct {
	Serve    simulate         `cmd:"" default:"withargs" help:"Serve the local WeChat (the default)."`
	Scenario scenario.Command `cmd:"" help:"Play scenarios, or a load of logins with faults, and judge what became of them."`
}

// simulate runs the local WeChat in a process of its own.
type simulate struct {
	Host         string   `default:"127.0.0.1" help:"Address to listen on."`
	Port         int      `default:"3900" help:"Port to listen on."`
	Callback     []string `sep:"," placeholder:"URL" help:"Where pushes go, in turn: http://127.0.0.1:3000/callback/wechat"`
	UnsafeListen bool     `help:"Listen on other addresses than loopback: anybody who reaches it can log in as anybody."`
}

func (s *simulate) Run(ctx context.Context) error {
	return wxsim.Serve(ctx, wxsim.ServeOptions{
		Host: s.Host, Port: s.Port, Callbacks: s.Callback, UnsafeListen: s.UnsafeListen, Output: os.Stdout,
	})
}
