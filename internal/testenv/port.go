package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// The ports of FreePort lie below those that the kernel gives to connections. FreePort
// gives none of those 10000 higher, so that a node of a Redis Cluster finds its bus port free.
const firstPort, portCount = 10_000, 10_000

// FreePort returns a loopback port that no other test gets, in any process of this user,
// until t ends, and that is free for a program to listen on.
func FreePort(t testing.TB) int {
	t.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprint("posthouse-test-ports-", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range portCount {
		port := firstPort + rand.IntN(portCount)
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if lockFile(f) && canListen(port) {
			t.Cleanup(func() { _ = f.Close() }) // which unlocks it
			return port
		}
		_ = f.Close()
	}
	t.Fatal("no free port")
	return 0
}

func canListen(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
