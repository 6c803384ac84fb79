//go:build !linux || goroutinereaders

package engineio

import (
	"net"
	"net/http"
	"time"
)

// Elsewhere a goroutine reads each connection. The build tag is for tests: it
// makes Linux elsewhere.

type loop struct{}

func (*loop) wake(polled) {}

type loops struct{}

func newLoops(*Server) loops { return loops{} }

func (loops) adopt(*stream, net.Conn) bool { return false }

type front struct{}

func (srv *Server) newFront(net.Listener, *http.Server) *front { return nil }

func (*front) serve() error { return nil }
func (*front) retire()      {}

type plainConn struct{}

func (*plainConn) become(*stream)                    {}
func (*plainConn) WriteAll([]byte) error             { return nil }
func (*plainConn) SetWriteDeadline(time.Time) error  { return nil }
func (*plainConn) Hijack() (net.Conn, []byte, error) { return nil, nil, nil }
