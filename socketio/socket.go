package socketio

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"sync/atomic"

	"posthouse/socketio/engineio"
)

// Socket is one client in one namespace. All methods are safe for concurrent
// use and may be called from handlers.
type Socket struct {
	id   string
	ns   *Namespace
	conn *conn

	eventLimiter *eventLimiter // nil: none; set before the first packet is routed to the socket

	status          atomic.Uint32 // connecting, connected or gone
	dropQueued      atomic.Bool   // the server disconnected it: queued events are not handled
	holdFrames      atomic.Bool   // what is sent waits in held for the CONNECT packet
	handlerPanicked atomic.Bool   // a handler did: its session is not kept
	hasOutgoing     atomic.Bool   // there are OnAnyOutgoing listeners
	moreQueued      atomic.Bool   // further events wait: answers may share a write

	mu          sync.Mutex // a leaf, except that held frames are sent under it
	authData    json.RawMessage
	mailbox     mailbox
	closeQueued bool // the close task is queued: nothing may be queued after it
	heldTooMany bool // some frames were not held
	keepable    bool // closing for a reason after which its session may be recovered
	listeners   *listeners
	pendingAcks map[uint64]ackFunc
	heldFrames  []heldFrames
	dataValues  map[string]any
	ctx         context.Context
	cancel      context.CancelCauseFunc
	resumption  *resumption

	// Guarded by LocalAdapter.mu of the namespace:
	rooms     []membership
	ownRoom   bool // it is in the room named by its id
	inAdapter bool // the LocalAdapter has it
	announced bool // watchers count it as connected
}

// The life of a socket.
const (
	connecting uint32 = iota // in the middlewares
	connected
	gone
)

// resumption is what connection state recovery keeps of a socket.
type resumption struct {
	pid           string
	recovered     bool
	connectOffset string // SessionStore.SessionPosition at the connection

	socket     *Socket       // nil until liveSessions knows it
	keptOrLost chan struct{} // closed when the session is kept, or is not going to be
	claimed    bool          // guarded by liveSessions.mu

	digest   [sha256.Size]byte // of pid; set with socket
	isLive   atomic.Bool       // liveSessions knows it
	isToldOf atomic.Bool       // the SessionWatcher knows that it changed

	// formerRooms are those of a socket whose session was taken over, until its end;
	// guarded by LocalAdapter.mu of the namespace.
	formerRooms []string
}

// ID returns the socket's id in its namespace, 20 characters; the id of the
// connection is that of Conn. (For revision 3 clients it derives from that.)
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace of the socket.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Connected reports whether the client is in the namespace. It is false in
// middlewares and since the end began.
func (s *Socket) Connected() bool { return s.status.Load() == connected }

// Recovered reports whether this socket continues an earlier one: its id, rooms
// and data are those, and it got what it missed.
func (s *Socket) Recovered() bool { return s.resumption != nil && s.resumption.recovered }

// Handshake returns what the socket was opened with. It is built for the
// caller, who may keep and change it.
func (s *Socket) Handshake() *Handshake { return s.conn.handshakeData.publicForm(s.connectAuth()) }

// Auth decodes the auth object of the CONNECT packet into dst.
func (s *Socket) Auth(dst any) error { return json.Unmarshal(s.connectAuth(), dst) }

func (s *Socket) connectAuth() json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.authData
}

// ForgetAuth empties the auth object: for a middleware that has checked a password in
// it, which neither Handshake nor FetchSockets on another node then tells any more.
func (s *Socket) ForgetAuth() {
	s.mu.Lock()
	s.authData = emptyObject
	s.mu.Unlock()
}

// Conn returns the Engine.IO session below, which the sockets of this client
// share: its id, protocol and current transport. Messages sent on it directly
// are not Socket.IO packets.
func (s *Socket) Conn() *engineio.Session { return s.conn.engineSession }

// Header returns a header of the first request of the connection, "" without one.
func (s *Socket) Header(name string) string { return s.conn.handshakeData.headerValue(name) }

// Context returns the context that ends with the socket; its values are those of
// Options.ConnContext. Its cause is then a *DisconnectError, or plain
// ErrDisconnected when Context is called for the first time after the end.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(context.WithValue(s.conn.ctx, socketKey{}, s))
		if s.closeQueued {
			s.cancel(ErrDisconnected)
		}
	}
	return s.ctx
}

type socketKey struct{}

// FromContext returns the socket of a context that Socket.Context returned, or
// nil: for functions given to Handle.
func FromContext(ctx context.Context) *Socket {
	s, _ := ctx.Value(socketKey{}).(*Socket)
	return s
}

// Join puts the socket into rooms. After the disconnection it does nothing. It
// returns ErrRooms, joining none of them, when Limits does not allow it.
func (s *Socket) Join(rooms ...string) error { return s.ns.localAdapter.joinRooms(s, rooms) }

// Leave takes the socket out of a room.
func (s *Socket) Leave(room string) { s.ns.localAdapter.leaveRoom(s, room) }

// Rooms returns the rooms the socket is in, its own id first.
func (s *Socket) Rooms() []string { return s.ns.localAdapter.roomsOf(s) }

// InRoom reports whether the socket is in a room.
func (s *Socket) InRoom(room string) bool { return s.ns.localAdapter.inRoom(s, room) }

// AfterFlush calls fn once, on another goroutine, when everything sent to this
// client so far has been written to its connection (for polling: answered to a
// GET). When the connection ends first, fn is never called. It does not mean
// that the client has seen it: ask for an acknowledgement for that.
func (s *Socket) AfterFlush(fn func()) {
	s.conn.engineSession.AfterFlush(func() { s.runGuarded(fn) })
}
