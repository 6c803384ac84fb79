package socketio

import (
	"context"
	"sync"
	"time"

	"posthouse/socketio/parser"
)

// Local is the single-node adapter of one namespace: it owns the rooms and
// delivers to the sockets of this process. Adapters for clusters wrap it and call
// its methods for what arrives from other nodes. Safe for concurrent use.
type Local struct {
	ns      *Namespace
	watcher RoomWatcher
	live    liveSessions // used with recovery only

	mu      sync.RWMutex
	sockets map[string]*Socket
	rooms   map[string]*room // without the sockets' own rooms, see inOwn
	notices notices
}

var _ Adapter = (*Local)(nil)

func newLocal(n *Namespace) *Local {
	return &Local{ns: n, sockets: map[string]*Socket{}, rooms: map[string]*room{}}
}

// Namespace returns the namespace's name, with its leading slash.
func (l *Local) Namespace() string { return l.ns.name }

// RecoveryEnabled reports whether connection state recovery is on, and for how
// long sessions are kept.
func (l *Local) RecoveryEnabled() (maxDisconnection time.Duration, ok bool) {
	if r := l.ns.server.opts.Recovery; r != nil {
		return r.MaxDisconnection, true
	}
	return 0, false
}

// Broadcast sends an EVENT packet to the selected sockets of this node. It is
// encoded once.
func (l *Local) Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error {
	targets := l.targets(o)
	if len(targets) == 0 {
		return nil
	}
	frames, err := l.frames(p, nil, o.Flags)
	if err != nil {
		return err
	}
	tellOutgoing(targets, p)
	sendAll(targets, frames, o.Flags)
	return nil
}

// FetchSockets describes the selected sockets of this node.
func (l *Local) FetchSockets(ctx context.Context, o BroadcastOptions) ([]SocketDetails, error) {
	targets := l.targets(o)
	details := make([]SocketDetails, len(targets))
	for i, s := range targets {
		details[i] = SocketDetails{ID: s.id, Handshake: s.publicHandshake(), Rooms: s.Rooms(), Data: s.dataJSON()}
	}
	return details, nil
}

// AddSockets makes the selected sockets of this node join rooms. ErrRooms tells
// that some of them could not.
func (l *Local) AddSockets(ctx context.Context, o BroadcastOptions, rooms []string) (err error) {
	for _, s := range l.targets(o) {
		if e := l.join(s, rooms); e != nil {
			err = e
		}
	}
	return err
}

// DelSockets makes the selected sockets of this node leave rooms.
func (l *Local) DelSockets(ctx context.Context, o BroadcastOptions, rooms []string) error {
	for _, s := range l.targets(o) {
		for _, room := range rooms {
			l.leaveRoom(s, room)
		}
	}
	return nil
}

// DisconnectSockets disconnects the selected sockets of this node.
func (l *Local) DisconnectSockets(ctx context.Context, o BroadcastOptions, closeConn bool) error {
	for _, s := range l.targets(o) {
		s.Disconnect(closeConn)
	}
	return nil
}

// ServerSideEmit on a single node reaches nobody.
func (l *Local) ServerSideEmit(ctx context.Context, args Value, withAck bool) ([]Value, error) {
	return nil, nil
}

// ServerCount is 1.
func (l *Local) ServerCount(ctx context.Context) (int, error) { return 1, nil }

// Close does nothing: a Local has nothing but memory.
func (l *Local) Close() error { return nil }
