//go:build !linux || goroutinereaders

package engineio

import "net"

// Elsewhere a goroutine reads each connection. The build tag is for tests: it
// makes Linux elsewhere.

type loop struct{}

func (*loop) wake(*stream) {}

type loops struct{}

func newLoops(*Server) loops { return loops{} }

func (loops) adopt(*stream, net.Conn) bool { return false }
