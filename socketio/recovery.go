package socketio

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"posthouse/socketio/parser"
)

// persistTimeout bounds what a leaving socket waits for its session to be kept.
const persistTimeout = 5 * time.Second

// restore tries to continue an earlier socket of the client (docs/protocol.md
// §3.8). It gives every socket of a recovering server its pid. The packets
// returned are those it missed.
func (s *Socket) restore() (missed []*parser.Packet, ok bool) {
	if s.ns.server.opts.Recovery == nil {
		return nil, false
	}
	s.resume = &resumption{pid: newID()}
	var from struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	// A client without a session sends neither; anything but strings is treated
	// alike. One that received no event yet has no offset to send.
	if json.Unmarshal(s.auth, &from) != nil || from.PID == "" || s.ns.store == nil {
		return nil, false
	}
	if _, err := s.ns.local.takeOver(s.Context(), sha256.Sum256([]byte(from.PID)), s.conn); err != nil {
		s.ns.server.log.Warn("socketio: session not taken over", "namespace", s.ns.name, "error", err)
		return nil, false
	}
	if local, ours := s.ns.store.(*sessionAdapter); ours {
		return local.resume(s, from.PID, from.Offset)
	}
	session, err := s.ns.store.RestoreSession(s.Context(), from.PID, from.Offset)
	if err != nil {
		s.ns.server.log.Warn("socketio: session not restored", "namespace", s.ns.name, "error", err)
	}
	if err != nil || session == nil {
		return nil, false
	}
	s.become(&session.RecoverableSession)
	return session.Missed, true
}

// become gives s the identity of a kept session and makes it a target of
// broadcasts; they wait until the missed packets and CONNECT have been sent.
func (s *Socket) become(r *RecoverableSession) {
	s.id = r.SID
	s.resume.pid, s.resume.recovered, s.resume.since = r.PID, true, r.Since
	s.restoreData(r.Data)
	s.status.Store(connected)
	s.ns.local.add(s, slices.DeleteFunc(slices.Clone(r.Rooms), func(room string) bool { return room == r.SID })...)
	s.ns.local.live.add(s)
}

// session is what is kept of s.
func (s *Socket) session(rooms []string) RecoverableSession {
	return RecoverableSession{SID: s.id, PID: s.resume.pid, Rooms: rooms, Data: s.dataJSON(), Since: s.resume.since}
}

// persist keeps the session of a socket that may come back, unless it was taken over.
func (s *Socket) persist(reason Reason) {
	if s.ns.store == nil || s.resume == nil || !s.ns.local.live.claim(s.resume) {
		return
	}
	defer s.ns.local.live.done(s.resume)
	if !reason.recoverable() || s.panicked.Load() {
		return // what a panic left half done must not come back
	}
	ctx, cancel := context.WithTimeout(s.ns.server.ctx, persistTimeout)
	defer cancel()
	if err := s.ns.store.PersistSession(ctx, s.session(s.Rooms())); err != nil {
		s.ns.server.log.Warn("socketio: session not kept", "namespace", s.ns.name, "error", err)
	}
}

// sessionAdapter is the in-memory adapter with recovery: a log of the events
// sent, and the sessions of lost sockets, both bounded in age and number.
type sessionAdapter struct {
	*Local
	keep time.Duration
	max  int

	// mu makes the order of the log the order of sending: a client that has seen
	// one event has seen all before it. It is held while frames are queued.
	mu       sync.Mutex
	log      []sentPacket // ring would save copying; it is trimmed in halves
	sessions map[string]keptSession
	lastID   offsets
	trimmed  string      // offset of the newest packet that the log has forgotten
	sweep    *time.Timer // runs while there are sessions
}

type sentPacket struct {
	offset string
	at     time.Time
	packet *parser.Packet // data ends with the offset
	opts   BroadcastOptions
}

type keptSession struct {
	RecoverableSession
	until time.Time
}

var _ SessionStore = (*sessionAdapter)(nil)

func newSessionAdapter(l *Local, r *Recovery) *sessionAdapter {
	return &sessionAdapter{Local: l, keep: r.MaxDisconnection, max: r.MaxPackets,
		sessions: map[string]keptSession{}, trimmed: beforeAll}
}

// Broadcast adds an offset to what can be replayed, and remembers it.
func (a *sessionAdapter) Broadcast(ctx context.Context, p *parser.Packet, o BroadcastOptions) error {
	if p.Type != parser.Event || p.ID != nil || o.Flags.Volatile {
		return a.Local.Broadcast(ctx, p, o)
	}
	own := *p
	targets, err := a.record(&own, o)
	tellOutgoing(targets, &own) // without the lock: it is user code
	return err
}

// record gives p its offset, remembers and sends it.
func (a *sessionAdapter) record(p *parser.Packet, o BroadcastOptions) ([]*Socket, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	offset := a.lastID.next(now)
	p.Data = withOffset(p.Data, offset)
	frames, err := a.frames(p, nil, o.Flags)
	if err != nil {
		return nil, err
	}
	a.trim(now)
	a.log = append(a.log, sentPacket{offset, now, p, o})
	targets := a.targets(o)
	sendAll(targets, frames, o.Flags)
	return targets, nil
}

func withOffset(data []byte, offset string) []byte {
	out := make([]byte, 0, len(data)+len(offset)+3)
	out = append(out, data[:len(data)-1]...)
	out = append(append(append(out, ',', '"'), offset...), '"', ']')
	return out
}

// trim forgets packets that no session can need any more.
func (a *sessionAdapter) trim(now time.Time) {
	old := 0
	for old < len(a.log) && now.Sub(a.log[old].at) > a.keep {
		old++
	}
	old = min(max(old, len(a.log)+1-a.max), len(a.log))
	if old > 0 && (old >= len(a.log)/2 || len(a.log) >= a.max) {
		a.trimmed = a.log[old-1].offset
		a.log = slices.Clone(a.log[old:])
	}
}

// beforeAll is the position before the first packet. No offset is that short.
const beforeAll = "0"

// SessionPosition is the offset of the newest packet.
func (a *sessionAdapter) SessionPosition() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.log) > 0 {
		return a.log[len(a.log)-1].offset
	}
	return a.trimmed
}

// PersistSession keeps a session until its time is over.
func (a *sessionAdapter) PersistSession(_ context.Context, s RecoverableSession) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[s.PID] = keptSession{s, time.Now().Add(a.keep)}
	if a.sweep == nil {
		a.sweep = time.AfterFunc(a.keep, a.expire)
	}
	return nil
}

// expire drops old sessions, and comes again while there are any.
func (a *sessionAdapter) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sweep == nil {
		return // closed
	}
	now := time.Now()
	maps.DeleteFunc(a.sessions, func(_ string, s keptSession) bool { return !now.Before(s.until) })
	a.trim(now)
	if len(a.sessions) > 0 {
		a.sweep.Reset(a.keep)
	} else {
		a.sweep = nil
	}
}

// RestoreSession returns a kept session, once.
func (a *sessionAdapter) RestoreSession(_ context.Context, pid, offset string) (*RestoredSession, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.restore(pid, offset), nil
}

// resume restores into s: no broadcast comes between what it missed and what it
// will be sent.
func (a *sessionAdapter) resume(s *Socket, pid, offset string) ([]*parser.Packet, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.restore(pid, offset)
	if r == nil {
		return nil, false
	}
	s.become(&r.RecoverableSession)
	return r.Missed, true
}

func (a *sessionAdapter) restore(pid, offset string) *RestoredSession {
	kept, ok := a.sessions[pid]
	if !ok || !time.Now().Before(kept.until) {
		return nil
	}
	if offset == "" {
		offset = kept.Since // the client received nothing: it missed all since then
	}
	i := -1 // the log from its beginning
	if offset != a.trimmed {
		if i = slices.IndexFunc(a.log, func(p sentPacket) bool { return p.offset == offset }); i < 0 {
			return nil // too long ago: there may be a gap
		}
	}
	delete(a.sessions, pid)
	r := &RestoredSession{RecoverableSession: kept.RecoverableSession}
	for _, p := range a.log[i+1:] {
		if p.opts.includes(kept.Rooms) {
			r.Missed = append(r.Missed, p.packet)
		}
	}
	return r
}

// includes reports whether a socket in these rooms was selected.
func (o BroadcastOptions) includes(rooms []string) bool {
	in := func(room string) bool { return slices.Contains(rooms, room) }
	return (len(o.Rooms) == 0 || slices.ContainsFunc(o.Rooms, in)) && !slices.ContainsFunc(o.Except, in)
}

// Close forgets everything.
func (a *sessionAdapter) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sweep != nil {
		a.sweep.Stop()
		a.sweep = nil
	}
	a.log, a.sessions = nil, map[string]keptSession{}
	return a.Local.Close()
}

// offsets makes ids that grow with time and never repeat: milliseconds in the 64
// digits of the reference's in-memory adapter, with a counter within one of them.
type offsets struct {
	ms   int64
	seed int
}

const offsetDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"

func (o *offsets) next(now time.Time) string {
	ms := now.UnixMilli()
	if ms <= o.ms { // also when the clock was set back
		o.seed++
		return base64ms(o.ms) + "." + strconv.Itoa(o.seed-1)
	}
	o.ms, o.seed = ms, 0
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
