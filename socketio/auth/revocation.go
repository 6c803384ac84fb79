package auth

import (
	"slices"
	"time"

	"posthouse/socketio"
)

// Revocation names tokens by what they have in common: all fields that are set must
// fit. One without any set field names none.
type Revocation struct {
	Issuer       string    `json:"iss,omitempty"`
	IDs          []string  `json:"jti,omitempty"`
	Subject      string    `json:"sub,omitempty"`
	IssuedBefore time.Time `json:"iat,omitzero"` // tokens without iat count as older
}

// Matches reports whether the revocation names a token.
func (r Revocation) Matches(t *Token) bool {
	return (len(r.IDs) > 0 || r.Subject != "" || !r.IssuedBefore.IsZero()) &&
		(r.Issuer == "" || r.Issuer == t.Issuer) &&
		(len(r.IDs) == 0 || slices.Contains(r.IDs, t.ID)) &&
		(r.Subject == "" || r.Subject == t.Subject) &&
		(r.IssuedBefore.IsZero() || t.IssuedAt.Before(r.IssuedBefore))
}

// revokeEvent carries revocations between the nodes, in the main namespace.
const revokeEvent = "auth:revoke"

// listen hears the revocations of other nodes, once.
func (g *Guard) listen(server *socketio.Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		return
	}
	g.server = server
	server.OnServerSideEmit(revokeEvent, func(e *socketio.ServerSideEvent) {
		var r Revocation
		if err := e.Bind(&r); err != nil {
			g.log.Warn("auth: revocation of another node not understood", "error", err)
			return
		}
		g.end(r)
	})
}

// Revoke ends the sockets of the named tokens on every node, as fast as the adapter
// carries it. The error is that of publishing: the sockets of this node have ended in
// any case, and calling Revoke again is harmless. New connections are judged by
// GuardOptions.Revoked, which must know of the revocation first.
func (g *Guard) Revoke(r Revocation) error {
	g.end(r)
	g.mu.Lock()
	server := g.server
	g.mu.Unlock()
	if server == nil {
		return nil
	}
	return server.ServerSideEmit(revokeEvent, r)
}

// end ends the sockets of this node.
func (g *Guard) end(r Revocation) {
	g.EndSockets(r.Matches)
}

// EndSockets ends the sockets of this node whose token matches and returns their
// number: for programs whose every node learns of revocations by itself. Sockets whose
// token was judged before and that are not yet connected are ended as they connect;
// match is kept for them and can be called later, from any goroutine.
func (g *Guard) EndSockets(match func(*Token) bool) int {
	g.agenda.remember(match)
	taken := g.agenda.take(match)
	for _, a := range taken {
		a.socket.Disconnect(false)
	}
	return len(taken)
}

// recentRevocations are for the sockets that are between the question about their
// token and their connection when a revocation comes.
type recentRevocations struct {
	list      []timedRevocation
	forgotten time.Time // of the newest that is no longer known
}

type timedRevocation struct {
	match func(*Token) bool
	at    time.Time
}

// maxRecent bounds what is remembered; sockets judged before what was forgotten are
// ended without looking.
const maxRecent = 100

func (g *agenda) remember(match func(*Token) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &g.recent
	if len(l.list) == maxRecent {
		l.forgotten = l.list[0].at
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, timedRevocation{match, time.Now()})
}

// hits reports whether a token that was asked about at began has been revoked since.
func (l *recentRevocations) hits(t *Token, began time.Time) bool {
	if !began.After(l.forgotten) && !l.forgotten.IsZero() {
		return true
	}
	for _, r := range slices.Backward(l.list) {
		if r.at.Before(began) {
			return false
		}
		if r.match(t) {
			return true
		}
	}
	return false
}
