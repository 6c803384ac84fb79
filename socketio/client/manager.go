package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/internal/workers"
	"posthouse/socketio/parser"
)

// Manager owns the connection to one server and the sockets on it. It connects while one
// of its sockets wants to be connected. All methods are safe for concurrent use.
type Manager struct {
	url       string
	opts      Options
	textCodec textCodec // of opts.Codec, may be nil
	lifetime  context.Context
	endLife   context.CancelFunc
	workers   workers.Pool

	// All goroutines but idle workers; Close waits for them.
	running sync.WaitGroup

	mu           sync.Mutex // guards what follows, and the state of all sockets
	sockets      map[string]*Socket
	link         *link // nil while nothing is or shall be connected
	closed       bool
	wasWebSocket bool // RememberUpgrade
	listeners    managerListeners
}

// textCodec is a codec whose packets are one text message each, followed by their
// attachments: its texts are appended to pooled buffers.
type textCodec interface {
	AppendText(dst []byte, p *parser.Packet) ([]byte, error)
}

// managerListeners are the functions registered on a manager.
type managerListeners struct {
	onReconnectAttempt []func(int)
	onReconnect        []func(int)
	onReconnectError   []func(error)
	onReconnectFailed  []func()
	onError            []func(error)
	onPing             []func()
	onUpgrade          []func(string)
}

// NewManager returns a manager for the server at a URL without a path, which is
// http://host, https://host, ws://host or wss://host. It connects with its first socket.
func NewManager(url string, o *Options) (*Manager, error) {
	m := &Manager{url: url, sockets: make(map[string]*Socket)}
	if o != nil {
		m.opts = *o
	}
	m.opts.setDefaults()
	if err := engine.Check(url, m.opts.engineOptions(m.opts.Transports)); err != nil {
		return nil, err
	}
	m.textCodec, _ = m.opts.Codec.(textCodec)
	m.lifetime, m.endLife = context.WithCancel(context.Background())
	return m, nil
}

// Socket returns the socket of a namespace, always the same for one name. It is not
// connected yet: register handlers, then call Connect.
func (m *Manager) Socket(namespace string) *Socket {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[namespace]
	if s == nil {
		s = newSocket(m, namespace)
		m.sockets[namespace] = s
	}
	return s
}

// Close disconnects all sockets, closes the connection and waits for every goroutine,
// handlers included. Called from a handler it would wait for itself: use
// Socket.Disconnect there. It is idempotent.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	for _, s := range m.sockets {
		s.disconnectLocked()
		s.forgetLocked()
	}
	m.dropLinkLocked()
	m.mu.Unlock()
	m.running.Wait()
	m.endLife()
	m.workers.Close()
	return nil
}

// Connected reports whether the connection is open. A socket's Connected says whether its
// namespace was joined.
func (m *Manager) Connected() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link != nil && m.link.conn != nil
}

// Transport returns the name of the transport in use, "" without a connection.
func (m *Manager) Transport() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link == nil || m.link.conn == nil {
		return ""
	}
	return m.link.conn.Transport()
}

// Drop cuts the connection without a word, as a lost network does; it comes back as it
// does then. It is for tests of programs.
func (m *Manager) Drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link != nil && m.link.conn != nil {
		m.link.conn.Drop()
	}
}

// OnReconnectAttempt calls fn before each attempt to come back, with its number.
func (m *Manager) OnReconnectAttempt(fn func(attempt int)) {
	m.listen(func(l *managerListeners) { l.onReconnectAttempt = append(slices.Clone(l.onReconnectAttempt), fn) })
}

// OnReconnect calls fn when the connection came back, with the number of attempts.
func (m *Manager) OnReconnect(fn func(attempts int)) {
	m.listen(func(l *managerListeners) { l.onReconnect = append(slices.Clone(l.onReconnect), fn) })
}

// OnReconnectError calls fn when an attempt to come back has failed.
func (m *Manager) OnReconnectError(fn func(error)) {
	m.listen(func(l *managerListeners) { l.onReconnectError = append(slices.Clone(l.onReconnectError), fn) })
}

// OnReconnectFailed calls fn when Options.ReconnectAttempts attempts have failed.
func (m *Manager) OnReconnectFailed(fn func()) {
	m.listen(func(l *managerListeners) { l.onReconnectFailed = append(slices.Clone(l.onReconnectFailed), fn) })
}

// OnError calls fn when an attempt to connect has failed, the first one included.
func (m *Manager) OnError(fn func(error)) {
	m.listen(func(l *managerListeners) { l.onError = append(slices.Clone(l.onError), fn) })
}

// OnPing calls fn for each ping of the server.
func (m *Manager) OnPing(fn func()) {
	m.listen(func(l *managerListeners) { l.onPing = append(slices.Clone(l.onPing), fn) })
}

// OnUpgrade calls fn when the connection has changed its transport.
func (m *Manager) OnUpgrade(fn func(transport string)) {
	m.listen(func(l *managerListeners) { l.onUpgrade = append(slices.Clone(l.onUpgrade), fn) })
}

// listen registers. The functions of a manager run one at a time, on the goroutine that
// connects and reads: they must not wait for the connection.
func (m *Manager) listen(register func(*managerListeners)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	register(&m.listeners)
}

func (m *Manager) currentListeners() managerListeners {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listeners
}

// spawn starts a goroutine that Close waits for. The caller holds m.mu, and m is not closed.
func (m *Manager) spawn(t workers.Task) {
	m.running.Add(1)
	m.workers.Go(t)
}

// openLocked sees to it that a connection is made. The caller holds m.mu.
func (m *Manager) openLocked() {
	if m.link != nil {
		return
	}
	ctx, cancel := context.WithCancel(m.lifetime)
	m.link = &link{manager: m, ctx: ctx, cancel: cancel}
	m.spawn(m.link)
}

// dropLinkLocked ends the connection in order, or the attempt to make one.
func (m *Manager) dropLinkLocked() {
	l := m.link
	if l == nil {
		return
	}
	m.link = nil
	if l.conn != nil {
		l.conn.Close()
	} else {
		l.cancel()
	}
}

// dropIdleLocked ends the connection when no socket wants one.
func (m *Manager) dropIdleLocked() {
	for _, s := range m.sockets {
		if s.active {
			return
		}
	}
	m.dropLinkLocked()
}

// connectTimeout returns the context of one attempt.
func (m *Manager) connectTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.opts.Timeout < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, m.opts.Timeout, fmt.Errorf("socketio client: timeout: %w", context.DeadlineExceeded))
}

// sleep waits; false means that ctx has ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
