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
	"posthouse/socketio/parser"
)

// conn is one Engine.IO session: it joins messages into packets and hands them
// to the sockets, one per namespace. Receive and Closed are called by the
// session, one at a time.
type conn struct {
	server  *Server
	session *engineio.Session
	opening *opening
	ctx     context.Context // values for the sockets; lives as long as the server

	// Used by Receive only:
	decoder parser.Decoder
	last    *Socket // the one that the last packet was for
	partial watch   // while attachments are missing

	parting atomic.Bool // the server closes the connection: what still comes is ignored

	mu       sync.Mutex
	joined   []*Socket        // few: a slice is smaller and faster than a map
	attempts []*attempt       // CONNECTs under way
	expelled []string         // namespaces the server disconnected, see route
	live     int              // attempts and sockets that have not come to their end
	refusals *tokenBucket     // see Limits.RefusedConnects; nil: none yet
	timer    *time.Timer      // ConnectTimeout; nil once a namespace was joined
	closed   *DisconnectError // why the session ended
}

var (
	_ engineio.Handler        = (*conn)(nil)
	_ engineio.UpgradeHandler = (*conn)(nil)
)

func (s *Server) accept(session *engineio.Session, r *http.Request) (engineio.Handler, error) {
	if s.closing.Load() {
		return nil, ErrClosed
	}
	c := &conn{
		server:  s,
		session: session,
		opening: newOpening(r, s.opts.ClientAddress(r)),
		ctx:     s.ctx,
		decoder: s.opts.Codec.NewDecoder(),
	}
	if s.opts.ConnContext != nil {
		c.ctx = s.opts.ConnContext(s.ctx, r)
	}
	if s.opts.ConnectTimeout > 0 {
		c.timer = time.AfterFunc(s.opts.ConnectTimeout, session.Close)
	}
	if session.Protocol() == 3 {
		_ = c.connect("/", nil) // docs/protocol.md §2.2: implied; refused, the client is told
	}
	return c, nil
}

// Receive takes one message. Its error closes the connection: the protocol
// knows no error packet (docs/protocol.md §3.2).
func (c *conn) Receive(m engineio.Message) error {
	if c.parting.Load() {
		return nil
	}
	p, err := c.decoder.Add(m)
	if err == nil && p == nil {
		c.awaitAttachments()
		return nil
	}
	c.partial.end()
	if err != nil {
		c.tell(err)
		return err
	}
	return c.route(p)
}

// tell gives all sockets of the connection the decoding error that ends it. Of
// packets that only come at the wrong time they learn nothing but the end.
func (c *conn) tell(err error) {
	for _, s := range c.sockets() {
		s.call(func() { s.report(err) })
	}
}

// awaitAttachments bounds the time that a binary packet may stay incomplete.
func (c *conn) awaitAttachments() {
	if limit := c.server.opts.Limits.AttachmentTimeout; limit >= 0 {
		c.partial.begin(limit, c.session.Discard)
	}
}

func (c *conn) route(p *parser.Packet) error {
	name := p.Namespace
	if c.session.Protocol() == 3 {
		name, _ = cutQuery(name)
	}
	switch p.Type {
	case parser.Connect:
		return c.receiveConnect(p)
	case parser.ConnectError:
		return fmt.Errorf("socketio: CONNECT_ERROR from a client")
	}
	s := c.last
	if s == nil || s.ns.name != name || s.status.Load() == gone {
		var expelled bool
		if s, expelled = c.find(name); s == nil {
			if expelled {
				return nil // it was on its way when the server disconnected the namespace
			}
			return fmt.Errorf("socketio: packet type %d for a namespace that is not joined", p.Type)
		}
		c.last = s
	}
	switch p.Type {
	case parser.Event:
		if s.limiter != nil {
			if admitted, err := s.limit(p); !admitted {
				return err
			}
		}
		return s.post(newEvent(s, p))
	case parser.Ack:
		if p.ID != nil {
			if fn := s.take(*p.ID); fn != nil {
				fn(Args{bytes.Clone(parser.List(p.Data)), p.Attachments}, nil)
			}
		}
	case parser.Disconnect:
		c.forget(s, false)
		s.end(ReasonClientNamespace, nil)
	}
	return nil
}

// find returns the socket of a namespace; without one, whether the server has
// disconnected it.
func (c *conn) find(namespace string) (s *Socket, expelled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.joined {
		if s.ns.name == namespace {
			return s, false
		}
	}
	return nil, slices.Contains(c.expelled, namespace)
}

// sockets returns the sockets of the connection.
func (c *conn) sockets() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.joined)
}

// forget removes a socket from the routing and reports whether it was there.
func (c *conn) forget(s *Socket, byServer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.joined, s)
	if i < 0 {
		return false
	}
	c.joined = slices.Delete(c.joined, i, i+1)
	if byServer && !slices.Contains(c.expelled, s.ns.name) && len(c.expelled) < maxExpelled {
		c.expelled = append(c.expelled, s.ns.name)
	}
	return true
}

// ended counts an attempt or a socket out.
func (c *conn) ended() {
	c.mu.Lock()
	c.live--
	c.mu.Unlock()
	c.server.live.done()
}

// maxExpelled bounds the names remembered per connection.
const maxExpelled = 64

// Upgraded tells the sockets that their connection has another transport.
func (c *conn) Upgraded(transport string) {
	for _, s := range c.sockets() {
		s.upgraded(transport)
	}
}

// Closed ends all sockets of the connection.
func (c *conn) Closed(reason engineio.Reason, description error) {
	c.mu.Lock()
	c.closed = &DisconnectError{Reason(reason), description}
	sockets, attempts, timer := c.joined, c.attempts, c.timer
	c.joined, c.attempts, c.timer = nil, nil, nil
	c.mu.Unlock()
	if timer != nil {
		timer.Stop()
	}
	c.partial.end()
	for _, a := range attempts {
		a.abandon(c.closed)
	}
	for _, s := range sockets {
		s.end(Reason(reason), description)
	}
	if fn := c.server.opts.ConnClosed; fn != nil {
		fn(c.ctx)
	}
}

// part disconnects s and all other sockets of the connection, and closes it when
// everything has been written. Farewells and close leave together.
func (c *conn) part(s *Socket) {
	var messages []engineio.Message
	expel := func(s *Socket) {
		if s.expel() {
			if m, err := c.server.opts.Codec.Encode(messages, s.farewell()); err == nil {
				messages = m
			}
		}
	}
	for _, other := range c.sockets() {
		expel(other)
	}
	expel(s)
	c.parting.Store(true)
	c.session.CloseWith(messages...)
}

// send sends a packet of the connection itself.
func (c *conn) send(p *parser.Packet) {
	if messages, err := c.server.opts.Codec.Encode(nil, p); err == nil {
		_ = c.session.SendMessages(messages...) // a closed session needs no answer
	}
}
