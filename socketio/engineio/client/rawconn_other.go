//go:build !unix

package client

import "io"

// rawConn is not there on this system: newRawConn returns nil.
type rawConn struct{}

func newRawConn(io.ReadWriteCloser) *rawConn { return nil }

func (*rawConn) read() (buf *[busyBuffer]byte, n int, err error) { return nil, 0, io.EOF }

func (*rawConn) tryWrite([]byte) (n int, err error) { return 0, nil }
