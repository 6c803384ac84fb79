package socketio

import (
	"slices"

	"posthouse/socketio/parser"
)

// A client that the server disconnects knows its private session id, and with a Redis adapter
// the session of a connected socket is in Redis, for the case that its node is killed. The
// client could come back with it on another node. So the store refuses the session before
// the client hears of its end (docs/protocol.md §3.8).

// endSession has the store refuse the session of s, and then calls then. Without a store that
// keeps the sessions of connected sockets, then is called at once.
func (s *Socket) endSession(then func()) {
	w, r := s.ns.localAdapter.sessionWatcher, s.resumption
	if w == nil || r == nil || !r.isLive.Load() {
		then()
		return
	}
	w.EndSession(r.digest, func(refused bool) {
		if !refused {
			s.conn.sendPacket(s.spoilOffset())
		}
		then()
	})
	r.isToldOf.Store(false)
	s.sessionChanged()
}

// awaitSessionEnd is endSession for a goroutine that may wait.
func (s *Socket) awaitSessionEnd() {
	ended := make(chan struct{})
	s.endSession(func() { close(ended) })
	<-ended
}

// spoilOffset is an event whose offset no node recovers from (docs/protocol.md §3.8). It stands
// in for a store that cannot be reached: the client sends that offset when it comes back.
func (s *Socket) spoilOffset() *parser.Packet {
	return &parser.Packet{Type: parser.Event, Namespace: s.ns.name, Data: []byte(`["session_ended","-"]`)}
}

// sessionIsOver reports whether the socket ends in a way after which it may not come back.
func (s *Socket) sessionIsOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeQueued && !s.keepable || s.handlerPanicked.Load()
}

// sendFarewells tells the client that the server disconnected these sockets of the connection,
// each when its session is over. With closing the packets wait for each other and for earlier
// ones, and the connection is closed with the last.
func (c *conn) sendFarewells(sockets []*Socket, closing bool) {
	c.mu.Lock()
	c.farewells = append(c.farewells, sockets...)
	c.closesAfterFarewells = c.closesAfterFarewells || closing
	none := len(c.farewells) == 0
	c.mu.Unlock()
	if none && closing {
		c.engineSession.CloseWith()
		return
	}
	for _, s := range sockets {
		s.endSession(func() { c.sayFarewell(s) })
	}
}

// sayFarewell sends a DISCONNECT, or keeps it until the connection is closed.
func (c *conn) sayFarewell(s *Socket) {
	p := s.disconnectPacket()
	c.mu.Lock()
	i := slices.Index(c.farewells, s)
	if i < 0 {
		c.mu.Unlock()
		return // the client has joined the namespace again, or the connection is gone
	}
	c.farewells = slices.Delete(c.farewells, i, i+1)
	if !c.closesAfterFarewells {
		c.mu.Unlock()
		c.sendPacket(p)
		return
	}
	if m, err := c.server.options.Codec.Encode(c.lastMessages, p); err == nil {
		c.lastMessages = m
	}
	last, messages := len(c.farewells) == 0, c.lastMessages
	c.mu.Unlock()
	if last {
		c.engineSession.CloseWith(messages...)
	}
}

// dropFarewell forgets the farewell of a namespace that the client joins again: it has left
// the former socket itself. It must be called with c.mu held.
func (c *conn) dropFarewell(namespace string) {
	c.farewells = slices.DeleteFunc(c.farewells, func(s *Socket) bool { return s.ns.name == namespace })
}
