//go:build unix

package client

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// rawConn is a connection of the operating system. It is read without a buffer that waits
// for data, and written without waiting.
type rawConn struct {
	conn syscall.RawConn

	// Of a read, used by the goroutine that reads:
	readFunc func(fd uintptr) bool // readOnce; made once, so that a read allocates nothing
	buf      *[busyBuffer]byte
	readN    int
	readErr  error

	// Of a write, guarded by Conn.mu:
	writeFunc func(fd uintptr) bool // writeOnce
	out       []byte
	writeN    int
	writeErr  error
}

// newRawConn returns nil for a connection that is not plain TCP or a Unix socket. A type
// that embeds one of them may have its own Read and Write, so the type must be the very one.
func newRawConn(rw io.ReadWriteCloser) *rawConn {
	var conn syscall.RawConn
	var err error
	switch c := rw.(type) {
	case *net.TCPConn:
		conn, err = c.SyscallConn()
	case *net.UnixConn:
		conn, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r := &rawConn{conn: conn}
	r.readFunc, r.writeFunc = r.readOnce, r.writeOnce
	return r
}

// read waits for data and returns it in a pooled buffer, which is the caller's then.
func (r *rawConn) read() (buf *[busyBuffer]byte, n int, err error) {
	if err := r.conn.Read(r.readFunc); err != nil {
		return nil, 0, err
	}
	buf, r.buf = r.buf, nil
	switch {
	case r.readErr != nil:
		return buf, 0, r.readErr
	case r.readN == 0:
		return buf, 0, io.EOF
	}
	return buf, r.readN, nil
}

func (r *rawConn) readOnce(fd uintptr) (done bool) {
	buf := busyBuffers.Get().(*[busyBuffer]byte)
	r.readN, r.readErr = ignoringInterrupts(syscall.Read, fd, buf[:])
	if errors.Is(r.readErr, syscall.EAGAIN) {
		busyBuffers.Put(buf)
		return false
	}
	r.buf = buf
	return true
}

// tryWrite writes what the kernel takes at once, and returns how much that was.
func (r *rawConn) tryWrite(p []byte) (n int, err error) {
	r.out = p
	err = r.conn.Write(r.writeFunc)
	r.out = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(r.writeErr, syscall.EAGAIN):
		return 0, nil
	}
	return max(r.writeN, 0), r.writeErr
}

func (r *rawConn) writeOnce(fd uintptr) (done bool) {
	r.writeN, r.writeErr = ignoringInterrupts(syscall.Write, fd, r.out)
	return true
}

// ignoringInterrupts repeats a system call that a signal has interrupted.
func ignoringInterrupts(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
