package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports that FreePort gives: below those that systems take for connections by
// themselves (32768 and up on Linux, 49152 elsewhere).
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePort returns a TCP port of loopback for a process that a test starts. No connection
// takes it by itself, and no other test process on this machine gets it while this one
// lives. Without such a port the test fails.
func FreePort(t testing.TB) int {
	t.Helper()
	start := rand.IntN(lastPort - firstPort)
	for i := range lastPort - firstPort {
		port := firstPort + (start+i)%(lastPort-firstPort)
		if !claimPort(port) {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // another program has it; the claim stays until this process ends
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no free port")
	return 0
}
