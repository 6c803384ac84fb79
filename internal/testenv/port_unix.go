//go:build unix

package testenv

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// portClaims are the locked files of the ports that this process has; a lock ends with it.
var (
	portMu     sync.Mutex // guards portClaims
	portClaims = map[int]*os.File{}
)

// claimPort reports whether the port is this process's from now on.
func claimPort(port int) bool {
	portMu.Lock()
	defer portMu.Unlock()
	if portClaims[port] != nil {
		return false
	}
	dir := filepath.Join(os.TempDir(), "posthouse-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return false
	}
	file, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return false
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = file.Close()
		return false
	}
	portClaims[port] = file
	return true
}
