package client

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"

	"posthouse/socketio"
	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// Socket is a namespace of a server as one client of it. It exists before it is connected
// and between connections. All methods are safe for concurrent use.
type Socket struct {
	manager     *Manager
	namespace   string
	ownsManager bool // made by New or Dial
	nextAck     atomic.Uint64
	hasOutgoing atomic.Bool

	// Guarded by Manager.mu:
	active       bool // wants to be connected
	connected    bool
	joining      *engine.Conn // where CONNECT was sent; nil while it was not
	id           string
	pid          string // the session's secret, for recovery
	lastOffset   string
	recovered    bool
	ctx          context.Context // while connected
	endCtx       context.CancelCauseFunc
	sendBuffer   []heldPacket // emitted while not connected
	sendBytes    int
	early        []*Event // received before CONNECT: the missed events of a recovery
	earlyBytes   int
	acks         map[uint64]*pendingAck
	retryQueue   []*queuedEmit
	retryBytes   int
	waiters      []*connectWaiter
	mailbox      mailbox
	listeners    socketListeners
	authTriesNow bool // a goroutine asks AuthFunc
}

// connectWaiter is a call of Connect.
type connectWaiter struct {
	result    chan error // of capacity 1
	firstOnly bool       // the first error ends the wait: Dial
}

func newSocket(m *Manager, namespace string) *Socket {
	return &Socket{manager: m, namespace: namespace, acks: make(map[uint64]*pendingAck)}
}

// New returns the socket of a namespace, which is the path of the URL, with a Manager of
// its own. Nothing is connected yet: register handlers, then call Connect.
func New(url string, o *Options) (*Socket, error) {
	base, namespace, err := splitURL(url)
	if err != nil {
		return nil, err
	}
	m, err := NewManager(base, o)
	if err != nil {
		return nil, err
	}
	s := m.Socket(namespace)
	s.ownsManager = true
	return s, nil
}

// Dial is New and Connect, but gives up at the first error. It is for programs that
// mostly send: an event that arrives before its handler is registered is not kept.
func Dial(ctx context.Context, url string, o *Options) (*Socket, error) {
	s, err := New(url, o)
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx, true); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Manager returns the owner of the connection.
func (s *Socket) Manager() *Manager { return s.manager }

// Namespace returns the namespace's name.
func (s *Socket) Namespace() string { return s.namespace }

// Connected reports whether the namespace is joined.
func (s *Socket) Connected() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.connected
}

// Active reports whether the socket is connected or will be without further ado.
func (s *Socket) Active() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.active
}

// ID returns the id that the server has given the socket, "" while it is not connected.
func (s *Socket) ID() string {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.id
}

// Recovered reports whether the session before went on with this connection: its rooms
// and data are as they were, and the events missed meanwhile have come.
func (s *Socket) Recovered() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.recovered
}

// Open begins to connect, like connect() in JavaScript, and does not wait. Without
// effect on an active socket.
func (s *Socket) Open() error {
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.openLocked()
}

func (s *Socket) openLocked() error {
	m := s.manager
	if m.closed {
		return ErrClosed
	}
	if s.active {
		m.openLocked() // after NoReconnect, or all the attempts, it begins anew
		return nil
	}
	s.active = true
	if m.link != nil && m.link.conn != nil {
		s.joinLocked(m.link)
	} else {
		m.openLocked()
	}
	return nil
}

// Connect is Open that waits until the socket is connected. It returns a
// *socketio.ConnectError when the server refuses, and the last error when the manager does
// not try (again). When ctx ends, the wait does; the socket goes on trying, unless
// Disconnect is called.
func (s *Socket) Connect(ctx context.Context) error { return s.connect(ctx, false) }

func (s *Socket) connect(ctx context.Context, firstOnly bool) error {
	m := s.manager
	m.mu.Lock()
	if s.connected {
		m.mu.Unlock()
		return nil
	}
	w := &connectWaiter{make(chan error, 1), firstOnly}
	s.waiters = append(s.waiters, w)
	if err := s.openLocked(); err != nil {
		m.mu.Unlock()
		return err
	}
	m.mu.Unlock()
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		m.mu.Lock()
		s.waiters = slices.DeleteFunc(s.waiters, func(other *connectWaiter) bool { return other == w })
		m.mu.Unlock()
		return context.Cause(ctx)
	}
}

// Disconnect leaves the namespace, and closes the connection with the last one. It does
// not wait. The socket may be connected again.
func (s *Socket) Disconnect() {
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	s.disconnectLocked()
	m.dropIdleLocked()
}

func (s *Socket) disconnectLocked() {
	if s.connected {
		s.sendControlLocked(parser.Disconnect, "", nil)
		// The server may hear of it behind the CONNECT of the next connection, and would
		// continue the session then.
		s.pid, s.lastOffset = "", ""
	}
	wasConnected := s.connected
	s.active, s.joining = false, nil
	s.releaseWaitersLocked(socketio.ErrDisconnected)
	if wasConnected {
		s.lostLocked(ReasonClientDisconnect, nil)
	}
}

// Close is Disconnect, and for a socket of New or Dial it closes the manager and waits
// for all goroutines: not to be called from a handler then.
func (s *Socket) Close() error {
	if s.ownsManager {
		return s.manager.Close()
	}
	s.Disconnect()
	return nil
}

// sendControlLocked sends CONNECT or DISCONNECT.
func (s *Socket) sendControlLocked(t parser.Type, query string, data json.RawMessage) {
	m := s.manager
	if m.link == nil || m.link.conn == nil {
		return
	}
	messages, err := m.opts.Codec.Encode(nil, &parser.Packet{Type: t, Namespace: s.namespace + query, Data: data})
	if err == nil {
		err = m.link.conn.Send(messages...)
	}
	if err != nil && !errors.Is(err, engine.ErrClosed) {
		m.opts.Logger.Warn("socketio client: packet not sent", "namespace", s.namespace, "error", err)
	}
}

// connectedLocked is the answer to CONNECT.
func (s *Socket) connectedLocked(id, pid string) {
	s.connected, s.id = true, id
	s.recovered = pid != "" && pid == s.pid
	if pid != s.pid {
		s.pid, s.lastOffset = pid, ""
	}
	s.ctx, s.endCtx = context.WithCancelCause(s.manager.lifetime)
	early := s.early
	s.early, s.earlyBytes = nil, 0
	for _, e := range early {
		s.deliverLocked(e)
	}
	s.flushLocked()
	s.drainRetriesLocked(true)
	if fns := s.listeners.onConnect; len(fns) > 0 {
		s.callLocked(func() {
			for _, fn := range fns {
				fn()
			}
		})
	}
	s.releaseWaitersLocked(nil)
}

// lostLocked ends the connection of the socket, if it had one.
func (s *Socket) lostLocked(reason socketio.Reason, cause error) {
	s.joining, s.early, s.earlyBytes = nil, nil, 0
	if !s.connected {
		return
	}
	s.connected, s.id = false, ""
	if l := s.manager.link; l != nil && s.namespace == "/" {
		l.rootLeft = true
	}
	end := &socketio.DisconnectError{Reason: reason, Err: cause}
	s.endCtx(end)
	if fns := s.listeners.onDisconnect; len(fns) > 0 {
		s.callLocked(func() {
			for _, fn := range fns {
				fn(reason, cause)
			}
		})
	}
	s.failAcksLocked(end)
}

// forgetLocked drops what waits for a connection that never comes.
func (s *Socket) forgetLocked() {
	for id := range s.acks {
		s.takeAckLocked(id).done(socketio.Args{}, ErrClosed)
	}
	for _, q := range s.retryQueue {
		if q.ack != nil {
			q.ack.done(socketio.Args{}, ErrClosed)
		}
	}
	s.sendBuffer, s.sendBytes, s.retryQueue, s.retryBytes = nil, 0, nil, 0
}

// connectErrorLocked tells of a failed attempt.
func (s *Socket) connectErrorLocked(err error) {
	if fns := s.listeners.onConnectError; len(fns) > 0 {
		s.callLocked(func() {
			for _, fn := range fns {
				fn(err)
			}
		})
	}
	kept := s.waiters[:0]
	for _, w := range s.waiters {
		if w.firstOnly {
			w.result <- err
		} else {
			kept = append(kept, w)
		}
	}
	s.waiters = kept
}

// releaseWaitersLocked ends the calls of Connect.
func (s *Socket) releaseWaitersLocked(err error) {
	for _, w := range s.waiters {
		w.result <- err
	}
	s.waiters = nil
}
