package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"posthouse/socketio/parser"
)

// Middleware decides about a new socket before it is connected. An error
// refuses it: a *ConnectError tells the client why. ctx ends when the client goes
// away; rooms joined here count from the connection on.
type Middleware func(ctx context.Context, s *Socket) error

// attempt is one CONNECT under way. It runs on a goroutine of its own, which
// becomes the first goroutine of the socket's mailbox.
type attempt struct {
	conn *conn
	name string
	auth json.RawMessage

	mu     sync.Mutex
	cancel func()  // ends the search for the namespace
	socket *Socket // once there is one
	cause  error   // why it was abandoned
}

// cancelWith names what to call when the attempt is abandoned before there is a
// socket; false means that it is.
func (a *attempt) cancelWith(cancel func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel = cancel
	return a.cause == nil
}

// abandon makes the attempt end silently: the client left, or tries again.
func (a *attempt) abandon(cause error) {
	a.mu.Lock()
	a.cause = cause
	s, cancel := a.socket, a.cancel
	a.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if s != nil {
		s.cancelContext(cause)
	}
}

func (s *Socket) cancelContext(cause error) {
	s.mu.Lock()
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

var (
	errSuperseded = errors.New("socketio: the client sent another CONNECT")
	errConnected  = errors.New("socketio: CONNECT for a namespace that is joined")
	errUnknown    = &ConnectError{Message: "Invalid namespace"}
	errTooMany    = &ConnectError{Message: "too many namespaces"}
	errAuthSize   = &ConnectError{Message: "auth too large"}
	errRefusals   = errors.New("socketio: too many refused CONNECTs")
	errChurn      = errors.New("socketio: too many sockets coming and going")
)

// limitLive times Limits.Namespaces sockets and attempts of one connection may
// not have ended yet: a client that joins and leaves faster than the handlers
// can follow would otherwise pile them up.
const limitLive = 4

// receiveConnect handles a CONNECT packet. It does not block: everything that
// may take time is the attempt's.
func (c *conn) receiveConnect(p *parser.Packet) error {
	name, auth := p.Namespace, p.Data
	if c.session.Protocol() == 3 {
		var query string
		if name, query = cutQuery(name); name == "/" {
			return errConnected // implied by the open packet
		}
		auth, _ = json.Marshal(flatQuery(query)) // a map of strings
	}
	switch {
	case over(len(auth), c.server.opts.Limits.AuthBytes):
		return c.refuseWithin(name, errAuthSize)
	case len(name) > parser.MaxNamespace:
		return fmt.Errorf("socketio: name of a namespace too long")
	}
	return c.connect(name, auth)
}

func (c *conn) connect(name string, auth json.RawMessage) error {
	if len(auth) == 0 {
		auth = emptyObject
	} else {
		auth = slices.Clone(auth)
	}
	a := &attempt{conn: c, name: name, auth: auth}
	c.mu.Lock()
	if c.closed != nil {
		c.mu.Unlock()
		return nil
	}
	for _, s := range c.joined {
		if s.ns.name == name {
			c.mu.Unlock()
			return errConnected
		}
	}
	limit := c.server.opts.Limits.Namespaces
	if over(len(c.joined)+len(c.attempts)+1, limit) {
		c.mu.Unlock()
		return c.refuseWithin(name, errTooMany)
	}
	if limit >= 0 && c.live >= limitLive*max(limit, 1) {
		c.mu.Unlock()
		return errChurn
	}
	c.live++
	c.expelled = slices.DeleteFunc(c.expelled, func(n string) bool { return n == name })
	// A client that calls connect, disconnect, connect within one round trip
	// sends CONNECT twice: the later one counts.
	var former *attempt
	if i := slices.IndexFunc(c.attempts, func(b *attempt) bool { return b.name == name }); i >= 0 {
		former, c.attempts[i] = c.attempts[i], a
	} else {
		c.attempts = append(c.attempts, a)
	}
	c.mu.Unlock()
	if former != nil {
		former.abandon(errSuperseded)
	}
	c.server.live.add() // before the goroutine starts; done by release or by Run
	c.server.workers.Go(a)
	return nil
}

var emptyObject = json.RawMessage("{}")

// Run carries the attempt to its end. It is counted in Server.live.
func (a *attempt) Run() {
	c := a.conn
	ns, err := c.server.namespaceFor(a)
	if err != nil {
		a.refused(err)
		c.ended()
		return
	}
	s := a.newSocket(ns)
	missed, restored := s.restore()
	if !restored || !c.server.opts.Recovery.SkipMiddlewares {
		err = s.admit(a)
	}
	if restored && errors.Is(err, ErrNewSession) {
		former := s
		if s, err = a.startOver(former); err == nil {
			missed, err = nil, s.admit(a)
		} else {
			s = former
		}
	}
	if err == nil {
		err = c.join(a, s)
	}
	if err != nil {
		a.refused(err)
		s.withdraw(a, err)
		return
	}
	s.open(missed)
	s.perform(&Event{task: taskConnect, socket: s}, nil)
	s.drain()
}

// newSocket makes the socket of the attempt, or its second one.
func (a *attempt) newSocket(ns *Namespace) *Socket {
	s := &Socket{ns: ns, conn: a.conn, auth: a.auth}
	s.box.draining = true // by this goroutine, from here on
	s.holding.Store(true)
	s.id = newID()
	if session := a.conn.session; session.Protocol() == 3 {
		s.id = session.ID()
		if ns.name != "/" {
			s.id = ns.name + "#" + s.id
		}
	}
	a.mu.Lock()
	a.socket = s
	a.mu.Unlock()
	return s
}

// startOver replaces a recovered socket that a middleware did not let in with that
// session by a fresh one. The old session is used up.
func (a *attempt) startOver(former *Socket) (*Socket, error) {
	c := a.conn
	ns, err := c.server.of(former.ns.name, former.ns.parent, true)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.live++ // the former socket counts itself out
	c.mu.Unlock()
	c.server.live.add()
	s := a.newSocket(ns)
	s.resume = &resumption{pid: newID()}
	former.withdraw(a, ErrNewSession)
	return s, nil
}

// admit runs the middlewares of the namespace.
func (s *Socket) admit(a *attempt) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.ns.server.logPanic(s.ns.name, v)
			err = errPanic
		}
	}()
	for _, fn := range s.ns.middlewares() {
		ctx := s.Context()
		if err := a.abandoned(); err != nil {
			s.cancelContext(err)
			return err
		}
		if err := fn(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) abandoned() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

// join registers the socket with its connection, unless that has ended or the
// attempt was superseded. From here on the client's packets are routed to it.
func (c *conn) join(a *attempt, s *Socket) error {
	if c.server.closing.Load() || c.parting.Load() {
		return ErrClosed
	}
	if s.status.Load() == gone {
		return ErrDisconnected // by a middleware, or while one ran
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.attempts, a)
	if i < 0 {
		if c.closed != nil {
			return c.closed
		}
		return errSuperseded
	}
	c.attempts = slices.Delete(c.attempts, i, i+1)
	s.limiter = s.ns.newLimiter()
	c.joined = append(c.joined, s)
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	return nil
}

// open makes the socket reachable and tells the client. Broadcasts that come
// between the two steps are held back until CONNECT is out: nothing is lost and nothing goes first.
func (s *Socket) open(missed []*parser.Packet) {
	s.beginSession()
	s.status.CompareAndSwap(connecting, connected)
	s.ns.local.add(s)
	for _, p := range missed {
		p.Namespace = s.ns.name
		s.conn.send(p)
	}
	s.conn.send(&parser.Packet{Type: parser.Connect, Namespace: s.ns.name, Data: s.connectPayload()})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, frames := range s.held {
		_ = s.conn.session.Send(frames...)
	}
	s.held = nil
	s.holding.Store(false)
}

// beginSession makes a session that is not a recovered one known, before the client
// learns of it.
func (s *Socket) beginSession() {
	if s.resume != nil && !s.resume.recovered && s.ns.store != nil {
		s.resume.since = s.ns.store.SessionPosition()
		s.ns.local.live.add(s)
	}
}

func (s *Socket) connectPayload() json.RawMessage {
	if s.conn.session.Protocol() == 3 {
		return nil // docs/protocol.md §2.2
	}
	if s.resume != nil {
		return json.RawMessage(`{"sid":"` + s.id + `","pid":"` + s.resume.pid + `"}`)
	}
	return json.RawMessage(`{"sid":"` + s.id + `"}`)
}

// withdraw undoes what the middlewares of a refused socket did.
func (s *Socket) withdraw(a *attempt, cause error) {
	s.mu.Lock()
	if !s.closing {
		s.closing, s.keepable = true, a.withdrawal(cause).recoverable()
	}
	s.status.Store(gone)
	acks := s.acks
	s.acks = nil
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	for _, ack := range acks {
		ack(Args{}, ErrDisconnected)
	}
	s.persist(a.withdrawal(cause))
	s.ns.local.remove(s)
	s.release()
}

// withdrawal is the reason of a socket that ends before it was connected. A
// recovered one whose client has gone again may come back once more; one that was
// refused may not.
func (a *attempt) withdrawal(cause error) Reason {
	var refusal *ConnectError
	if a.abandoned() != nil && !errors.As(cause, &refusal) {
		return ReasonTransportClose
	}
	return ReasonServerNamespace
}

// cutQuery splits what a revision 3 client sends as the name of a namespace
// (docs/protocol.md §2.2), and normalises its path as a URL parser would.
func cutQuery(namespace string) (name, query string) {
	if namespace == "/" {
		return namespace, ""
	}
	name, _, _ = strings.Cut(namespace, "#")
	name, query, _ = strings.Cut(name, "?")
	if strings.Contains(name, "/.") {
		slash := strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..")
		if name = path.Clean(name); slash && name != "/" {
			name += "/"
		}
	}
	if name == "" {
		name = "/"
	}
	return escapePath(name), query
}

// escapePath percent-encodes what a URL parser encodes in a path; what is encoded
// already stays.
func escapePath(name string) string {
	const upper = "0123456789ABCDEF"
	var b []byte
	for i := range len(name) {
		switch c := name[i]; {
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>`{}", c) >= 0:
			if b == nil {
				b = append(make([]byte, 0, len(name)+16), name[:i]...)
			}
			b = append(b, '%', upper[c>>4], upper[c&15])
		case b != nil:
			b = append(b, c)
		}
	}
	if b == nil {
		return name
	}
	return string(b)
}
