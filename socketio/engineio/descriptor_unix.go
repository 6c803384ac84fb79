//go:build unix

package engineio

import (
	"io"
	"net"
	"syscall"
)

// rawConn gives access to the descriptor of a plain TCP or Unix connection; nil
// for everything else, such as TLS.
func rawConn(conn net.Conn) syscall.RawConn {
	if h, ok := conn.(*handedConn); ok && len(h.early) == 0 {
		conn = h.TCPConn
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
		return nil // what wraps a connection may change its bytes
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readFD reads without blocking. 0, nil means that nothing is there; the end of
// the stream is io.EOF.
func readFD(fd int, b []byte) (int, error) {
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

// shutdownWrite ends our side of a connection.
func shutdownWrite(fd int) {
	syscall.Shutdown(fd, syscall.SHUT_WR) //nolint:errcheck // the peer may be gone
}

// writeFD writes without blocking, what the socket takes.
func writeFD(fd int, b []byte) (int, error) {
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
