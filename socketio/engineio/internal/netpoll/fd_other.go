//go:build !unix

package netpoll

import (
	"errors"
	"net"
	"syscall"
)

// Connections are read and written through net.Conn here: RawConn finds no
// descriptor, so the other functions are never called.

// RawConn returns nil.
func RawConn(net.Conn) syscall.RawConn { return nil }

// ReadFD returns an error.
func ReadFD(int, []byte) (int, error) { return 0, errors.ErrUnsupported }

// WriteFD returns an error.
func WriteFD(int, []byte) (int, error) { return 0, errors.ErrUnsupported }

// ShutdownWrite does nothing.
func ShutdownWrite(int) {}

// DrainFD does nothing.
func DrainFD(int) {}

// CloseFD does nothing.
func CloseFD(int) {}
