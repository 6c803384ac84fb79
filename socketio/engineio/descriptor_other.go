//go:build !unix

package engineio

import (
	"errors"
	"net"
	"syscall"
)

// Elsewhere connections are read and written through net.Conn.

func rawConn(net.Conn) syscall.RawConn { return nil }

func readFD(int, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeFD(int, []byte) (int, error) { return 0, errors.ErrUnsupported }

func shutdownWrite(int) {}
