package socketio

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/parser"
)

// LocalAdapter is the single-node adapter of one namespace: it owns the rooms and
// delivers to the sockets of this process. Adapters for clusters wrap it and call
// its methods for what arrives from other nodes. Safe for concurrent use.
type LocalAdapter struct {
	ns           *Namespace
	roomWatcher  RoomWatcher
	liveSessions liveSessions // used with recovery only
	holds        roomHolds    // of joins that begin with history
	holdCount    atomic.Int64 // how many there are
	// sessionWatcher is nil unless the adapter keeps sessions current. It is set before
	// the first socket.
	sessionWatcher SessionWatcher

	mu          sync.RWMutex // guards what follows
	socketsByID map[string]*Socket
	roomsByName map[string]*room // without the sockets' own rooms, see inOwn
	roomEvents  roomEventQueue
}

var _ Adapter = (*LocalAdapter)(nil)

func newLocal(n *Namespace) *LocalAdapter {
	return &LocalAdapter{ns: n, socketsByID: map[string]*Socket{}, roomsByName: map[string]*room{}}
}

// Namespace returns the namespace's name, with its leading slash.
func (l *LocalAdapter) Namespace() string { return l.ns.name }

// RecoveryEnabled reports whether connection state recovery is on in this namespace, and
// for how long sessions are kept.
func (l *LocalAdapter) RecoveryEnabled() (maxDisconnection time.Duration, ok bool) {
	if r := l.ns.recovery; r != nil {
		return r.MaxDisconnection, true
	}
	return 0, false
}

// Broadcast sends an EVENT packet to the selected sockets of this node. It is
// encoded once.
func (l *LocalAdapter) Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error {
	// From here on, so that a burst of broadcasts leaves no time for writing in between.
	burst := l.ns.server.engineServer.NewBurst()
	defer burst.End()
	targets := l.collectTargets(o)
	if len(targets) == 0 {
		return nil
	}
	frames, err := l.encodeFrames(p, nil, o.Flags)
	if err != nil {
		return err
	}
	tellOutgoing(targets, p)
	l.sendAll(targets, frames, &o, burst)
	return nil
}

// FetchSockets describes the selected sockets of this node.
func (l *LocalAdapter) FetchSockets(ctx context.Context, o BroadcastOptions) ([]SocketDetails, error) {
	targets := l.collectTargets(o)
	details := make([]SocketDetails, len(targets))
	for i, s := range targets {
		details[i] = s.Details()
	}
	return details, nil
}

// AddSockets makes the selected sockets of this node join rooms. ErrRooms tells
// that some of them could not.
func (l *LocalAdapter) AddSockets(ctx context.Context, o BroadcastOptions, rooms []string) (err error) {
	for _, s := range l.collectTargets(o) {
		if e := l.joinRooms(s, rooms); e != nil {
			err = e
		}
	}
	return err
}

// DelSockets makes the selected sockets of this node leave rooms.
func (l *LocalAdapter) DelSockets(ctx context.Context, o BroadcastOptions, rooms []string) error {
	for _, s := range l.collectTargets(o) {
		for _, room := range rooms {
			l.leaveRoom(s, room)
		}
	}
	return nil
}

// DisconnectSockets disconnects the selected sockets of this node.
func (l *LocalAdapter) DisconnectSockets(ctx context.Context, o BroadcastOptions, closeConn bool) error {
	for _, s := range l.collectTargets(o) {
		s.Disconnect(closeConn)
	}
	return nil
}

// ServerSideEmit on a single node reaches no server.
func (l *LocalAdapter) ServerSideEmit(ctx context.Context, args Value, withAck bool) ([]Value, error) {
	return nil, nil
}

// ServerCount is 1.
func (l *LocalAdapter) ServerCount(ctx context.Context) (int, error) { return 1, nil }

// Close does nothing: a LocalAdapter has nothing but memory.
func (l *LocalAdapter) Close() error { return nil }
