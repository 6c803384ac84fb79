package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"posthouse/internal/randid"
	"posthouse/socketio/internal/tally"
	"posthouse/socketio/parser"
)

// Middleware decides about a new socket before it is connected. An error
// refuses it: a *ConnectError tells the client why. ctx ends when the client goes
// away; rooms joined here count from the connection on.
type Middleware func(ctx context.Context, s *Socket) error

// pendingConnect is one CONNECT under way. It runs on a goroutine of its own, which
// becomes the first goroutine of the socket's mailbox.
type pendingConnect struct {
	conn          *conn
	namespaceName string
	authData      json.RawMessage

	mu           sync.Mutex // guards what follows
	cancelLookup func()     // ends the search for the namespace
	socket       *Socket    // once there is one
	abandonCause error      // why it was abandoned
}

// cancelWith names what to call when the attempt is abandoned before there is a
// socket; false means that it is.
func (a *pendingConnect) cancelWith(cancel func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancelLookup = cancel
	return a.abandonCause == nil
}

// abandon makes the attempt end silently: the client left, or tries again.
func (a *pendingConnect) abandon(cause error) {
	a.mu.Lock()
	a.abandonCause = cause
	s, cancel := a.socket, a.cancelLookup
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
	if c.engineSession.Protocol() == 3 {
		var query string
		if name, query = cutQuery(name); name == "/" {
			return errConnected // implied by the open packet
		}
		auth, _ = json.Marshal(flatQuery(query)) // a map of strings
	}
	switch {
	case exceeds(len(auth), c.server.options.Limits.AuthBytes):
		return c.refuseConnect(name, errAuthSize)
	case len(name) > parser.MaxNamespace:
		return fmt.Errorf("socketio: name of a namespace too long")
	}
	return c.startConnect(name, auth)
}

func (c *conn) startConnect(name string, auth json.RawMessage) error {
	if len(auth) == 0 {
		auth = emptyObject
	} else {
		auth = slices.Clone(auth)
	}
	a := &pendingConnect{conn: c, namespaceName: name, authData: auth}
	c.mu.Lock()
	if c.closeCause != nil {
		c.mu.Unlock()
		return nil
	}
	for _, s := range c.joinedSockets {
		if s.ns.name == name {
			c.mu.Unlock()
			return errConnected
		}
	}
	limit := c.server.options.Limits.Namespaces
	if exceeds(len(c.joinedSockets)+len(c.pendingConnects)+1, limit) {
		c.mu.Unlock()
		return c.refuseConnect(name, errTooMany)
	}
	if limit >= 0 && int(c.liveCount) >= limitLive*max(limit, 1) {
		c.mu.Unlock()
		return errChurn
	}
	c.liveCount++
	c.dropFarewell(name)
	c.disconnectedNamespaces = slices.DeleteFunc(c.disconnectedNamespaces, func(n string) bool { return n == name })
	// A client that calls connect, disconnect, connect within one round trip
	// sends CONNECT twice: the later one counts.
	var former *pendingConnect
	if i := slices.IndexFunc(c.pendingConnects, func(b *pendingConnect) bool { return b.namespaceName == name }); i >= 0 {
		former, c.pendingConnects[i] = c.pendingConnects[i], a
	} else {
		c.pendingConnects = append(c.pendingConnects, a)
	}
	c.mu.Unlock()
	if former != nil {
		former.abandon(errSuperseded)
	}
	c.server.liveTasks.Add() // before the goroutine starts; done by release or by Run
	c.server.workers.Go(a)
	return nil
}

var emptyObject = json.RawMessage("{}")

// Run carries the attempt to its end. It is counted in Server.liveTasks.
func (a *pendingConnect) Run() {
	c := a.conn
	observed := c.server.options.Observer.SocketConnected
	var start time.Time
	if observed != nil {
		start = time.Now()
	}
	ns, err := c.server.namespaceFor(a)
	if err != nil {
		a.refuseWith(err)
		c.countOut()
		return
	}
	s := a.newSocket(ns)
	starting := c.server.options.Observer.SocketConnecting
	if starting != nil {
		s.runGuarded(func() { s.wrapContext(starting) })
	}
	missed, restored := s.restoreSession()
	if !restored || !ns.recovery.SkipMiddlewares {
		err = s.runMiddlewares(a)
	}
	if restored && errors.Is(err, ErrNewSession) {
		former := s
		if s, err = a.startOver(former); err == nil {
			if starting != nil {
				s.runGuarded(func() { s.wrapContext(starting) })
			}
			missed, err = nil, s.runMiddlewares(a)
		} else {
			s = former
		}
	}
	if err == nil {
		err = c.addSocket(a, s)
	}
	if observed != nil {
		s.runGuarded(func() { observed(s, start, err) })
	}
	if err != nil {
		if s.Recovered() && !a.closeReason(err).recoverable() {
			s.awaitSessionEnd() // before the client hears of the refusal
		}
		a.refuseWith(err)
		s.undoConnect(a, err)
		return
	}
	s.announceConnect(missed)
	s.performTask(&Event{taskKind: taskConnect, socket: s}, nil)
	s.drain()
}

// newSocket makes the socket of the attempt, or its second one.
func (a *pendingConnect) newSocket(ns *Namespace) *Socket {
	s := &Socket{ns: ns, conn: a.conn, authData: a.authData}
	s.mailbox.draining = true // by this goroutine, from here on
	s.holdFrames.Store(true)
	s.id = randid.New()
	if session := a.conn.engineSession; session.Protocol() == 3 {
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
func (a *pendingConnect) startOver(former *Socket) (*Socket, error) {
	c := a.conn
	ns, err := c.server.findOrMake(former.ns.name, former.ns.parent, true)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.liveCount++ // the former socket counts itself out
	c.mu.Unlock()
	c.server.liveTasks.Add()
	s := a.newSocket(ns)
	s.resumption = &resumption{pid: randid.New()}
	former.endSession(func() {})
	former.undoConnect(a, ErrNewSession)
	return s, nil
}

// runMiddlewares runs the middlewares of the namespace.
func (s *Socket) runMiddlewares(a *pendingConnect) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.ns.server.logPanic(s.ns.name, v)
			err = errPanic
		}
	}()
	for _, fn := range s.ns.middlewares() {
		ctx := s.Context()
		if err := a.abandonedBy(); err != nil {
			s.cancelContext(err)
			return err
		}
		if err := fn(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (a *pendingConnect) abandonedBy() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.abandonCause
}

// addSocket registers the socket with its connection, unless that has ended or the
// attempt was superseded. From here on the client's packets are routed to it.
func (c *conn) addSocket(a *pendingConnect, s *Socket) error {
	if c.server.closing.Load() || c.disconnectingAll.Load() {
		return ErrClosed
	}
	if s.status.Load() == gone {
		return ErrDisconnected // by a middleware, or while one ran
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.pendingConnects, a)
	if i < 0 {
		if c.closeCause != nil {
			return c.closeCause
		}
		return errSuperseded
	}
	c.pendingConnects = slices.Delete(c.pendingConnects, i, i+1)
	s.eventLimiter = s.ns.newLimiter()
	c.joinedSockets = append(c.joinedSockets, s)
	s.ns.traffic.Add(tally.Key(s.id), socketsIn, 1)
	if c.connectTimer != nil {
		c.connectTimer.Stop()
		c.connectTimer = nil
	}
	return nil
}

// announceConnect makes the socket reachable and tells the client. Broadcasts that come
// between the two steps are held back until CONNECT is out: nothing is lost and nothing goes first.
func (s *Socket) announceConnect(missed []*parser.Packet) {
	s.beginSession()
	s.status.CompareAndSwap(connecting, connected)
	s.ns.localAdapter.announceSocket(s)
	for _, p := range missed {
		p.Namespace = s.ns.name
		s.conn.sendPacket(p)
	}
	s.conn.sendPacket(&parser.Packet{Type: parser.Connect, Namespace: s.ns.name, Data: s.connectPayload()})
	s.mu.Lock()
	for _, frames := range s.heldFrames {
		_ = s.conn.engineSession.Send(frames...)
	}
	s.heldFrames = nil
	if s.heldTooMany && s.resumption != nil {
		s.mu.Unlock() // holdFrames stays: nothing may follow what was not held
		s.conn.engineSession.Discard()
		return
	}
	s.holdFrames.Store(false)
	s.mu.Unlock()
}

// beginSession makes a session that is not a recovered one known, before the client
// learns of it.
func (s *Socket) beginSession() {
	if s.resumption != nil && !s.resumption.recovered && s.ns.sessionStore != nil {
		s.resumption.connectOffset = s.ns.sessionStore.SessionPosition()
		s.ns.localAdapter.liveSessions.addSession(s)
	}
}

func (s *Socket) connectPayload() json.RawMessage {
	if s.conn.engineSession.Protocol() == 3 {
		return nil // docs/protocol.md §2.2
	}
	if s.resumption != nil {
		return json.RawMessage(`{"sid":"` + s.id + `","pid":"` + s.resumption.pid + `"}`)
	}
	return json.RawMessage(`{"sid":"` + s.id + `"}`)
}

// undoConnect undoes what the middlewares of a refused socket did.
func (s *Socket) undoConnect(a *pendingConnect, cause error) {
	s.mu.Lock()
	if !s.closeQueued {
		s.closeQueued, s.keepable = true, a.closeReason(cause).recoverable()
	}
	s.status.Store(gone)
	acks := s.pendingAcks
	s.pendingAcks = nil
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
	for _, ack := range acks {
		ack(Args{}, ErrDisconnected)
	}
	s.persistSession(a.closeReason(cause))
	s.ns.localAdapter.removeSocket(s, a.closeReason(cause))
	s.releaseOwners()
}

// closeReason is the reason of a socket that ends before it was connected. A
// recovered one whose client has gone again may come back once more; one that was
// refused may not.
func (a *pendingConnect) closeReason(cause error) Reason {
	var refusal *ConnectError
	if a.abandonedBy() != nil && !errors.As(cause, &refusal) {
		return ReasonTransportClose
	}
	return ReasonServerNamespace
}
