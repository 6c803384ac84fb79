package main

import "syscall"

// ownGroup keeps the terminal's Ctrl-C from the programs, and ends them should
// this process be killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
