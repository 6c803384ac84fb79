package socketio

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// A panic of a function of the application ends the connection that the function
// ran for, and nothing else. A Node server would end with all its connections: to
// the client both are a lost transport, after which it connects again. A packet
// that disconnects the namespace would be taken for the server's decision, after
// which socket.io-client stays away.

// errPanic is the description of connections that end by a panic.
var errPanic = errors.New("socketio: a function of the application panicked")

// logPanic writes the line of a panic. It is called by the deferred function that
// recovered v, while the stack still shows where it came from.
func (s *Server) logPanic(namespace string, v any) {
	if suppressed, ok := s.panicLines.Allow(); ok {
		s.log.Error("socketio: a function of the application panicked",
			"namespace", namespace, "panic", fmt.Sprint(v), "suppressed", suppressed, "stack", string(debug.Stack()))
	}
}

// runGuarded runs a function of the application that belongs to no connection; a panic
// ends in the log.
func (l *LocalAdapter) runGuarded(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			l.ns.server.logPanic(l.ns.name, v)
		}
	}()
	fn()
}

// runGuarded runs a function of the application for s; a panic ends the connection.
func (s *Socket) runGuarded(fn func()) {
	defer s.endOnPanic()
	fn()
}

// endOnPanic is for deferring around functions of the application that run for s.
func (s *Socket) endOnPanic() {
	if v := recover(); v != nil {
		s.ns.server.logPanic(s.ns.name, v)
		s.handlerPanicked.Store(true)
		s.dropQueued.Store(true)
		s.startClose(ReasonServerClose, errPanic)
		s.conn.endAfterPanic(s)
	}
}

// endAfterPanic ends all sockets of the connection and closes it behind what was sent, once
// the session of s, for which the function ran, is over; s may be nil. No packet tells the client of a
// disconnection: it sees its transport go.
func (c *conn) endAfterPanic(s *Socket) {
	c.disconnectingAll.Store(true)
	for _, s := range c.listSockets() {
		s.startClose(ReasonServerClose, errPanic)
	}
	if s == nil || !s.ns.localAdapter.liveSessions.isUnclaimed(s.resumption) {
		c.engineSession.Close()
		return
	}
	s.endSession(c.engineSession.Close)
}
