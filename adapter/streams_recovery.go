package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// Sessions of lost sockets and what they missed (docs/protocol.md §4.4).

const (
	// restoreRounds bounds how much a session can have missed: after that many
	// reads that are not the end, it is not recovered rather than with a gap.
	restoreRounds = 100
	restoreCount  = 1000
	// vouchRounds bounds how often a restoration begins again because something was heard.
	vouchRounds = 3
	// admission is how long delivery stands still for a socket that comes back.
	admission = time.Second
)

// PersistSession implements socketio.SessionStore. A socket that missed events
// through a gap in the stream is not kept: it could only come back with the gap.
func (a *recoveryLog) PersistSession(ctx context.Context, s socketio.RecoverableSession) error {
	if a.keepFor <= 0 {
		return nil
	}
	ours, err := a.current.endCurrent(ctx, sha256.Sum256([]byte(s.PID)))
	if err != nil {
		return err
	}
	a.mu.Lock()
	_, tainted := a.taintedSockets[s.SID]
	delete(a.taintedSockets, s.SID)
	a.mu.Unlock()
	if tainted || !ours {
		return nil
	}
	if s.Rooms == nil {
		s.Rooms = []string{}
	}
	if len(s.Data) == 0 {
		s.Data = json.RawMessage("{}")
	}
	text, err := marshalJSON(s)
	if err != nil {
		return err
	}
	packed, err := appendValue(nil, socketio.Value{JSON: text})
	if err != nil {
		return err
	}
	key := a.sessionKeyPrefix + s.PID
	node, err := a.redisNodes.ownerOf(ctx, key)
	if err != nil {
		return err
	}
	// Once: a repetition by the client could come when another node has taken the session and
	// goes on with it, and would be found when that one dies.
	return node.Process(ctx, once{redis.NewCmd(ctx, "set", key, base64.StdEncoding.EncodeToString(packed), "px", a.keepFor.Milliseconds())})
}

// SessionPosition implements socketio.SessionStore.
func (a *recoveryLog) SessionPosition() string {
	if id := a.reader.lastSeen.Load(); id != nil {
		return id.String()
	}
	return ""
}

// RestoreSession implements socketio.SessionStore. The session is consumed, also
// when it cannot be recovered.
func (a *recoveryLog) RestoreSession(ctx context.Context, pid, offset string) (*socketio.RestoredSession, error) {
	if _, ok := parseEntryID(offset); !ok && offset != "" || a.keepFor <= 0 {
		return nil, a.notRecovered(reasonOffset)
	}
	ctx, cancel := a.withDeadline(ctx, a.requestTimeout)
	defer cancel()
	session, err := a.claimSession(ctx, pid)
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, a.notRecovered(reasonNoSession)
	}
	if ended, err := a.ended.isEnded(ctx, pid); ended || err != nil {
		return nil, errors.Join(err, a.notRecovered(reasonEnded))
	}
	if offset == "" {
		offset = session.Since // the client received nothing: it missed all since then
	}
	from, ok := parseEntryID(offset)
	if !ok {
		return nil, a.notRecovered(reasonOffset)
	}
	node, err := a.redisNodes.ownerOf(ctx, a.streamKey)
	if err != nil {
		return nil, err
	}
	for range vouchRounds {
		var heard heardState
		if a.hearing != nil {
			if heard, ok = a.hearing.vouch(ctx, from); !ok {
				return nil, a.notRecovered(reasonNoWitness)
			}
		}
		missed, reason, err := a.readMissed(ctx, node, from, session, heard)
		switch {
		case err != nil:
			return nil, err
		case reason == "":
			return &socketio.RestoredSession{RecoverableSession: *session, Missed: missed}, nil
		case reason != reasonHeard:
			return nil, a.notRecovered(reason)
		}
	}
	return nil, a.notRecovered(reasonHeard)
}

// claimSession takes a session from where it is: it was kept when its socket ended, or a
// node still has it, or the node that had it is dead.
func (a *recoveryLog) claimSession(ctx context.Context, pid string) (*socketio.RecoverableSession, error) {
	key := a.sessionKeyPrefix + pid
	session, err := a.takeSession(ctx, key)
	if err != nil || session != nil || !isPrivateID(pid) {
		return session, err
	}
	current, err := a.current.findCurrent(ctx, sha256.Sum256([]byte(pid)))
	if err != nil {
		return nil, err
	}
	if len(current) == 1 && a.staysDead(ctx, current[0].owner) {
		if session, err := a.current.takeCurrent(ctx, current, pid); err != nil || session != nil {
			return session, err
		}
	}
	result := callLost
	for err == nil && session == nil && result == callLost {
		result = a.callForSession(ctx, pid)
		session, err = a.takeSession(ctx, key)
	}
	if err != nil || session != nil || result == callAnswered {
		return session, err
	}
	return a.current.takeCurrent(ctx, current, pid)
}

func (a *recoveryLog) takeSession(ctx context.Context, key string) (*socketio.RecoverableSession, error) {
	node, err := a.redisNodes.ownerOf(ctx, key)
	if err != nil {
		return nil, err
	}
	var get *redis.StringCmd
	_, err = node.TxPipelined(ctx, func(p redis.Pipeliner) error {
		get = p.Get(ctx, key)
		p.Del(ctx, key)
		return nil
	})
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeSession(get.Val())
}

func decodeSession(text string) (*socketio.RecoverableSession, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("adapter: kept session: %w", errMalformed)
	}
	u := newUnpacker(packed)
	v := u.value()
	session := new(socketio.RecoverableSession)
	if u.firstError == nil {
		u.fail(json.Unmarshal(v.JSON, session))
	}
	if u.firstError != nil || session.SID == "" {
		return nil, fmt.Errorf("adapter: kept session: %w", errMalformed)
	}
	return session, nil
}

// readMissed reads what the session missed, exactly up to what the reader has
// delivered, and holds delivery until the socket is there to get the rest.
func (a *recoveryLog) readMissed(ctx context.Context, node *redis.Client, from entryID, s *socketio.RecoverableSession, heard heardState) (missed []*parser.Packet, reason string, err error) {
	type found struct {
		id entryID
		p  *parser.Packet
	}
	var list []found
	last := from
	for range restoreRounds {
		entries, err := node.XRangeN(ctx, a.streamKey, last.next().String(), "+", restoreCount).Result()
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			id, ok := parseEntryID(e.ID)
			if !ok {
				return nil, "", errMalformed
			}
			last = id
			m, err := decodeEntry(e.Values)
			if err != nil || m == nil || m.namespace != a.namespaceName {
				continue
			}
			if m.messageType == clusterMark && m.mark != markBegin && includesMemberOf(&m.options, s) {
				return nil, reasonMark, nil
			}
			if p := missedPacket(id, m, s); p != nil {
				list = append(list, found{id, p})
			}
		}
		if len(entries) == restoreCount {
			continue // there is more
		}
		// A stream is trimmed from its beginning: if the entry of the offset is still
		// there, so was all that we have read.
		at, err := node.XRange(ctx, a.streamKey, from.String(), from.String()).Result()
		if err != nil {
			return nil, "", err
		}
		if len(at) == 0 {
			// The session may have begun before the first entry: nothing is missing if
			// the stream has never lost one.
			info, err := streamInfo(ctx, node, a.streamKey)
			if err != nil || from != (entryID{}) || info.entriesAdded != info.length {
				return nil, reasonTrimmed, err
			}
		}
		// The client may come from a node whose reader is ahead of this one's, which
		// would deliver again what the client has.
		if err := a.reader.waitDelivered(ctx, from); err != nil {
			return nil, "", err
		}
		a.reader.deliveryMu.Lock()
		if a.reader.lastDelivered.compare(last) > 0 {
			a.reader.deliveryMu.Unlock() // more was delivered meanwhile
			continue
		}
		if a.hearing != nil && !a.hearing.isUnchanged(heard) {
			a.reader.deliveryMu.Unlock()
			return nil, reasonHeard, nil
		}
		packets := make([]*parser.Packet, 0, len(list))
		for _, f := range list {
			if f.id.compare(a.reader.lastDelivered) <= 0 {
				packets = append(packets, f.p)
			}
		}
		if !a.holdUntilAdmitted(s.SID) {
			a.reader.deliveryMu.Unlock()
			return nil, reasonUnsettled, nil
		}
		return packets, "", nil
	}
	return nil, reasonTooMuch, nil
}

// missedPacket returns the packet of an entry if the session was meant to get it.
func missedPacket(id entryID, m *clusterMessage, s *socketio.RecoverableSession) *parser.Packet {
	if m.messageType != clusterBroadcast || m.packet == nil || m.options.Flags.Volatile || !includesMemberOf(&m.options, s) {
		return nil
	}
	p := *m.packet
	p.ID = nil
	p.Data = withOffset(p.Data, id.String())
	return &p
}

// includesMemberOf reports whether the socket of the session is among the receivers.
func includesMemberOf(o *socketio.BroadcastOptions, s *socketio.RecoverableSession) bool {
	in := func(room string) bool { return room == s.SID || slices.Contains(s.Rooms, room) }
	return (len(o.Rooms) == 0 || slices.ContainsFunc(o.Rooms, in)) && !slices.ContainsFunc(o.Except, in)
}

// heldAdmission is a socket whose session was restored and that is not in its rooms yet.
type heldAdmission struct {
	timer *time.Timer
	over  chan struct{} // closed when it is, or was given up
}

// holdUntilAdmitted keeps the reader's deliveryMu, which the caller has locked, until
// the socket is in its rooms (RoomCreated says so), or for a moment. It reports false,
// and keeps nothing, when this node delivered events that the stream may lack.
func (a *recoveryLog) holdUntilAdmitted(sid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.abandonedBroadcasts) > 0 {
		return false
	}
	h := &heldAdmission{over: make(chan struct{})}
	a.heldAdmissions[sid] = h
	h.timer = time.AfterFunc(admission, func() {
		a.endAdmission(sid, h, true)
	})
	return true
}

// endAdmission lets delivery go on, once.
func (a *recoveryLog) endAdmission(sid string, h *heldAdmission, givenUp bool) {
	a.mu.Lock()
	if a.heldAdmissions[sid] != h {
		a.mu.Unlock()
		return
	}
	delete(a.heldAdmissions, sid)
	if givenUp {
		a.taintedSockets[sid] = struct{}{} // if it ever comes, it has missed something
	}
	a.mu.Unlock()
	h.timer.Stop()
	close(h.over)
	a.reader.deliveryMu.Unlock()
}

// awaitAdmissions returns when the sockets that are just being restored are there.
func (a *recoveryLog) awaitAdmissions() {
	a.mu.Lock()
	var all []*heldAdmission
	for _, h := range a.heldAdmissions {
		all = append(all, h)
	}
	a.mu.Unlock()
	for _, h := range all {
		<-h.over
	}
}

// RoomCreated implements socketio.RoomWatcher: it learns that the socket of a
// restored session is there.
func (a *recoveryLog) RoomCreated(room string, private bool) {
	if !private {
		return
	}
	a.mu.Lock()
	h := a.heldAdmissions[room]
	a.mu.Unlock()
	if h != nil {
		a.endAdmission(room, h, false)
	}
}

// RoomDeleted implements socketio.RoomWatcher.
func (a *recoveryLog) RoomDeleted(room string, private bool) {}

// isTainted reports whether a socket missed something that it cannot recover.
func (a *recoveryLog) isTainted(sid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, tainted := a.taintedSockets[sid]
	return tainted
}

// streamGap implements streamListener: the sockets that are here now missed something.
func (a *recoveryLog) streamGap() {
	a.counters.streamGaps.Add(1)
	if a.keepFor <= 0 {
		return
	}
	a.mu.Lock()
	clear(a.taintedSockets) // of sockets that are gone: those that are here follow
	a.mu.Unlock()
	a.taint(socketio.BroadcastOptions{})
}

// taint notes that the selected sockets of this node missed something that they cannot
// recover: their sessions are not kept any more.
func (a *recoveryLog) taint(o socketio.BroadcastOptions) {
	o.Flags.Local = true
	list, err := a.localAdapter.FetchSockets(a.ctx, o)
	if err != nil || len(list) == 0 {
		return
	}
	a.mu.Lock()
	for _, s := range list {
		a.taintedSockets[s.ID] = struct{}{}
	}
	a.mu.Unlock()
	a.current.forgetTainted()
}
