//go:build !linux

package gateway

// monotonicMicros is 0: there is no systemd.
func monotonicMicros() int64 { return 0 }
