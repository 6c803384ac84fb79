package engineio

import (
	"slices"
	"sync/atomic"
	"time"
)

// Stats counts what happened to a server since it was made. Packets and bytes are those
// of messages, before compression: what the heartbeat, handshakes and upgrades need is not
// in it.
type Stats struct {
	// Sessions says how many sessions are open now, by their current transport; Opened
	// how many began, by their first one. The names are those of Options.Transports and of
	// External.
	Sessions map[string]uint64
	Opened   map[string]uint64
	// Closed says how many sessions have ended, by reason. SlowClosed of them ended with
	// ErrSlow.
	Closed     map[Reason]uint64
	SlowClosed uint64
	// Upgrades has the results of upgrades: see UpgradeResults.
	Upgrades map[string]uint64
	// Refused counts refused requests by code, as CodeUnknownSID.
	Refused map[int]uint64

	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
}

// Reasons returns every reason that a session can end for.
func Reasons() []Reason {
	return []Reason{ReasonTransportClose, ReasonTransportError, ReasonPingTimeout, ReasonParseError, ReasonForcedClose}
}

// UpgradeResults returns every key of Stats.Upgrades: the session uses the new transport;
// the upgrade took longer than Options.UpgradeTimeout; the new transport failed before it
// was used, or the session ended; the session was not one that could be upgraded.
func UpgradeResults() []string {
	return []string{upgradeDone: "ok", upgradeTimeout: "timeout", upgradeFailed: "failed", upgradeRefused: "refused"}
}

const (
	upgradeDone = iota
	upgradeTimeout
	upgradeFailed
	upgradeRefused
	upgradeResults // how many there are
)

// countedTransports is how many transports are counted by name: the three of this module
// and others.
var countedTransports = [...]string{transportPolling, transportWebSocket, transportWebTransport, "other"}

const otherTransport = len(countedTransports) - 1

func transportIndex(name string) int {
	if i := slices.Index(countedTransports[:otherTransport], name); i >= 0 {
		return i
	}
	return otherTransport
}

var countedReasons = Reasons()

// counters is the part of Stats that changes once or twice for a session. Sessions count
// their messages themselves, so that no two cores write the same memory for each message.
type counters struct {
	sessions [len(countedTransports)]atomic.Int64
	opened   [len(countedTransports)]atomic.Uint64
	closed   [5]atomic.Uint64 // in the order of Reasons
	slow     atomic.Uint64
	upgrades [upgradeResults]atomic.Uint64
	refused  [len(codeMessages)]atomic.Uint64
}

func (c *counters) sessionOpened(transport string) {
	i := transportIndex(transport)
	c.opened[i].Add(1)
	c.sessions[i].Add(1)
}

func (c *counters) sessionUpgraded(from, to string) {
	c.sessions[transportIndex(from)].Add(-1)
	c.sessions[transportIndex(to)].Add(1)
	c.upgrades[upgradeDone].Add(1)
}

func (c *counters) sessionClosed(transport string, reason Reason, slow bool) {
	c.sessions[transportIndex(transport)].Add(-1)
	c.closed[max(slices.Index(countedReasons, reason), 0)].Add(1)
	if slow {
		c.slow.Add(1)
	}
}

func (c *counters) requestRefused(code int) {
	if code >= 0 && code < len(c.refused) {
		c.refused[code].Add(1)
	}
}

// traffic is what sessions have carried one way.
type traffic struct{ packets, bytes uint64 }

func (t *traffic) add(o traffic) {
	t.packets += o.packets
	t.bytes += o.bytes
}

// unnotedTraffic is what a turn of reading has brought so far.
type unnotedTraffic struct{ packets, bytes uint32 }

// noteReceivedLocked adds what a turn of reading has brought to received; recvMu and mu
// are held. A session that has ended during the turn is in former already.
func (s *Session) noteReceivedLocked() {
	got := traffic{uint64(s.unnoted.packets), uint64(s.unnoted.bytes)}
	s.unnoted = unnotedTraffic{}
	s.received.add(got)
	if got.packets > 0 && s.state.Load() == stateClosed {
		s.srv.mu.Lock()
		s.srv.formerReceived.add(got)
		s.srv.mu.Unlock()
	}
}

// countOutLocked counts messages that were queued for the peer; mu is held.
func (s *Session) countOutLocked(packets, size int) {
	s.sent.add(traffic{uint64(packets), uint64(size)})
	if s.srv.o.OnFlush != nil && s.flushFrom == 0 && (s.sent.packets+uint64(s.id[0]))%flushSample < uint64(packets) {
		s.flushFrom = time.Since(epoch)
	}
}

// flushSample is how many packets are sent for each that is timed.
const flushSample = 16

// flushedLocked tells Options.OnFlush when nothing waits any more.
func (s *Session) flushedLocked() {
	if s.waitingLocked() > 0 {
		return
	}
	took := time.Since(epoch) - s.flushFrom
	s.flushFrom = 0
	s.srv.o.OnFlush(took)
}

// Stats returns the counters. It looks at each session, which takes about a millisecond
// for ten thousand; the values are read one after the other, while the server goes on.
// None of them, but for Sessions, ever gets less.
func (srv *Server) Stats() Stats {
	c := &srv.counters
	srv.mu.Lock()
	received, sent := srv.formerReceived, srv.formerSent
	open := srv.listSessionsLocked()
	srv.mu.Unlock()
	for _, s := range open { // also those that end meanwhile: they are not in what was read
		s.mu.Lock()
		received.add(s.received)
		sent.add(s.sent)
		s.mu.Unlock()
	}
	st := Stats{
		Sessions: make(map[string]uint64, len(countedTransports)), Opened: make(map[string]uint64, len(countedTransports)),
		Closed: make(map[Reason]uint64, len(countedReasons)), SlowClosed: c.slow.Load(),
		Upgrades: make(map[string]uint64, upgradeResults), Refused: make(map[int]uint64, len(codeMessages)),
		PacketsIn: received.packets, BytesIn: received.bytes, PacketsOut: sent.packets, BytesOut: sent.bytes,
	}
	for i, name := range countedTransports {
		if opened := c.opened[i].Load(); i != otherTransport || opened > 0 {
			st.Opened[name] = opened
			st.Sessions[name] = uint64(max(c.sessions[i].Load(), 0))
		}
	}
	for i, reason := range countedReasons {
		st.Closed[reason] = c.closed[i].Load()
	}
	for i, result := range UpgradeResults() {
		st.Upgrades[result] = c.upgrades[i].Load()
	}
	for code := range c.refused {
		st.Refused[code] = c.refused[code].Load()
	}
	return st
}

// QueuedBytes returns how many bytes wait for the peers of all sessions. It looks at
// each session, which takes about a millisecond for ten thousand.
func (srv *Server) QueuedBytes() (sum int64) {
	srv.mu.Lock()
	open := srv.listSessionsLocked()
	srv.mu.Unlock()
	for _, s := range open {
		s.mu.Lock()
		if s.state.Load() != stateClosed {
			sum += int64(s.waitingLocked())
		}
		s.mu.Unlock()
	}
	return sum
}

// SessionEnd describes a session that has ended, for Options.OnSessionEnd.
type SessionEnd struct {
	ID          string
	Transport   string // the last one
	Reason      Reason
	Description error // why, in more detail; may be nil
	Refused     bool  // Accept did not take the session
	Duration    time.Duration
	Packets     uint64 // messages, both ways
	Bytes       uint64 // of these messages
}
