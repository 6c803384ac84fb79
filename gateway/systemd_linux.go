package gateway

import "golang.org/x/sys/unix"

// monotonicMicros is the clock by which systemd tells a reload from the one before.
func monotonicMicros() int64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0
	}
	return now.Nano() / 1000
}
