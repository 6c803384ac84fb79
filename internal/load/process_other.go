//go:build !linux

package load

import (
	"errors"
	"time"
)

var errLinux = errors.New("load: measuring processes needs Linux")

func maxConnections() int { return 500 }

// CPU is not available here.
func CPU(pid int) (time.Duration, error) { return 0, errLinux }

// Memory is not available here.
func Memory(pid int) (int64, error) { return 0, errLinux }

// Pin is not available here.
func Pin(cores ...int) error { return errLinux }

// Cores is not available here.
func Cores(pid int) ([]int, error) { return nil, errLinux }

// PinThread is not available here.
func PinThread(tid int, cores ...int) error { return errLinux }

// Bulks are not available here.
func Bulks() []Bulk { return nil }

// Latency is not available here.
func Latency() []Scenario { return nil }

// GoFirst is not available here.
func GoFirst(pid, priority int) error { return errLinux }

// StartOn is not available here.
func StartOn(cores []int, start func() error) error { return errLinux }
