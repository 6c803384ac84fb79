//go:build unix

package hook

import (
	"net"
	"syscall"
)

const looksForEnd = true

// isQuiet reports whether nothing has come on an idle connection: neither its end nor
// bytes that belong to no answer.
func isQuiet(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, failed := syscall.Read(int(fd), one[:])
		quiet = failed == syscall.EAGAIN
		return true
	})
	return err == nil && quiet
}
