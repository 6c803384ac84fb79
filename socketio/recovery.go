package socketio

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"posthouse/internal/randid"
	"posthouse/socketio/parser"
)

// persistTimeout bounds what a leaving socket waits for its session to be kept.
const persistTimeout = 5 * time.Second

// restoreSession tries to continue an earlier socket of the client (docs/protocol.md
// §3.8). It gives every socket of a recovering namespace its pid. The packets
// returned are those it missed.
func (s *Socket) restoreSession() (missed []*parser.Packet, ok bool) {
	if s.ns.recovery == nil || s.conn.engineSession.Protocol() == 3 { // those clients know no sessions
		return nil, false
	}
	s.resumption = &resumption{pid: randid.New()}
	var from struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	// A client without a session sends neither; anything but strings is treated
	// alike. One that received no event yet has no offset to send.
	if s.Auth(&from) != nil || from.PID == "" || s.ns.sessionStore == nil {
		return nil, false
	}
	defer func() {
		if ok {
			s.ns.server.counters.recovered.Add(1)
		} else {
			s.ns.server.counters.notRecovered.Add(1)
		}
	}()
	if _, err := s.ns.localAdapter.takeOver(s.Context(), sha256.Sum256([]byte(from.PID)), s.conn); err != nil {
		s.ns.server.log.Warn("socketio: session not taken over", "namespace", s.ns.name, "error", err)
		return nil, false
	}
	if local, ours := s.ns.sessionStore.(*recoveryAdapter); ours {
		return local.resumeInto(s, from.PID, from.Offset)
	}
	session, err := s.ns.sessionStore.RestoreSession(s.Context(), from.PID, from.Offset)
	if err != nil {
		s.ns.server.log.Warn("socketio: session not restored", "namespace", s.ns.name, "error", err)
	}
	if err != nil || session == nil {
		return nil, false
	}
	s.takeIdentity(&session.RecoverableSession)
	return session.Missed, true
}

// takeIdentity gives s the identity of a kept session and makes it a target of
// broadcasts; they wait until the missed packets and CONNECT have been sent.
func (s *Socket) takeIdentity(r *RecoverableSession) {
	s.id = r.SID
	s.resumption.pid, s.resumption.recovered, s.resumption.connectOffset = r.PID, true, r.Since
	s.restoreData(r.Data)
	s.status.Store(connected)
	s.ns.localAdapter.addInOwnRoom(s, slices.DeleteFunc(slices.Clone(r.Rooms), func(room string) bool { return room == r.SID })...)
	s.ns.localAdapter.liveSessions.addSession(s)
}

// snapshotSession is what is kept of s.
func (s *Socket) snapshotSession(rooms []string) RecoverableSession {
	return RecoverableSession{SID: s.id, PID: s.resumption.pid, Rooms: rooms, Data: s.dataJSON(), Since: s.resumption.connectOffset}
}

// persistSession keeps the session of a socket that may come back, unless it was taken over.
func (s *Socket) persistSession(reason Reason) {
	if s.ns.sessionStore == nil || s.resumption == nil || !s.ns.localAdapter.liveSessions.claimSession(s.resumption) {
		return
	}
	defer s.ns.localAdapter.liveSessions.forgetSession(s.resumption)
	if !reason.recoverable() || s.handlerPanicked.Load() {
		return // what a panic left half done must not come back
	}
	ctx, cancel := context.WithTimeout(s.ns.server.ctx, persistTimeout)
	defer cancel()
	if err := s.ns.sessionStore.PersistSession(ctx, s.snapshotSession(s.Rooms())); err != nil {
		s.ns.server.log.Warn("socketio: session not kept", "namespace", s.ns.name, "error", err)
	}
}

// recoveryAdapter is the in-memory adapter with recovery: a log of the events
// sent, and the sessions of lost sockets, both bounded in age and number.
type recoveryAdapter struct {
	*LocalAdapter
	keepFor    time.Duration
	maxPackets int

	// mu makes the order of the log the order of sending: a client that has seen
	// one event has seen all before it. It is held while frames are queued.
	mu          sync.Mutex
	sentPackets []sentPacket // ring would save copying; it is trimmed in halves
	sessions    map[string]keptSession
	lastID      offsetSequence
	trimmedUpTo string      // offset of the newest packet that the log has forgotten
	sweepTimer  *time.Timer // runs while there are sessions
}

type sentPacket struct {
	offset           string
	sentAt           time.Time
	packet           *parser.Packet // data ends with the offset
	broadcastOptions BroadcastOptions
}

type keptSession struct {
	RecoverableSession
	keptUntil time.Time
}

var _ SessionStore = (*recoveryAdapter)(nil)

func newSessionAdapter(l *LocalAdapter, r *Recovery) *recoveryAdapter {
	return &recoveryAdapter{LocalAdapter: l, keepFor: r.MaxDisconnection, maxPackets: r.MaxPackets,
		sessions: map[string]keptSession{}, trimmedUpTo: beforeAll}
}

// Broadcast adds an offset to what can be replayed, and remembers it.
func (a *recoveryAdapter) Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error {
	if p.Type != parser.Event || p.ID != nil || o.Flags.Volatile {
		return a.LocalAdapter.Broadcast(ctx, p, o)
	}
	own := *p
	targets, err := a.recordAndSend(&own, o)
	tellOutgoing(targets, &own) // without the lock: it is user code
	return err
}

// recordAndSend gives p its offset, remembers and sends it.
func (a *recoveryAdapter) recordAndSend(p *parser.Packet, o BroadcastOptions) ([]*Socket, error) {
	burst := a.ns.server.engineServer.NewBurst()
	defer burst.End()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	offset := a.lastID.next(now)
	p.Data = withOffset(p.Data, offset)
	frames, err := a.encodeFrames(p, nil, o.Flags)
	if err != nil {
		return nil, err
	}
	a.trimPackets(now)
	a.sentPackets = append(a.sentPackets, sentPacket{offset, now, p, o})
	targets := a.collectTargets(o)
	a.sendAll(targets, frames, &o, burst)
	return targets, nil
}

func withOffset(data []byte, offset string) []byte {
	out := make([]byte, 0, len(data)+len(offset)+3)
	out = append(out, data[:len(data)-1]...)
	out = append(append(append(out, ',', '"'), offset...), '"', ']')
	return out
}

// trimPackets forgets packets that no session can need any more.
func (a *recoveryAdapter) trimPackets(now time.Time) {
	old := 0
	for old < len(a.sentPackets) && now.Sub(a.sentPackets[old].sentAt) > a.keepFor {
		old++
	}
	old = min(max(old, len(a.sentPackets)+1-a.maxPackets), len(a.sentPackets))
	if old > 0 && (old >= len(a.sentPackets)/2 || len(a.sentPackets) >= a.maxPackets) {
		a.trimmedUpTo = a.sentPackets[old-1].offset
		a.sentPackets = slices.Clone(a.sentPackets[old:])
	}
}

// beforeAll is the position before the first packet. No offset is that short.
const beforeAll = "0"

// SessionPosition is the offset of the newest packet.
func (a *recoveryAdapter) SessionPosition() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.sentPackets) > 0 {
		return a.sentPackets[len(a.sentPackets)-1].offset
	}
	return a.trimmedUpTo
}

// PersistSession keeps a session until its time is over.
func (a *recoveryAdapter) PersistSession(_ context.Context, s RecoverableSession) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[s.PID] = keptSession{s, time.Now().Add(a.keepFor)}
	if a.sweepTimer == nil {
		a.sweepTimer = time.AfterFunc(a.keepFor, a.dropExpired)
	}
	return nil
}

// dropExpired drops old sessions, and comes again while there are any.
func (a *recoveryAdapter) dropExpired() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sweepTimer == nil {
		return // closed
	}
	now := time.Now()
	maps.DeleteFunc(a.sessions, func(_ string, s keptSession) bool { return !now.Before(s.keptUntil) })
	a.trimPackets(now)
	if len(a.sessions) > 0 {
		a.sweepTimer.Reset(a.keepFor)
	} else {
		a.sweepTimer = nil
	}
}

// RestoreSession returns a kept session, once.
func (a *recoveryAdapter) RestoreSession(_ context.Context, pid, offset string) (*RestoredSession, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.takeSession(pid, offset), nil
}

// resumeInto restores into s: no broadcast comes between what it missed and what it
// will be sent.
func (a *recoveryAdapter) resumeInto(s *Socket, pid, offset string) ([]*parser.Packet, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.takeSession(pid, offset)
	if r == nil {
		return nil, false
	}
	s.takeIdentity(&r.RecoverableSession)
	return r.Missed, true
}

func (a *recoveryAdapter) takeSession(pid, offset string) *RestoredSession {
	kept, ok := a.sessions[pid]
	if !ok || !time.Now().Before(kept.keptUntil) {
		return nil
	}
	if offset == "" {
		offset = kept.Since // the client received nothing: it missed all since then
	}
	i := -1 // the log from its beginning
	if offset != a.trimmedUpTo {
		if i = slices.IndexFunc(a.sentPackets, func(p sentPacket) bool { return p.offset == offset }); i < 0 {
			return nil // too long ago: there may be a gap
		}
	}
	delete(a.sessions, pid)
	r := &RestoredSession{RecoverableSession: kept.RecoverableSession}
	for _, p := range a.sentPackets[i+1:] {
		if p.broadcastOptions.includesMemberOf(kept.Rooms) {
			r.Missed = append(r.Missed, p.packet)
		}
	}
	return r
}

// includesMemberOf reports whether a socket in these rooms was selected.
func (o BroadcastOptions) includesMemberOf(rooms []string) bool {
	in := func(room string) bool { return slices.Contains(rooms, room) }
	return (len(o.Rooms) == 0 || slices.ContainsFunc(o.Rooms, in)) && !slices.ContainsFunc(o.Except, in)
}

// Close forgets everything.
func (a *recoveryAdapter) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sweepTimer != nil {
		a.sweepTimer.Stop()
		a.sweepTimer = nil
	}
	a.sentPackets, a.sessions = nil, map[string]keptSession{}
	return a.LocalAdapter.Close()
}

// offsetSequence makes ids that grow with time and never repeat: milliseconds in the 64
// digits of the reference's in-memory adapter, with a counter within one of them.
type offsetSequence struct {
	lastMillis int64
	seed       int
}

const offsetDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"

func (o *offsetSequence) next(now time.Time) string {
	ms := now.UnixMilli()
	if ms <= o.lastMillis { // also when the clock was set back
		o.seed++
		return base64ms(o.lastMillis) + "." + strconv.Itoa(o.seed-1)
	}
	o.lastMillis, o.seed = ms, 0
	return base64ms(ms)
}

func base64ms(n int64) string {
	var b [11]byte
	i := len(b)
	for {
		i--
		b[i] = offsetDigits[n&63]
		if n >>= 6; n == 0 {
			return string(b[i:])
		}
	}
}
