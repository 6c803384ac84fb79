package socketio

import (
	"context"
	"time"

	"posthouse/socketio/parser"
)

// Local is the single-node adapter of one namespace: it owns the rooms and
// delivers to the sockets of this process. Adapters for clusters wrap it and call
// its methods for what arrives from other nodes. Safe for concurrent use.
type Local struct{}

var _ Adapter = (*Local)(nil)

// Namespace returns the namespace's name, with its leading slash.
func (l *Local) Namespace() string { panic("todo") }

// RecoveryEnabled reports whether connection state recovery is on, and for how
// long sessions are kept.
func (l *Local) RecoveryEnabled() (maxDisconnection time.Duration, ok bool) { panic("todo") }

// HasRoom reports whether any socket of this node is in room.
func (l *Local) HasRoom(room string) bool { panic("todo") }

// Rooms returns the names of all rooms of this node.
func (l *Local) Rooms() []string { panic("todo") }

// HasSocket reports whether the socket id is connected here.
func (l *Local) HasSocket(id string) bool { panic("todo") }

func (l *Local) Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error {
	panic("todo")
}

func (l *Local) BroadcastWithAck(ctx context.Context, p *parser.Packet, o BroadcastOptions) ([]Value, error) {
	panic("todo")
}

// BroadcastAcks is the building block of a broadcast with acks that another node
// asked for: it sends p under a fresh ack id, returns the number of receiving
// sockets, and calls onAck once for each acknowledgement until stop is called
// or ctx ends. onAck must not block.
func (l *Local) BroadcastAcks(ctx context.Context, p *parser.Packet, o BroadcastOptions, onAck func(Value)) (clients int, stop func()) {
	panic("todo")
}

func (l *Local) FetchSockets(ctx context.Context, o BroadcastOptions) ([]SocketDetails, error) {
	panic("todo")
}
func (l *Local) AddSockets(ctx context.Context, o BroadcastOptions, rooms []string) error {
	panic("todo")
}
func (l *Local) DelSockets(ctx context.Context, o BroadcastOptions, rooms []string) error {
	panic("todo")
}
func (l *Local) DisconnectSockets(ctx context.Context, o BroadcastOptions, closeConn bool) error {
	panic("todo")
}

// ServerSideEmit on a single node reaches nobody.
func (l *Local) ServerSideEmit(ctx context.Context, args Value, withAck bool) ([]Value, error) {
	panic("todo")
}

// DispatchServerSideEmit hands an event from another node to this namespace's
// OnServerSideEmit listeners. ack is nil when none was asked for; else it is
// called at most once with the first argument of the acknowledgement.
func (l *Local) DispatchServerSideEmit(args Value, ack func(Value)) { panic("todo") }

func (l *Local) ServerCount(ctx context.Context) (int, error) { panic("todo") }
func (l *Local) Close() error                                 { panic("todo") }
