//go:build unix

package netpoll

import (
	"io"
	"net"
	"syscall"
)

// drainReads is how many buffers DrainFD drops.
const drainReads = 16

// Wrapped is implemented by connections around a TCP or Unix connection that pass every
// byte on unchanged.
type Wrapped interface {
	// PlainConn returns the connection below; nil while the wrapper still has bytes of
	// its own to give to readers.
	PlainConn() net.Conn
}

// RawConn gives access to the descriptor of a plain TCP or Unix connection; nil
// for everything else, such as TLS.
func RawConn(conn net.Conn) syscall.RawConn {
	if w, ok := conn.(Wrapped); ok {
		if conn = w.PlainConn(); conn == nil {
			return nil
		}
	}
	c, ok := conn.(interface {
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		return nil
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nil // other wrappers may change the bytes
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// ReadFD reads without blocking. 0, nil means that no byte is there; the end of the
// stream is io.EOF.
func ReadFD(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		case err == nil:
			return 0, io.EOF
		default:
			return 0, err
		}
	}
}

// WriteFD writes as much as the socket takes without blocking.
func WriteFD(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, b)
		switch {
		case err == nil:
			return n, nil
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// ShutdownWrite ends our side of a connection.
func ShutdownWrite(fd int) {
	syscall.Shutdown(fd, syscall.SHUT_WR) //nolint:errcheck // the peer may be gone
}

// DrainFD reads and drops what has come, a bounded part of it, without blocking.
func DrainFD(fd int) {
	buf := TakeReadBuffer()
	defer buf.Release()
	for range drainReads {
		if n, err := ReadFD(fd, buf[:]); n == 0 || err != nil {
			return
		}
	}
}

// CloseFD closes a descriptor.
func CloseFD(fd int) {
	syscall.Close(fd) //nolint:errcheck // the caller is done with it
}
