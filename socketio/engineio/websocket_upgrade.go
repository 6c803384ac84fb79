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
	stream       *stream
	timeoutTimer *time.Timer
	noopTimer    *time.Timer // nil before the probe
	noopsSent    int         // sent without a wait
}

func (u *upgrade) stopLocked() {
	u.timeoutTimer.Stop()
	if u.noopTimer != nil {
		u.noopTimer.Stop()
	}
	u.s.up = nil
}

// abortLocked ends the upgrade, and with it the WebSocket.
func (u *upgrade) abortLocked() {
	u.stopLocked()
	u.stream.shut(ReasonForcedClose, nil)
}

// sessionEndedLocked ends the upgrade together with its session, which is closed.
// A client that was told of the WebSocket stops polling and looks at nothing but
// its POST until it may say that it upgrades: seeing the WebSocket close before
// that, it would wait for a ping timeout. So, unless it asked for the end or a GET
// tells it, the WebSocket stays for the upgrade packet and is closed then.
func (u *upgrade) sessionEndedLocked(reason Reason) {
	p := u.s.poll
	if u.noopTimer == nil || reason == ReasonTransportClose || p.get != nil && p.queue.empty() {
		u.abortLocked()
		return
	}
	u.noopTimer.Stop()
	u.timeoutTimer.Reset(lingerTime)
}

// beginUpgrade attaches a probing stream; nil when the session cannot be upgraded.
func (s *Session) beginUpgrade(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed || s.up != nil || s.poll == nil {
		return false
	}
	u := &upgrade{s: s, stream: st}
	s.up = u
	u.timeoutTimer = time.AfterFunc(s.srv.o.UpgradeTimeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.up == u {
			u.abortLocked()
		}
	})
	return true
}

// probeEnded forgets a probing stream that is gone; the session polls on.
func (s *Session) probeEnded(st *stream) {
	if s.up != nil && s.up.stream == st {
		s.up.stopLocked()
	}
}

// probePacket takes a packet of a probing stream.
func (st *stream) probePacket(p packet, err error) error {
	s := st.s
	switch {
	case err != nil:
		return errProbe
	case p.typ == packetPing && bytes.Equal(p.data, probeData):
		s.mu.Lock()
		defer s.mu.Unlock()
		u := s.up
		if u == nil || u.stream != st || st.closing {
			return errProbe
		}
		st.sendPacket(packetPong, probeData)
		if u.noopTimer == nil {
			u.noopTimer = time.AfterFunc(noopEvery, u.tick)
			u.pollWaitsLocked()
		}
		return nil
	case p.typ == packetUpgrade:
		return errUpgraded
	}
	return errProbe
}

// pollWaitsLocked answers a GET that waits, and has nothing to carry, without the
// wait for tick.
func (u *upgrade) pollWaitsLocked() {
	p := u.s.poll
	if u.noopTimer == nil || u.noopsSent == noopsAtOnce || u.s.state.Load() == stateClosed || p.get == nil || !p.queue.empty() {
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
	if s.up != u || s.state.Load() == stateClosed {
		return
	}
	if p := s.poll; p.get != nil && p.queue.empty() {
		p.answer(packetNoop)
	}
	u.noopTimer.Reset(noopEvery)
}

// completeUpgrade makes st the session's transport. What waits leaves over it,
// behind everything that polling has carried.
func (s *Session) completeUpgrade(st *stream) bool {
	s.mu.Lock()
	u := s.up
	if u == nil || u.stream != st || st.closing {
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
	q := p.queue
	p.queue, s.poll = nil, nil
	p.answer(packetClose)
	if p.post != nil {
		p.post.abort()
	}
	if s.pause != nil {
		// A POST waits for its end; from now on it is the stream that waits.
		s.unpauseLocked()
		s.pause = make(chan struct{})
		st.pauseEnd = s.pause
	}
	s.stream = st
	st.probing = false
	st.sendQueue(q)
	s.weighLocked()
	s.beat.restart(s)
	if s.state.Load() == stateClosing && st.waiting() == 0 {
		s.endLocked(ReasonForcedClose, nil) // otherwise the drain ends it
	}
	s.mu.Unlock()
	st.upgradeUntold = true
	return true
}

// tellUpgraded tells the handler that the session uses st now. Behind a delivery of
// the last POST that is still running: free is closed when it is time to try again.
func (st *stream) tellUpgraded() (free <-chan struct{}) {
	s := st.s
	ok, free := s.enter()
	if free != nil {
		return free
	}
	st.upgradeUntold = false
	if !ok {
		return nil
	}
	defer s.recv.Unlock()
	defer s.guard()
	if h, ok := s.handler.(UpgradeHandler); ok && s.state.Load() != stateClosed {
		h.Upgraded(st.name)
	}
	return nil
}

// serveUpgrade handles a WebSocket for an existing session.
func (srv *Server) serveUpgrade(w http.ResponseWriter, r *http.Request, q *query, s *Session, hs *ws.Handshake) {
	st := srv.newStream(s, hs, q.b64)
	st.probing = true
	begun := s.beginUpgrade(st)
	if srv.o.OnHeaders != nil {
		srv.o.OnHeaders(w.Header(), r)
	}
	head := hs.AppendResponse(nil, w.Header())
	if !begun {
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
	o := st.box()
	o.setTail(append(o.tail(), head...))
	s.mu.Unlock()
	conn.start(st)
}
