package engineio

import "errors"

// Reason says why a session ended, in the words of the reference.
type Reason string

// The reasons of section 1.8 of the protocol notes.
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
	// ErrSlow is the description of a session closed because its peer did not
	// read: more than Options.MaxBuffered bytes waited.
	ErrSlow = errors.New("engineio: peer too slow, send buffer full")
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
type Session struct{}

// ID returns the session id: 20 characters of [A-Za-z0-9_-].
func (s *Session) ID() string { panic("todo") }

// Protocol returns the Engine.IO revision of the session, 4 or 3.
func (s *Session) Protocol() int { panic("todo") }

// Transport returns the name of the current transport: "polling", "websocket"
// or "webtransport".
func (s *Session) Transport() string { panic("todo") }

// Send queues frames in order and contiguously (frames of one call are never
// interleaved with those of another) and wakes the transport. It never blocks.
// When more than Options.MaxBuffered bytes wait, the session is closed with
// ReasonTransportError and ErrSlow. Returns ErrClosed once closing began.
func (s *Session) Send(frames ...*Frame) error { panic("todo") }

// SendVolatile is Send for frames that may be lost: they are dropped, all or
// none, when the transport is not writable right now (polling without a waiting
// GET, or a write still in flight). It reports whether they were queued.
func (s *Session) SendVolatile(frames ...*Frame) bool { panic("todo") }

// SendMessages is Send for messages with one receiver: the data is copied
// before it returns, so that the caller may reuse it. No allocation per message.
func (s *Session) SendMessages(ms ...Message) error { panic("todo") }

// AfterFlush calls fn once, on another goroutine, when everything queued so far
// has been written to the transport (for polling: in an answered GET). When the
// session ends first, fn is never called.
func (s *Session) AfterFlush(fn func()) { panic("todo") }

// Resume ends a pause that Receive asked for with ErrPause.
func (s *Session) Resume() { panic("todo") }

// Close ends the session with ReasonForcedClose after what is queued has been
// written. It does not wait.
func (s *Session) Close() { panic("todo") }

// Discard is Close without waiting for the queue.
func (s *Session) Discard() { panic("todo") }
