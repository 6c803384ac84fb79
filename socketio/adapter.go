package socketio

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"posthouse/socketio/parser"
)

// BroadcastOptions selects the sockets a broadcast or a remote operation is for:
// the union of Rooms (all sockets of the namespace when empty) without the
// members of Except. A socket is always in the room named by its own id.
type BroadcastOptions struct {
	Rooms  []string
	Except []string
	Flags  BroadcastFlags
	// Recorded says that histories of rooms keep the event, nil that none does. Adapters that
	// store it settle its ids.
	Recorded *Recorded
}

// BroadcastFlags are the modifiers of a broadcast, in Node's words.
type BroadcastFlags struct {
	Volatile             bool
	NoCompress           bool          // compress(false)
	Local                bool          // this node only
	Timeout              time.Duration // ack deadline, published to other nodes in ms
	ExpectSingleResponse bool          // set by RemoteSocket
	Trace                string        // what Observer.Publishing returned; "" without traces
}

// Value is one argument in canonical form: JSON text in which a binary value is
// {"_placeholder":true,"num":i} and stands for Attachments[i].
type Value struct {
	JSON        json.RawMessage
	Attachments [][]byte
}

// SocketDetails describes a socket of any node, as FetchSockets gives it.
type SocketDetails struct {
	ID        string
	Handshake *Handshake
	Rooms     []string
	Data      json.RawMessage
}

// Handshake is what a socket was opened with. Its JSON form is Node's.
type Handshake struct {
	Headers map[string]string `json:"headers"` // lower-case names, values joined by ", "
	Time    string            `json:"time"`    // as JavaScript's Date.toString
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"` // milliseconds since 1970
	URL     string            `json:"url"`
	Query   map[string]string `json:"query"`
	Auth    json.RawMessage   `json:"auth"` // an object
}

// PartialError is returned with partial results when some nodes or clients did
// not answer in time.
type PartialError struct {
	Op       string   // "fetchSockets", "serverSideEmit", …
	Expected int      // answers expected
	Received int      // answers received
	Missing  []string // names of the nodes that did not answer, when known
}

// Adapter is how a namespace reaches its sockets, on this node and on others.
// Rooms live in the LocalAdapter that every other adapter wraps. All methods
// are safe for concurrent use; none calls user code while holding a lock.
type Adapter interface {
	// Broadcast sends an EVENT packet without id to the selected sockets of all
	// nodes. It never waits for a network: local delivery is done when it
	// returns, publishing is queued. (The streams adapter with recovery on is the
	// exception: it needs the entry's id first.)
	Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error
	// BroadcastWithAck sends an EVENT packet that every receiving client
	// acknowledges, and returns the first argument of each acknowledgement. It ends
	// when all nodes have told their number of clients and all clients have
	// answered, or with a *PartialError and what arrived when ctx (or
	// Flags.Timeout) ends.
	BroadcastWithAck(ctx context.Context, p *parser.Packet, o BroadcastOptions) ([]Value, error)
	// FetchSockets returns the selected sockets of all nodes. On *PartialError
	// the result holds those that answered.
	FetchSockets(ctx context.Context, o BroadcastOptions) ([]SocketDetails, error)
	// AddSockets makes the selected sockets of all nodes join rooms, DelSockets
	// makes them leave. Neither waits for the other nodes to have done so.
	AddSockets(ctx context.Context, o BroadcastOptions, rooms []string) error
	DelSockets(ctx context.Context, o BroadcastOptions, rooms []string) error
	// DisconnectSockets disconnects the selected sockets of all nodes, with
	// closeConn their connections too.
	DisconnectSockets(ctx context.Context, o BroadcastOptions, closeConn bool) error
	// ServerSideEmit sends args (the first is the event name) to the other nodes,
	// never to this one. With withAck it returns one Value per node.
	ServerSideEmit(ctx context.Context, args Value, withAck bool) ([]Value, error)
	// ServerCount returns how many nodes have the namespace, this one included.
	ServerCount(ctx context.Context) (int, error)
	// Close says goodbye to the other nodes and releases everything. Idempotent.
	Close() error
}

// NewAdapter makes the adapter of one namespace around its LocalAdapter, which is ready
// for use. With an error the namespace is not made: New and TryOf return the
// error, NewServer and Of panic with it, and clients that ask for it are refused.
type NewAdapter func(l *LocalAdapter) (Adapter, error)

// RoomWatcher is implemented by adapters that subscribe per room (sharded).
// The calls come in order per room, outside of the locks of LocalAdapter being visible to
// user code, and must not block.
type RoomWatcher interface {
	RoomCreated(room string, private bool) // private: the room is a socket's own id
	RoomDeleted(room string, private bool)
}

// SessionStore is implemented by adapters that support connection state recovery.
type SessionStore interface {
	// PersistSession keeps the session of a socket whose connection was lost.
	PersistSession(ctx context.Context, s RecoverableSession) error
	// RestoreSession returns nil, nil when nothing can be recovered without a gap.
	// The offset is that of the last event that the client received. It is "" when
	// the client received none: everything after RecoverableSession.Since is missed.
	RestoreSession(ctx context.Context, pid, offset string) (*RestoredSession, error)
	// SessionPosition names the newest event that was sent, in the terms of offsets;
	// "" when that is not known. A new session gets it as its Since.
	SessionPosition() string
}

// SessionWatcher is implemented by session stores that keep the sessions of connected
// sockets current, so that they outlive a node that is killed.
type SessionWatcher interface {
	// SessionChanged tells that the session whose private id has this SHA-256 began,
	// changed its rooms or data, or ended: LocalAdapter.CurrentSession returns it. Further
	// changes are not told before CurrentSession was called. It must not block.
	SessionChanged(digest [sha256.Size]byte)
	// EndSession tells that the session of a connected socket whose private id has this SHA-256
	// must not be restored on any node any more. It must not block. told is called once: with
	// true when every node will refuse the session, with false when the store could not be
	// reached in a few seconds; the store goes on trying then. The client is not told of its
	// end before.
	EndSession(digest [sha256.Size]byte, told func(refused bool))
}

// RecoverableSession is what is kept of a disconnected socket: its id, its private
// id (which only its client knows), its rooms and its data, a JSON object.
type RecoverableSession struct {
	SID   string          `json:"sid"`
	PID   string          `json:"pid"`
	Rooms []string        `json:"rooms"`
	Data  json.RawMessage `json:"data"`
	// Since is where the session began: SessionStore.SessionPosition at its
	// connection. Sessions of Node servers have none.
	Since string `json:"since,omitempty"`
}

// RestoredSession is a kept session with the packets it missed; their Data
// already ends with the offset.
type RestoredSession struct {
	RecoverableSession
	Missed []*parser.Packet
}
