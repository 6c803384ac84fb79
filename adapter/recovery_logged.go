package adapter

import (
	"context"

	"posthouse/socketio"
)

// loggedClassic is Classic with a log. It is a type of its own because a server asks an
// adapter by its methods whether it recovers sessions.
type loggedClassic struct{ *Classic }

// loggedSharded is Sharded with a log.
type loggedSharded struct{ *Sharded }

var (
	_ socketio.SessionStore   = (*loggedClassic)(nil)
	_ socketio.SessionWatcher = (*loggedClassic)(nil)
	_ socketio.RoomWatcher    = (*loggedClassic)(nil)
	_ socketio.SessionStore   = (*loggedSharded)(nil)
	_ socketio.SessionWatcher = (*loggedSharded)(nil)
	_ socketio.RoomWatcher    = (*loggedSharded)(nil)
)

// PersistSession implements socketio.SessionStore.
func (a *loggedClassic) PersistSession(ctx context.Context, s socketio.RecoverableSession) error {
	return a.eventLog.PersistSession(ctx, s)
}

// RestoreSession implements socketio.SessionStore.
func (a *loggedClassic) RestoreSession(ctx context.Context, pid, offset string) (*socketio.RestoredSession, error) {
	return a.eventLog.RestoreSession(ctx, pid, offset)
}

// SessionPosition implements socketio.SessionStore.
func (a *loggedClassic) SessionPosition() string { return a.eventLog.SessionPosition() }

// SessionChanged implements socketio.SessionWatcher.
func (a *loggedClassic) SessionChanged(digest sessionDigest) { a.eventLog.SessionChanged(digest) }

// EndSession implements socketio.SessionWatcher.
func (a *loggedClassic) EndSession(digest sessionDigest, told func(refused bool)) {
	a.eventLog.EndSession(digest, told)
}

// RoomCreated implements socketio.RoomWatcher.
func (a *loggedClassic) RoomCreated(room string, private bool) { a.eventLog.RoomCreated(room, private) }

// RoomDeleted implements socketio.RoomWatcher.
func (a *loggedClassic) RoomDeleted(room string, private bool) {}

// PersistSession implements socketio.SessionStore.
func (a *loggedSharded) PersistSession(ctx context.Context, s socketio.RecoverableSession) error {
	return a.eventLog.PersistSession(ctx, s)
}

// RestoreSession implements socketio.SessionStore.
func (a *loggedSharded) RestoreSession(ctx context.Context, pid, offset string) (*socketio.RestoredSession, error) {
	return a.eventLog.RestoreSession(ctx, pid, offset)
}

// SessionPosition implements socketio.SessionStore.
func (a *loggedSharded) SessionPosition() string { return a.eventLog.SessionPosition() }

// SessionChanged implements socketio.SessionWatcher.
func (a *loggedSharded) SessionChanged(digest sessionDigest) { a.eventLog.SessionChanged(digest) }

// EndSession implements socketio.SessionWatcher.
func (a *loggedSharded) EndSession(digest sessionDigest, told func(refused bool)) {
	a.eventLog.EndSession(digest, told)
}

// RoomCreated implements socketio.RoomWatcher.
func (a *loggedSharded) RoomCreated(room string, private bool) {
	a.Sharded.RoomCreated(room, private)
	a.eventLog.RoomCreated(room, private)
}

// RoomDeleted implements socketio.RoomWatcher.
func (a *loggedSharded) RoomDeleted(room string, private bool) { a.Sharded.RoomDeleted(room, private) }
