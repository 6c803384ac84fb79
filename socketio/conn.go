package socketio

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/internal/tally"
	"posthouse/socketio/parser"
)

// conn is one Engine.IO session: it joins messages into packets and hands them
// to the sockets, one per namespace. Receive and Closed are called by the
// session, one at a time.
type conn struct {
	server        *Server
	engineSession *engineio.Session
	handshakeData *handshakeData
	ctx           context.Context // values for the sockets; lives as long as the server

	// Used by Receive only:
	decoder         parser.Decoder
	lastSocket      *Socket   // the one that the last packet was for
	attachmentTimer lazyTimer // while attachments are missing

	disconnectingAll atomic.Bool // the server closes the connection: what still comes is ignored

	mu                     sync.Mutex        // guards what follows
	liveCount              int32             // attempts and sockets that have not come to their end
	joinedSockets          []*Socket         // few: a slice is smaller and faster than a map
	pendingConnects        []*pendingConnect // CONNECTs under way
	disconnectedNamespaces []string          // namespaces the server disconnected, see routePacket
	refusalBucket          *tokenBucket      // see Limits.RefusedConnects; nil: none yet
	connectTimer           *time.Timer       // ConnectTimeout; nil once a namespace was joined
	closeCause             *DisconnectError  // why the session ended
	farewells              *farewells        // nil: no DISCONNECT waits
}

var (
	_ engineio.Handler        = (*conn)(nil)
	_ engineio.UpgradeHandler = (*conn)(nil)
)

func (s *Server) acceptSession(session *engineio.Session, r *http.Request) (engineio.Handler, error) {
	if s.closing.Load() {
		return nil, ErrClosed
	}
	c := &conn{
		server:        s,
		engineSession: session,
		handshakeData: newOpening(r, s.options.ClientAddress(r)),
		ctx:           s.ctx,
		decoder:       s.options.Codec.NewDecoder(),
	}
	if s.options.ConnContext != nil {
		c.ctx = s.options.ConnContext(s.ctx, r)
	}
	if s.options.ConnectTimeout > 0 {
		c.connectTimer = time.AfterFunc(s.options.ConnectTimeout, c.endUnjoined)
	}
	if session.Protocol() == 3 {
		_ = c.startConnect("/", nil) // docs/protocol.md §2.2: implied; refused, the client is told
	}
	return c, nil
}

// unjoinedGrace is how long a connection that joined no namespace in time may take to
// fetch the close packet.
const unjoinedGrace = 2 * time.Second

// endUnjoined closes a connection that joined no namespace. One that does not even poll
// would wait for half a minute to be told (docs/reliability.md §4 row 9).
func (c *conn) endUnjoined() {
	c.engineSession.Close()
	time.AfterFunc(unjoinedGrace, c.engineSession.Discard) // of no effect on a session that has ended
}

// Receive takes one message. Its error closes the connection: the protocol
// knows no error packet (docs/protocol.md §3.2).
func (c *conn) Receive(m engineio.Message) error {
	if c.disconnectingAll.Load() {
		return nil
	}
	p, err := c.decoder.Add(m)
	if err == nil && p == nil {
		c.awaitAttachments()
		return nil
	}
	c.attachmentTimer.end()
	if err != nil {
		c.reportDecodeError(err)
		return err
	}
	return c.routePacket(p)
}

// reportDecodeError gives all sockets of the connection the decoding error that ends it. Of
// packets that only come at the wrong time they learn nothing but the end.
func (c *conn) reportDecodeError(err error) {
	for _, s := range c.listSockets() {
		s.queueCall(func() { s.reportError(err) })
	}
}

// awaitAttachments bounds the time that a binary packet may stay incomplete.
func (c *conn) awaitAttachments() {
	if limit := c.server.options.Limits.AttachmentTimeout; limit >= 0 {
		c.attachmentTimer.begin(limit, c.engineSession.Discard)
	}
}

func (c *conn) routePacket(p *parser.Packet) error {
	name := p.Namespace
	if c.engineSession.Protocol() == 3 {
		name, _ = cutQuery(name)
	}
	switch p.Type {
	case parser.Connect:
		return c.receiveConnect(p)
	case parser.ConnectError:
		return fmt.Errorf("socketio: CONNECT_ERROR from a client")
	}
	s := c.lastSocket
	if s == nil || s.ns.name != name || s.status.Load() == gone {
		var expelled bool
		if s, expelled = c.findSocket(name); s == nil {
			if expelled {
				return nil // it was on its way when the server disconnected the namespace
			}
			return fmt.Errorf("socketio: packet type %d for a namespace that is not joined", p.Type)
		}
		c.lastSocket = s
	}
	switch p.Type {
	case parser.Event:
		if s.eventLimiter != nil {
			if admitted, err := s.limitEvents(p); !admitted {
				return err
			}
		}
		s.ns.traffic.Add(tally.Key(s.id), eventsIn, 1)
		return s.queueReceived(newEvent(s, p))
	case parser.Ack:
		if p.ID != nil {
			if fn := s.removeAck(*p.ID); fn != nil {
				s.ns.traffic.Add(tally.Key(s.id), acksIn, 1)
				fn(Args{bytes.Clone(parser.List(p.Data)), p.Attachments}, nil)
			}
		}
	case parser.Disconnect:
		c.forgetSocket(s, false)
		if s.startClose(ReasonClientNamespace, nil) {
			s.endSession(func() {})
		}
	}
	return nil
}

// findSocket returns the socket of a namespace; without one, whether the server has
// disconnected it.
func (c *conn) findSocket(namespace string) (s *Socket, expelled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.joinedSockets {
		if s.ns.name == namespace {
			return s, false
		}
	}
	return nil, slices.Contains(c.disconnectedNamespaces, namespace)
}

// listSockets returns the sockets of the connection.
func (c *conn) listSockets() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.joinedSockets)
}

// forgetSocket removes a socket from the routing and reports whether it was there.
func (c *conn) forgetSocket(s *Socket, byServer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.joinedSockets, s)
	if i < 0 {
		return false
	}
	c.joinedSockets = slices.Delete(c.joinedSockets, i, i+1)
	if byServer && !slices.Contains(c.disconnectedNamespaces, s.ns.name) && len(c.disconnectedNamespaces) < maxDisconnectedNamespaces {
		c.disconnectedNamespaces = append(c.disconnectedNamespaces, s.ns.name)
	}
	return true
}

// countOut counts an attempt or a socket out.
func (c *conn) countOut() {
	c.mu.Lock()
	c.liveCount--
	c.mu.Unlock()
	c.server.liveTasks.Done()
}

// maxDisconnectedNamespaces bounds the names remembered per connection.
const maxDisconnectedNamespaces = 64

// Upgraded tells the sockets that their connection has another transport.
func (c *conn) Upgraded(transport string) {
	for _, s := range c.listSockets() {
		s.upgraded(transport)
	}
}

// Closed ends all sockets of the connection.
func (c *conn) Closed(reason engineio.Reason, description error) {
	c.mu.Lock()
	c.closeCause = &DisconnectError{Reason(reason), description}
	sockets, attempts, timer := c.joinedSockets, c.pendingConnects, c.connectTimer
	c.joinedSockets, c.pendingConnects, c.connectTimer, c.farewells = nil, nil, nil, nil
	c.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	c.attachmentTimer.end()
	for _, a := range attempts {
		a.abandon(c.closeCause)
	}
	for _, s := range sockets {
		if s.startClose(Reason(reason), description) && !Reason(reason).recoverable() {
			s.endSession(func() {})
		}
	}
	if fn := c.server.options.ConnClosed; fn != nil {
		fn(c.ctx)
	}
}

// disconnectAll disconnects s and all other sockets of the connection, and closes it when
// everything has been written. Farewells and close leave together.
func (c *conn) disconnectAll(s *Socket) {
	var told []*Socket
	for _, other := range append(c.listSockets(), s) {
		if other.disconnect() {
			told = append(told, other)
		}
	}
	c.disconnectingAll.Store(true)
	c.sendFarewells(told, true)
}

// sendPacket sends a packet of the connection itself.
func (c *conn) sendPacket(p *parser.Packet) {
	if messages, err := c.server.options.Codec.Encode(nil, p); err == nil {
		_ = c.engineSession.SendMessages(messages...) // a closed session needs no answer
	}
}
