//go:build !linux

package main

import "syscall"

// ownGroup leaves the programs in this process's group.
func ownGroup() *syscall.SysProcAttr { return nil }
