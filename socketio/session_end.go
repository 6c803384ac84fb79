package socketio

import (
	"slices"

	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// A client that the server disconnects knows its private session id, and with a Redis adapter
// the session of a connected socket is in Redis, for the case that its node is killed. The
// client could come back with it on another node. So the store refuses the session before
// the client hears of its end (docs/protocol.md §3.8).

// endSession has the store refuse the session of s, and then calls then. Without a store that
// keeps the sessions of connected sockets, then is called at once.
func (s *Socket) endSession(then func()) {
	if !s.isSessionKept() {
		then()
		return
	}
	r := s.resumption
	s.ns.localAdapter.sessionWatcher.EndSession(r.digest, func(refused bool) {
		if !refused {
			s.conn.sendPacket(s.spoilOffset())
		}
		then()
	})
	r.isToldOf.Store(false)
	s.sessionChanged()
}

// isSessionKept reports whether a store keeps the session of s while s is connected.
func (s *Socket) isSessionKept() bool {
	return s.ns.localAdapter.sessionWatcher != nil && s.resumption != nil && s.resumption.isLive.Load()
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

// farewells are the sockets of a connection whose DISCONNECT waits until their session is over.
type farewells struct {
	sockets       []*Socket
	closesWithAll bool               // the connection closes with the last of them
	lastMessages  []engineio.Message // the packets for that moment
}

// sendFarewell tells the client that the server disconnected s, when its session is over.
func (c *conn) sendFarewell(s *Socket) {
	if s.isSessionKept() {
		c.sendFarewells([]*Socket{s}, false)
		return
	}
	c.sendPacket(s.disconnectPacket())
}

// sendFarewells tells the client that the server disconnected these sockets of the connection,
// each when its session is over. With closing the packets wait for each other and for earlier
// ones, and the connection is closed with the last.
func (c *conn) sendFarewells(sockets []*Socket, closing bool) {
	c.mu.Lock()
	if c.farewells == nil && closing && !slices.ContainsFunc(sockets, (*Socket).isSessionKept) {
		c.mu.Unlock()
		c.closeSaying(sockets)
		return
	}
	if c.farewells == nil {
		c.farewells = &farewells{}
	}
	f := c.farewells
	f.sockets = append(f.sockets, sockets...)
	f.closesWithAll = f.closesWithAll || closing
	c.mu.Unlock()
	for _, s := range sockets {
		s.endSession(func() { c.sayFarewell(s) })
	}
}

// closeSaying closes the connection behind the DISCONNECTs of these sockets.
func (c *conn) closeSaying(sockets []*Socket) {
	var messages []engineio.Message
	for _, s := range sockets {
		messages = c.addPacket(messages, s.disconnectPacket())
	}
	c.engineSession.CloseWith(messages...)
}

// addPacket adds what a packet becomes on the wire.
func (c *conn) addPacket(messages []engineio.Message, p *parser.Packet) []engineio.Message {
	if more, err := c.server.options.Codec.Encode(messages, p); err == nil {
		return more
	}
	return messages
}

// sayFarewell sends a DISCONNECT, or keeps it until the connection is closed.
func (c *conn) sayFarewell(s *Socket) {
	p := s.disconnectPacket()
	c.mu.Lock()
	f := c.farewells
	if !c.dropFarewells(func(waiting *Socket) bool { return waiting == s }) {
		c.mu.Unlock()
		return // the client has joined the namespace again, or the connection is gone
	}
	last := c.farewells == nil
	if !f.closesWithAll {
		c.mu.Unlock()
		c.sendPacket(p)
		return
	}
	f.lastMessages = c.addPacket(f.lastMessages, p)
	messages := f.lastMessages
	c.mu.Unlock()
	if last {
		c.engineSession.CloseWith(messages...)
	}
}

// dropFarewell forgets the farewell of a namespace that the client joins again: it has left
// the former socket itself. The last farewell of a connection that closes must stay. It must be
// called with c.mu held.
func (c *conn) dropFarewell(namespace string) {
	if c.farewells != nil && !c.farewells.closesWithAll {
		c.dropFarewells(func(s *Socket) bool { return s.ns.name == namespace })
	}
}

// dropFarewells takes the sockets that match off the list, which goes with the last of them,
// and reports whether there were any. It must be called with c.mu held.
func (c *conn) dropFarewells(match func(*Socket) bool) bool {
	f := c.farewells
	if f == nil {
		return false
	}
	before := len(f.sockets)
	f.sockets = slices.DeleteFunc(f.sockets, match)
	if len(f.sockets) == 0 {
		c.farewells = nil
	}
	return len(f.sockets) < before
}
