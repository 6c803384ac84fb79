package socketio

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
)

// A client that changes its network comes back while its old connection still looks
// alive here: nothing has told the server, and the heartbeat takes its time. The
// private session id is a secret of that client, so a CONNECT that knows it takes
// the session over: the old socket ends as if its connection had been found lost,
// and its session is kept for the new one (docs/protocol.md §3.8).

// errTakenOver is the description of sockets whose session was taken over.
var errTakenOver = errors.New("socketio: the client came back on another connection")

// liveSessions finds the sockets of a namespace by the SHA-256 of their private
// session id. A lookup by digest takes no time that tells how much of a guessed id
// is right.
type liveSessions struct {
	mu       sync.Mutex // a leaf; guards byDigest and resumption.claimed
	byDigest map[[sha256.Size]byte]*resumption
}

// addSession makes the session of s known; from here on it can be taken over.
func (l *liveSessions) addSession(s *Socket) {
	r := s.resumption
	r.digest = sha256.Sum256([]byte(r.pid))
	l.mu.Lock()
	if l.byDigest == nil {
		l.byDigest = make(map[[sha256.Size]byte]*resumption)
	}
	r.socket, r.keptOrLost = s, make(chan struct{})
	l.byDigest[r.digest] = r
	l.mu.Unlock()
	r.isLive.Store(true)
	s.sessionChanged()
}

// sessionChanged tells the adapter, if it wants to know, that what is kept of s is no
// longer what it was.
func (s *Socket) sessionChanged() {
	w, r := s.ns.localAdapter.sessionWatcher, s.resumption
	if w != nil && r != nil && r.isLive.Load() && r.isToldOf.CompareAndSwap(false, true) {
		w.SessionChanged(r.digest)
	}
}

// CurrentSession returns what would be kept of the socket of this node whose private
// session id has this SHA-256. ok is false when there is none, or its session has ended or must not go on.
func (l *LocalAdapter) CurrentSession(digest [sha256.Size]byte) (session RecoverableSession, ok bool) {
	l.liveSessions.mu.Lock()
	r := l.liveSessions.byDigest[digest]
	if r == nil || r.claimed {
		l.liveSessions.mu.Unlock()
		return session, false
	}
	l.liveSessions.mu.Unlock()
	r.isToldOf.Store(false) // before the look: a change that comes now is told again
	if r.socket.sessionIsOver() {
		return session, false
	}
	return r.socket.snapshotSession(r.socket.Rooms()), true
}

// CurrentSessions returns the digests of the sessions of this node.
func (l *LocalAdapter) CurrentSessions() [][sha256.Size]byte {
	l.liveSessions.mu.Lock()
	defer l.liveSessions.mu.Unlock()
	return slices.Collect(maps.Keys(l.liveSessions.byDigest))
}

// claimSession decides which side keeps the session, once: the socket when it ends, or the one that
// takes it over.
func (l *liveSessions) claimSession(r *resumption) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.socket == nil || r.claimed {
		return false
	}
	r.claimed = true
	return true
}

// isUnclaimed reports whether a session is known and neither its socket's end nor another
// connection has claimed it.
func (l *liveSessions) isUnclaimed(r *resumption) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return r != nil && r.socket != nil && !r.claimed
}

// findAndClaim returns a session and claims it, unless that was done before.
func (l *liveSessions) findAndClaim(digest [sha256.Size]byte) (r *resumption, claimed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r = l.byDigest[digest]; r == nil || r.claimed {
		return r, false
	}
	r.claimed = true
	return r, true
}

// forgetSession forgets a claimed session, which is kept by now or never will be.
func (l *liveSessions) forgetSession(r *resumption) {
	l.mu.Lock()
	if l.byDigest[r.digest] == r { // a recovered successor has the same id
		delete(l.byDigest, r.digest)
	}
	l.mu.Unlock()
	r.isToldOf.Store(false)
	r.socket.sessionChanged()
	close(r.keptOrLost)
}

// HoldsSession reports whether a socket of this node has the session whose private
// id has this SHA-256, or is just being kept.
func (l *LocalAdapter) HoldsSession(digest [sha256.Size]byte) bool {
	l.liveSessions.mu.Lock()
	defer l.liveSessions.mu.Unlock()
	return l.liveSessions.byDigest[digest] != nil
}

// KeepSession is for adapters that restore a session on another node: it ends the
// socket of this node whose private session id has this SHA-256, as a lost
// connection would, and returns when its session is kept. found is false when there
// is no such socket.
func (l *LocalAdapter) KeepSession(ctx context.Context, digest [sha256.Size]byte) (found bool, err error) {
	return l.takeOver(ctx, digest, nil)
}

// takeOver is KeepSession for a CONNECT that comes on the connection by, whose own
// earlier attempt must not end it.
func (l *LocalAdapter) takeOver(ctx context.Context, digest [sha256.Size]byte, by *conn) (found bool, err error) {
	r, claimed := l.liveSessions.findAndClaim(digest)
	switch {
	case r == nil:
		return false, nil
	case !claimed: // its own end has begun, or another CONNECT was faster
		select {
		case <-r.keptOrLost:
			return true, nil
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
	}
	defer l.liveSessions.forgetSession(r)
	s := r.socket
	rooms := l.surrenderRooms(s)
	recoverable := s.endTakenOver()
	if s.conn != by {
		// Its other namespaces come back with the client as well.
		s.conn.disconnectingAll.Store(true)
		s.conn.engineSession.Discard()
	}
	if !recoverable {
		return false, nil
	}
	return true, l.ns.sessionStore.PersistSession(ctx, s.snapshotSession(rooms))
}

// endTakenOver ends the socket and reports whether its session may go on: not after
// the client or the server has left the namespace, or a handler panicked.
func (s *Socket) endTakenOver() bool {
	if s.startClose(ReasonTransportClose, errTakenOver) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keepable && !s.handlerPanicked.Load()
}

// surrenderRooms takes s out of its rooms, which the socket that continues it will join,
// and returns them. The disconnecting functions of s still see them.
func (l *LocalAdapter) surrenderRooms(s *Socket) []string {
	l.mu.Lock()
	s.status.Store(gone) // from here on it joins nothing
	rooms := l.roomNames(s)
	l.removeLocked(s, ReasonTransportClose)
	s.resumption.formerRooms = rooms
	l.mu.Unlock()
	l.callRoomHooks()
	return rooms
}
