package socketio

import (
	"context"
	"encoding/json"
	"time"
)

// RemoteSocket is what FetchSockets tells of a socket of any node, with ways to
// act on it. It is a snapshot.
type RemoteSocket struct {
	ns      *Namespace
	details SocketDetails
	flags   BroadcastFlags
}

// ID returns the socket's id.
func (r *RemoteSocket) ID() string { return r.details.ID }

// Handshake returns what the socket was opened with.
func (r *RemoteSocket) Handshake() *Handshake { return r.details.Handshake }

// Rooms returns the rooms it was in.
func (r *RemoteSocket) Rooms() []string { return r.details.Rooms }

// Data returns the socket's data as a JSON object: see Key.
func (r *RemoteSocket) Data() json.RawMessage {
	data := r.details.Data
	for _, d := range r.ns.server.details() {
		data = withoutField(data, d.name)
	}
	return data
}

// Timeout returns a RemoteSocket whose acknowledgements must come within d.
func (r *RemoteSocket) Timeout(d time.Duration) *RemoteSocket {
	c := *r
	c.flags.Timeout = d
	return &c
}

func (r *RemoteSocket) toThisSocket() BroadcastOperator {
	f := r.flags
	f.ExpectSingleResponse = true
	return BroadcastOperator{ns: r.ns, roomNames: []string{r.details.ID}, flags: f}
}

// Emit sends it an event.
func (r *RemoteSocket) Emit(event string, args ...any) error {
	return r.toThisSocket().Emit(event, args...)
}

// EmitWithAck sends it an event and waits for its acknowledgement, of which it
// returns the first argument. A socket that has gone meanwhile gives ErrDisconnected.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	answers, err := r.toThisSocket().EmitWithAck(ctx, event, args...)
	if len(answers) > 0 {
		return answers[0], nil
	}
	if err == nil {
		err = ErrDisconnected
	}
	return Args{}, err
}

// Join makes it join rooms.
func (r *RemoteSocket) Join(ctx context.Context, rooms ...string) error {
	return r.toThisSocket().SocketsJoin(ctx, rooms...)
}

// Leave makes it leave a room.
func (r *RemoteSocket) Leave(ctx context.Context, room string) error {
	return r.toThisSocket().SocketsLeave(ctx, room)
}

// Disconnect disconnects it: see Socket.Disconnect.
func (r *RemoteSocket) Disconnect(ctx context.Context, closeConn bool) error {
	return r.toThisSocket().DisconnectSockets(ctx, closeConn)
}
