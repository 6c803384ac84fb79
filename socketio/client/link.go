package client

import (
	"context"
	"errors"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// link is one stay with the server: connecting, being connected and coming back, until no
// socket wants it. Its goroutine is the one that reads.
type link struct {
	manager *Manager
	ctx     context.Context
	cancel  context.CancelFunc

	// Guarded by Manager.mu:
	conn       *engine.Conn // nil while there is none
	rootJoined bool         // revision 3: the server has connected "/", which no socket wanted then
	rootLeft   bool         // revision 3: "/" was left, and cannot be joined again

	// Used by the goroutine of Run:
	decoder parser.Decoder
	attempt int // 0 before anything failed
}

// Run implements workers.Task.
func (l *link) Run() {
	defer l.manager.running.Done()
	defer l.cancel()
	for l.connectOnce() && l.waitToReconnect() {
	}
}

// connectOnce makes a connection and reads it to its end. It reports whether to try again.
// While the connection is idle its frame is on the stack: what needs a large one is in
// functions of their own, so that the stack can shrink.
func (l *link) connectOnce() bool {
	conn, err := l.dial()
	if err != nil {
		return l.failed(err)
	}
	if !l.opened(conn) {
		conn.Drop()
		_ = conn.Serve(l.ctx, engine.Handler{}) // waits for what belongs to it
		return false
	}
	l.reconnected()
	l.decoder = l.manager.opts.Codec.NewDecoder()
	err = conn.Serve(l.ctx, engine.Handler{Message: l.receive, Ping: l.pinged, Upgrade: l.upgraded})
	return l.closed(err)
}

// reconnected tells of a connection that came back.
func (l *link) reconnected() {
	if l.attempt == 0 {
		return
	}
	for _, fn := range l.manager.currentListeners().onReconnect {
		fn(l.attempt)
	}
	l.attempt = 0
}

// dial makes one attempt.
func (l *link) dial() (*engine.Conn, error) {
	m := l.manager
	ctx, cancel := m.connectTimeout(l.ctx)
	defer cancel()
	return engine.Dial(ctx, m.url, m.opts.engineOptions(m.transports()))
}

// transports returns Options.Transports, the WebSocket first when RememberUpgrade says so.
func (m *Manager) transports() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.opts.RememberUpgrade || !m.wasWebSocket {
		return m.opts.Transports
	}
	names := []string{"websocket"}
	for _, name := range m.opts.Transports {
		if name != "websocket" {
			names = append(names, name)
		}
	}
	if len(names) == 1 || len(names) > len(m.opts.Transports) {
		return m.opts.Transports // the only one, or not wanted
	}
	return names
}

// failed tells of a failed attempt and reports whether to go on.
func (l *link) failed(err error) bool {
	m := l.manager
	m.mu.Lock()
	if m.link != l {
		m.mu.Unlock()
		return false
	}
	m.wasWebSocket = false
	for _, s := range m.sockets {
		if s.active && !s.connected {
			s.connectErrorLocked(err)
		}
	}
	listeners := m.listeners
	m.mu.Unlock()
	for _, fn := range listeners.onError {
		fn(err)
	}
	if l.attempt > 0 {
		for _, fn := range listeners.onReconnectError {
			fn(err)
		}
	}
	return l.mayReconnect(err)
}

// mayReconnect reports whether another attempt is allowed; otherwise the link is over.
func (l *link) mayReconnect(err error) bool {
	m := l.manager
	m.mu.Lock()
	if m.link != l {
		m.mu.Unlock()
		return false
	}
	exhausted := m.opts.ReconnectAttempts > 0 && l.attempt >= m.opts.ReconnectAttempts
	if !m.opts.NoReconnect && !exhausted {
		m.mu.Unlock()
		return true
	}
	m.link = nil
	for _, s := range m.sockets {
		s.active = false
	}
	if exhausted {
		err = errors.Join(ErrReconnectFailed, err)
	}
	for _, s := range m.sockets {
		s.releaseWaitersLocked(err)
	}
	listeners := m.listeners
	m.mu.Unlock()
	if exhausted {
		for _, fn := range listeners.onReconnectFailed {
			fn()
		}
	}
	return false
}

// waitToReconnect waits for the delay and tells of the attempt that follows.
func (l *link) waitToReconnect() bool {
	m := l.manager
	l.attempt++
	if !sleep(l.ctx, m.opts.delay(l.attempt)) {
		return false
	}
	for _, fn := range m.currentListeners().onReconnectAttempt {
		fn(l.attempt)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link == l
}

// opened joins the namespaces of the active sockets; false means that none is.
func (l *link) opened(conn *engine.Conn) bool {
	m := l.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link != l {
		return false
	}
	l.conn, l.rootJoined, l.rootLeft = conn, false, false
	for _, s := range m.sockets {
		if s.active {
			s.joinLocked(l)
		}
	}
	return true
}

// closed tells the sockets that the connection is gone and reports whether to come back.
func (l *link) closed(err error) bool {
	m := l.manager
	reason, cause := ReasonTransportClose, err
	var end *engine.CloseError
	if errors.As(err, &end) {
		reason, cause = socketio.Reason(end.Reason), end.Err
	}
	m.mu.Lock()
	if m.link != l {
		m.mu.Unlock()
		return false // the sockets were told when they were disconnected
	}
	m.wasWebSocket = l.conn.Transport() == "websocket" && end != nil && end.Reason != engineio.ReasonTransportError
	l.conn = nil
	for _, s := range m.sockets {
		if s.active {
			s.lostLocked(reason, cause)
		}
	}
	m.mu.Unlock()
	return l.mayReconnect(err)
}

func (l *link) pinged() {
	for _, fn := range l.manager.currentListeners().onPing {
		fn()
	}
}

func (l *link) upgraded(transport string) {
	for _, fn := range l.manager.currentListeners().onUpgrade {
		fn(transport)
	}
}

// receive takes one message of the connection. An error ends it with a parse error.
func (l *link) receive(msg engineio.Message) error {
	p, err := l.decoder.Add(msg)
	if err != nil || p == nil {
		return err
	}
	m := l.manager
	m.mu.Lock()
	s := m.sockets[p.Namespace]
	if m.link != l || s == nil || !s.active {
		if p.Namespace == "/" && (p.Type == parser.Connect || p.Type == parser.Disconnect) {
			l.rootJoined, l.rootLeft = p.Type == parser.Connect, p.Type == parser.Disconnect
		}
		m.mu.Unlock()
		return nil // it was disconnected meanwhile
	}
	wait, err := s.receiveLocked(l, p)
	m.mu.Unlock()
	if wait != nil {
		select { // the handlers have to catch up
		case <-wait:
		case <-l.conn.Done():
		}
	}
	return err
}
