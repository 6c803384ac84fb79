package socketio

import (
	"context"
	"time"
)

// OnAny is as Namespace.OnAny, for the children made from now on.
func (p *ParentNamespace) OnAny(fn func(*Event)) { p.prototype.OnAny(fn) }

// OnAnyOutgoing is as Namespace.OnAnyOutgoing, for the children made from now on.
func (p *ParentNamespace) OnAnyOutgoing(fn func(s *Socket, event string, args Args)) {
	p.prototype.OnAnyOutgoing(fn)
}

// OnDisconnecting is as Namespace.OnDisconnecting, for the children made from now on.
func (p *ParentNamespace) OnDisconnecting(fn func(*Socket, Reason)) { p.prototype.OnDisconnecting(fn) }

// OnUpgrade is as Namespace.OnUpgrade, for the children made from now on.
func (p *ParentNamespace) OnUpgrade(fn func(s *Socket, transport string)) { p.prototype.OnUpgrade(fn) }

// OnServerSideEmit is as Namespace.OnServerSideEmit, for the children made from now on.
func (p *ParentNamespace) OnServerSideEmit(event string, fn func(*ServerSideEvent)) {
	p.prototype.OnServerSideEmit(event, fn)
}

// Server returns the server of the children.
func (p *ParentNamespace) Server() *Server { return p.server }

// Local returns an operator for the sockets of this node in all children.
func (p *ParentNamespace) Local() BroadcastOperator { return p.allSockets().Local() }

// Volatile returns an operator whose events may be dropped: see Socket.Volatile.
func (p *ParentNamespace) Volatile() BroadcastOperator { return p.allSockets().Volatile() }

// Compress returns an operator that sets compression: see Socket.Compress.
func (p *ParentNamespace) Compress(on bool) BroadcastOperator { return p.allSockets().Compress(on) }

// Timeout returns an operator with a bound on the wait for acknowledgements, which
// parents do not gather: EmitWithAck returns ErrParent, as in Node.
func (p *ParentNamespace) Timeout(d time.Duration) BroadcastOperator {
	return p.allSockets().Timeout(d)
}

// Send is Emit("message", args...).
func (p *ParentNamespace) Send(args ...any) error { return p.Emit("message", args...) }

// EmitWithAck returns ErrParent, as in Node: acknowledgements belong to one namespace.
func (p *ParentNamespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return p.allSockets().EmitWithAck(ctx, event, args...)
}

// FetchSockets returns ErrParent, as in Node.
func (p *ParentNamespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return p.allSockets().FetchSockets(ctx)
}

// SocketsJoin makes the sockets of all children join rooms.
func (p *ParentNamespace) SocketsJoin(ctx context.Context, rooms ...string) error {
	return p.allSockets().SocketsJoin(ctx, rooms...)
}

// SocketsLeave makes the sockets of all children leave rooms.
func (p *ParentNamespace) SocketsLeave(ctx context.Context, rooms ...string) error {
	return p.allSockets().SocketsLeave(ctx, rooms...)
}

// DisconnectSockets disconnects the sockets of all children.
func (p *ParentNamespace) DisconnectSockets(ctx context.Context, closeConn bool) error {
	return p.allSockets().DisconnectSockets(ctx, closeConn)
}

// ServerSideEmit sends an event to the other nodes of each child of this node's
// server: see Namespace.ServerSideEmit. The error is that of the first child that failed.
func (p *ParentNamespace) ServerSideEmit(event string, args ...any) (err error) {
	for _, n := range p.Namespaces() {
		if e := n.ServerSideEmit(event, args...); e != nil && err == nil {
			err = e
		}
	}
	return err
}
