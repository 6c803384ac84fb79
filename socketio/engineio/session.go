package engineio

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Reason says why a session ended, in the words of the reference.
type Reason string

// The reasons of docs/protocol.md §1.8.
const (
	ReasonTransportClose Reason = "transport close"
	ReasonTransportError Reason = "transport error"
	ReasonPingTimeout    Reason = "ping timeout"
	ReasonParseError     Reason = "parse error"
	ReasonForcedClose    Reason = "forced close"
)

var (
	// ErrClosed is returned by sends on a session that is closing or closed.
	ErrClosed = errors.New("engineio: session closed")
	// ErrPause is returned by Handler.Receive to say: this message was taken,
	// but deliver no more until Session.Resume. The reader stops reading, so
	// that TCP (or the withheld answer of a POST) pushes back on the peer.
	ErrPause = errors.New("engineio: pause")
)

// Handler is the layer above one session.
type Handler interface {
	// Receive takes one message. Calls come one at a time and in order.
	// m.Data is valid only during the call. ErrPause pauses delivery; any other
	// error closes the session with ReasonForcedClose and that error as the
	// description. Receive must not block.
	Receive(m Message) error
	// Closed is called exactly once, last.
	Closed(reason Reason, description error)
}

// UpgradeHandler is implemented by handlers that want to know of upgrades.
type UpgradeHandler interface{ Upgraded(transport string) }

// Session is one Engine.IO connection, whatever its transport. All methods are
// safe for concurrent use.
type Session struct {
	srv *Server
	id  string

	// recvMu serialises the calls of the handler. It is held while they run and is
	// taken before mu, never under it.
	recvMu  sync.Mutex
	handler Handler // set under recvMu before the first packet
	// controlSince, of epoch, is the beginning of the second in which controlPackets
	// counts; guarded by recvMu, as controlPackets is.
	controlSince   time.Duration
	controlPackets int32
	unnoted        unnotedTraffic // guarded by recvMu

	// state is written under mu; the receiving side reads it without.
	state atomic.Uint32
	// pong is what the heartbeat waits for; the receiving side reads it for every packet.
	pong atomic.Uint32

	mu             sync.Mutex     // guards what follows but revision, and the out side of the streams
	resumedEarly   bool           // Resume came before the pause began
	inFlusher      bool           // in the flusher's list
	closedAsSlow   bool           // ErrSlow has closed the session
	revision       uint8          // of the protocol, 4 or 3; never changes
	poll           *polling       // nil: not polling (any more)
	ws             *wsTransport   // nil: polling
	pendingUpgrade *upgrade       // nil: no upgrade under way
	beat           heartbeatEntry // guarded by heartbeatQueues.mu; set with mu held
	pauseEnd       chan struct{}  // closed at the end of a pause; nil: not paused
	// recvFree is closed when recvMu is given back; nil: the transport does not wait for it.
	recvFree   chan struct{}
	closeTimer *time.Timer // ends a closing session without a poll
	backlog    *backlog    // nil: no more than MaxBuffered waits
	received   traffic     // without what is unnoted
	sent       traffic
	flushFrom  time.Duration // of epoch: when a send that is timed began; 0: none is

	openedAt time.Duration // of epoch; never changes
}

const (
	stateOpen uint32 = iota
	stateClosing
	stateClosed
)

// ID returns the session id: 20 characters of [A-Za-z0-9_-].
func (s *Session) ID() string { return s.id }

// Protocol returns the Engine.IO revision of the session, 4 or 3.
func (s *Session) Protocol() int { return int(s.revision) }

// Transport returns the name of the current transport: "polling", "websocket"
// or "webtransport".
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transportLocked()
}

func (s *Session) transportLocked() string {
	if s.ws != nil {
		return s.ws.transportName
	}
	return transportPolling
}

// Send queues frames in order and contiguously (frames of one call are never
// interleaved with those of another) and wakes the transport. It never blocks.
// A peer that does not take what waits is closed with ReasonTransportError and
// ErrSlow, see Options.MaxBuffered; the send that finds it so returns ErrSlow.
// Returns ErrClosed once closing began.
func (s *Session) Send(frames ...*Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != stateOpen {
		return s.closedErr()
	}
	return s.sendLocked(frames)
}

// SendVolatile is Send for frames that may be lost: they are dropped, all or
// none, when the transport is not writable right now (polling without a waiting
// GET, or a write still in flight). It reports whether they were queued.
func (s *Session) SendVolatile(frames ...*Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != stateOpen || !s.writableLocked() {
		return false
	}
	return s.sendLocked(frames) == nil
}

func (s *Session) sendLocked(frames []*Frame) error {
	size := 0
	for _, f := range frames {
		size += len(f.message.Data)
	}
	if err := s.checkSendBufferLocked(size); err != nil {
		return err
	}
	s.countOutLocked(len(frames), size)
	if s.ws != nil {
		s.ws.sendFrames(frames)
	} else {
		s.poll.addFrames(frames)
		s.poll.flush()
	}
	s.updateBacklogLocked()
	return nil
}

// SendMessages is Send for messages with one receiver: the data is copied
// before it returns, so that the caller may reuse it. No allocation per message.
func (s *Session) SendMessages(ms ...Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() != stateOpen {
		return s.closedErr()
	}
	size := sizeOf(ms)
	if err := s.checkSendBufferLocked(size); err != nil {
		return err
	}
	s.countOutLocked(len(ms), size)
	if s.ws != nil {
		s.ws.addMessages(ms)
		s.ws.writeWaiting()
	} else {
		s.poll.addMessages(ms)
		s.poll.flush()
	}
	s.updateBacklogLocked()
	return nil
}

func sizeOf(ms []Message) (size int) {
	for i := range ms {
		size += len(ms[i].Data)
	}
	return size
}

func (s *Session) writableLocked() bool {
	if s.ws != nil {
		return s.ws.waitingBytes() == 0
	}
	return s.poll.waitingGET != nil && s.poll.sendQueue.empty()
}

// sendControlLocked queues a packet of the engine itself.
func (s *Session) sendControlLocked(t packetType, data []byte) {
	if s.ws != nil {
		s.ws.sendPacket(t, data)
		return
	}
	s.poll.open().add(t, false, data)
	s.poll.flush()
}

// AfterFlush calls fn once, on another goroutine, when everything queued so far
// has been written to the transport (for polling: in an answered GET). When the
// session ends first, fn is never called. Server.Shutdown waits for fn, which
// therefore must not wait for Shutdown.
func (s *Session) AfterFlush(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() == stateClosed {
		return
	}
	var queued bool
	if s.ws != nil {
		queued = s.ws.after(fn)
	} else {
		queued = s.poll.after(fn)
	}
	if !queued {
		s.runAfterFlush([]func(){fn})
	}
}

// afterFlush is a task: the functions that AfterFlush collected for one write.
type afterFlush struct {
	s   *Session
	fns []func()
}

// runAfterFlush starts fns, which the caller may reuse. Server.Shutdown waits for
// them.
func (s *Session) runAfterFlush(fns []func()) {
	if len(fns) == 0 {
		return
	}
	s.srv.track()
	s.srv.workers.Go(&afterFlush{s, slices.Clone(fns)})
}

// Run implements workers.Task.
func (a *afterFlush) Run() {
	defer a.s.srv.done()
	for _, fn := range a.fns {
		a.call(fn)
	}
}

func (a *afterFlush) call(fn func()) {
	defer a.s.guard()
	fn()
}

// Resume ends a pause that Receive asked for with ErrPause.
func (s *Session) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pauseEnd == nil {
		s.resumedEarly = true // the pause that is about to begin
		return
	}
	s.unpauseLocked()
	s.restartHeartbeat()
}

func (s *Session) unpauseLocked() {
	if s.pauseEnd != nil {
		close(s.pauseEnd)
		s.pauseEnd = nil
		if s.ws != nil && s.ws.loop != nil {
			s.ws.loop.Wake(s.ws)
		}
	}
}

// paused begins a pause and returns what it lasts until; nil when it is over already.
func (s *Session) paused() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.resumedEarly || s.state.Load() == stateClosed {
		s.resumedEarly = false
		return nil
	}
	if s.pauseEnd == nil {
		s.pauseEnd = make(chan struct{})
	}
	return s.pauseEnd
}
