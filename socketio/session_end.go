package socketio

import (
	"slices"
	"sync"
	"sync/atomic"

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
	if !s.endsSession() {
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

// endsSession reports whether the store must hear of the end of s before its client does.
func (s *Socket) endsSession() bool {
	return s.ns.localAdapter.sessionWatcher != nil && s.resumption != nil && s.resumption.isLive.Load()
}

// farewells are the DISCONNECTs of a server that wait until their sessions are over.
type farewells struct {
	isWaiting atomic.Bool // there are some

	mu     sync.Mutex // guards what follows
	byConn map[*conn]*connFarewells
}

// connFarewells are those of one connection.
type connFarewells struct {
	sockets  []*Socket
	closes   bool               // the connection closes with the last of them
	messages []engineio.Message // of a connection that closes
}

// change looks at the farewells of c under the lock, and forgets them when none waits.
func (f *farewells) change(c *conn, fn func(w *connFarewells)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.byConn[c]
	if w == nil {
		w = &connFarewells{}
	}
	fn(w)
	if f.byConn == nil {
		f.byConn = make(map[*conn]*connFarewells)
	}
	if len(w.sockets) > 0 {
		f.byConn[c] = w
	} else {
		delete(f.byConn, c)
	}
	f.isWaiting.Store(len(f.byConn) > 0)
}

// sendFarewells tells the client that the server disconnected these sockets of the connection,
// each when its session is over. With closing the packets wait for each other and for earlier
// ones, and the connection is closed with the last.
func (c *conn) sendFarewells(sockets []*Socket, closing bool) {
	f := &c.server.farewells
	if !f.isWaiting.Load() && !slices.ContainsFunc(sockets, (*Socket).endsSession) {
		var messages []engineio.Message
		for _, s := range sockets {
			messages = c.appendFarewell(messages, s)
		}
		if closing {
			c.engineSession.CloseWith(messages...)
		} else {
			_ = c.engineSession.SendMessages(messages...) // a closed session needs no answer
		}
		return
	}
	none := false
	f.change(c, func(w *connFarewells) {
		w.sockets = append(w.sockets, sockets...)
		w.closes = w.closes || closing
		none = len(w.sockets) == 0
	})
	if none && closing {
		c.engineSession.CloseWith()
	}
	for _, s := range sockets {
		s.endSession(func() { c.sayFarewell(s) })
	}
}

func (c *conn) appendFarewell(messages []engineio.Message, s *Socket) []engineio.Message {
	if m, err := c.server.options.Codec.Encode(messages, s.disconnectPacket()); err == nil {
		return m
	}
	return messages
}

// sayFarewell sends a DISCONNECT, or keeps it until the connection is closed.
func (c *conn) sayFarewell(s *Socket) {
	known, last, closes := false, false, false
	var messages []engineio.Message
	c.server.farewells.change(c, func(w *connFarewells) {
		i := slices.Index(w.sockets, s)
		if known = i >= 0; !known {
			return // the client has joined the namespace again, or the connection is gone
		}
		w.sockets = slices.Delete(w.sockets, i, i+1)
		w.messages = c.appendFarewell(w.messages, s)
		messages, closes, last = w.messages, w.closes, len(w.sockets) == 0
		if !closes {
			w.messages = nil
		}
	})
	switch {
	case !known || closes && !last:
	case closes:
		c.engineSession.CloseWith(messages...)
	default:
		_ = c.engineSession.SendMessages(messages...)
	}
}

// dropFarewells forgets the farewells of sockets that match: the client has left those itself.
func (c *conn) dropFarewells(match func(*Socket) bool) {
	if f := &c.server.farewells; f.isWaiting.Load() {
		f.change(c, func(w *connFarewells) {
			if !w.closes { // else the last of them closes the connection
				w.sockets = slices.DeleteFunc(w.sockets, match)
			}
		})
	}
}
