package engineio

import (
	"bytes"
	"net/http"
	"time"

	"posthouse/socketio/engineio/internal/ws"
)

// During an upgrade a waiting GET is answered with a noop, so that the client can
// pause its polling (docs/protocol.md §1.7 step 3).
const (
	// noopsAtOnce is how many GETs get it without a wait. One is enough for a client
	// that has seen the answer to its probe; but a noop may overtake that answer on
	// its own connection, and then the client polls once more.
	noopsAtOnce = 3
	// noopEvery is how often the others get it.
	noopEvery = 100 * time.Millisecond
)

var probeData = []byte("probe")

// upgrade is a WebSocket that wants to take a polling session over. Guarded by
// Session.mu.
type upgrade struct {
	s            *Session
	newTransport *wsTransport
	timeoutTimer *time.Timer
	noopTimer    *time.Timer // nil before the probe
	noopsSent    int         // sent without a wait
}

func (u *upgrade) stopLocked() {
	u.timeoutTimer.Stop()
	if u.noopTimer != nil {
		u.noopTimer.Stop()
	}
	u.s.pendingUpgrade = nil
}

// abortLocked ends the upgrade, and with it the WebSocket.
func (u *upgrade) abortLocked() {
	u.s.srv.counters.upgrades[upgradeFailed].Add(1)
	u.endLocked()
}

// endLocked is abortLocked for an upgrade that was counted otherwise.
func (u *upgrade) endLocked() {
	u.stopLocked()
	u.newTransport.shutdown(ReasonForcedClose, nil)
}

// sessionEndedLocked ends the upgrade together with its session, which is closed.
// After the probe's pong a client stops polling and ignores the WebSocket until it has
// sent its upgrade packet. If the WebSocket closed earlier, the client would notice only
// at its ping timeout. So the WebSocket is kept until that packet, or for lingerTime,
// unless the client asked for the end or a waiting GET tells it.
func (u *upgrade) sessionEndedLocked(reason Reason) {
	p := u.s.poll
	if u.noopTimer == nil || reason == ReasonTransportClose || p.waitingGET != nil && p.sendQueue.empty() {
		u.abortLocked()
		return
	}
	u.noopTimer.Stop()
	u.timeoutTimer.Reset(lingerTime)
}

// beginUpgrade attaches a probing transport; false when the session cannot be upgraded.
func (s *Session) beginUpgrade(st *wsTransport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed || s.pendingUpgrade != nil || s.poll == nil {
		return false
	}
	u := &upgrade{s: s, newTransport: st}
	s.pendingUpgrade = u
	u.timeoutTimer = time.AfterFunc(s.srv.o.UpgradeTimeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pendingUpgrade == u {
			if s.state.Load() == stateClosed { // see sessionEndedLocked
				u.abortLocked()
				return
			}
			s.srv.counters.upgrades[upgradeTimeout].Add(1)
			u.endLocked()
		}
	})
	return true
}

// probeEnded forgets a probing transport that is gone; the session polls on.
func (s *Session) probeEnded(st *wsTransport) {
	if s.pendingUpgrade != nil && s.pendingUpgrade.newTransport == st {
		s.srv.counters.upgrades[upgradeFailed].Add(1)
		s.pendingUpgrade.stopLocked()
	}
}

// probePacket takes a packet of a probing transport.
func (st *wsTransport) probePacket(p packet, err error) error {
	s := st.s
	switch {
	case err != nil:
		return errProbe
	case p.Type == packetPing && bytes.Equal(p.Data, probeData):
		s.mu.Lock()
		defer s.mu.Unlock()
		u := s.pendingUpgrade
		if u == nil || u.newTransport != st || st.closing {
			return errProbe
		}
		st.sendPacket(packetPong, probeData)
		if u.noopTimer == nil {
			u.noopTimer = time.AfterFunc(noopEvery, u.tick)
			u.pollWaitsLocked()
		}
		return nil
	case p.Type == packetUpgrade:
		return errUpgraded
	}
	return errProbe
}

// pollWaitsLocked answers a GET that waits, and has nothing to carry, without the
// wait for tick.
func (u *upgrade) pollWaitsLocked() {
	p := u.s.poll
	if u.noopTimer == nil || u.noopsSent == noopsAtOnce || u.s.state.Load() == stateClosed || p.waitingGET == nil || !p.sendQueue.empty() {
		return
	}
	u.noopsSent++
	p.answer(packetNoop)
}

// tick answers the waiting GET with a noop.
func (u *upgrade) tick() {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pendingUpgrade != u || s.state.Load() == stateClosed {
		return
	}
	if p := s.poll; p.waitingGET != nil && p.sendQueue.empty() {
		p.answer(packetNoop)
	}
	u.noopTimer.Reset(noopEvery)
}

// completeUpgrade makes st the session's transport. What waits leaves over it,
// behind everything that polling has carried.
func (s *Session) completeUpgrade(st *wsTransport) bool {
	s.mu.Lock()
	u := s.pendingUpgrade
	if u == nil || u.newTransport != st || st.closing {
		s.mu.Unlock()
		return false
	}
	if s.state.Load() == stateClosed {
		u.abortLocked()
		s.mu.Unlock()
		return false
	}
	u.stopLocked()
	p := s.poll
	q := p.sendQueue
	p.sendQueue, s.poll = nil, nil
	p.answer(packetClose)
	if p.activePOST != nil {
		p.activePOST.abort()
	}
	if s.pauseEnd != nil {
		// A POST waits for its end; from now on the WebSocket waits.
		s.unpauseLocked()
		s.pauseEnd = make(chan struct{})
		st.pauseEnd = s.pauseEnd
	}
	s.ws = st
	s.srv.counters.sessionUpgraded(transportPolling, st.transportName)
	st.isProbe = false
	st.sendQueue(q)
	s.updateBacklogLocked()
	s.restartHeartbeat()
	if s.state.Load() == stateClosing && st.waitingBytes() == 0 {
		s.endLocked(ReasonForcedClose, nil) // otherwise the drain ends it
	}
	s.mu.Unlock()
	st.upgradeUntold = true
	return true
}

// tellUpgraded tells the handler that the session uses st now. Behind a delivery of
// the last POST that is still running: free is closed when it is time to try again.
func (st *wsTransport) tellUpgraded() (free <-chan struct{}) {
	s := st.s
	ok, free := s.lockForRead()
	if free != nil {
		return free
	}
	st.upgradeUntold = false
	if !ok {
		return nil
	}
	defer s.recvMu.Unlock()
	defer s.guard()
	if h, ok := s.handler.(UpgradeHandler); ok && s.state.Load() != stateClosed {
		h.Upgraded(st.transportName)
	}
	return nil
}

// serveUpgrade handles a WebSocket for an existing session.
func (srv *Server) serveUpgrade(w http.ResponseWriter, r *http.Request, q *query, s *Session, hs *ws.Handshake) {
	st := srv.newWebSocket(s, hs, q.wantsBase64)
	st.isProbe = true
	begun := s.beginUpgrade(st)
	if srv.o.OnHeaders != nil {
		srv.o.OnHeaders(w.Header(), r)
	}
	head := hs.AppendResponse(nil, w.Header())
	if !begun {
		srv.counters.upgrades[upgradeRefused].Add(1)
		// An upgrade is under way, or done: this one ends, that one goes on.
		srv.turnAway(w, head)
		return
	}
	conn, err := takeOver(w)
	s.mu.Lock()
	if err != nil {
		s.probeEnded(st)
		s.mu.Unlock()
		srv.refuseHandshake(w, r, err)
		return
	}
	o := st.openSendBuffer()
	o.setTail(append(o.tail(), head...))
	s.mu.Unlock()
	conn.start(st)
}
