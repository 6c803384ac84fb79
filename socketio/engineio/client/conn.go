package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/wire"
)

// Handler takes what arrives, in order and on the goroutine of Serve. A function that is
// nil is not called; one that does not return holds up the connection.
type Handler struct {
	// Message takes one message, whose Data is valid during the call only. An error ends the
	// connection with a parse error.
	Message func(engineio.Message) error
	// Ping is called for each ping of the server (in revision 3, for each pong).
	Ping func()
	// Upgrade is called with the name of the transport that has taken over.
	Upgrade func(transport string)
	// UpgradeError is called when an upgrade failed; the connection goes on without.
	UpgradeError func(error)
}

// The states of a connection.
type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // Close was called; what waits is still sent
	stateClosed
)

// Conn is one connection, open since Dial returned it. All methods are safe for concurrent
// use, but for Serve, which is called once.
type Conn struct {
	*dialer
	id           string
	serverMax    int // maxPayload of the server, 0 when it told none
	pingInterval time.Duration
	pingTimeout  time.Duration
	upgradesTo   string        // a transport to be probed, or ""
	lastSeen     atomic.Int64  // time since epoch of the last packet
	ended        chan struct{} // closed with stateClosed

	// Polling requests live as long as pollCtx; nil when the connection began otherwise.
	pollCtx  context.Context
	stopPoll context.CancelFunc

	// The packets that came with the open packet of a poll, for Serve.
	pendingBody   []byte
	pendingOctets bool

	// The goroutines beside that of Serve: writers, POSTs, the probe.
	helpers sync.WaitGroup

	mu          sync.Mutex // guards what follows
	state       connState
	closeCause  *CloseError // of stateClosing and stateClosed
	heartbeat   *time.Timer
	pongDue     bool          // revision 3: a ping was sent and not answered
	closeTimer  *time.Timer   // of stateClosing
	stream      *stream       // what writes frames; nil while polling
	nextStream  *stream       // probed, and waiting for the last poll
	packets     []wire.Packet // wait for a POST, or for the upgrade
	packetBytes int
	sending     bool          // a POST is under way
	postEnded   chan struct{} // made while an upgrade waits for a POST, closed by it
	serving     bool
}

var epoch = time.Now()

// ID returns the session's id, which the server has given.
func (c *Conn) ID() string { return c.id }

// MaxPayload returns the longest message that the server takes, 0 when it told none.
func (c *Conn) MaxPayload() int { return c.serverMax }

// Transport returns the name of the transport in use.
func (c *Conn) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == nil {
		return "polling"
	}
	return c.stream.transportName
}

// Done is closed when nothing is sent and received any more.
func (c *Conn) Done() <-chan struct{} { return c.ended }

// Writable reports whether a message sent now would leave at once: nothing waits before it.
func (c *Conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen || c.nextStream != nil {
		return false
	}
	if c.stream != nil {
		return c.stream.idle()
	}
	return !c.sending && len(c.packets) == 0
}

// packetCost is what a packet that waits costs beside its data, about.
const packetCost = 64

// Send queues messages in one piece: no other message comes between them. It does not
// wait, and copies what it is given.
func (c *Conn) Send(ms ...engineio.Message) error { return c.send(ms, false) }

// SendNow is Send for messages that no others follow soon, like a question whose asker
// waits: they are written before it returns, as far as the operating system takes them
// without waiting. Messages that come in quick succession share writes with Send.
func (c *Conn) SendNow(ms ...engineio.Message) error { return c.send(ms, true) }

func (c *Conn) send(ms []engineio.Message, now bool) error {
	size := 0
	for i := range ms {
		n := len(ms[i].Data)
		if c.serverMax > 0 && n >= c.serverMax && (n > c.serverMax || !ms[i].Binary) {
			return ErrTooLarge
		}
		size += n + packetCost
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ErrClosed
	}
	if c.packetBytes+c.stream.waitingBytes()+size > c.opts.MaxBuffered {
		return ErrBufferFull
	}
	for i := range ms {
		c.queueLocked(wire.Packet{Type: wire.Message, Binary: ms[i].Binary, Data: ms[i].Data})
	}
	c.writeLocked(now)
	return nil
}

// sendLocked queues a packet and sees to it that it is written. The caller holds c.mu.
func (c *Conn) sendLocked(p wire.Packet) {
	c.queueLocked(p)
	c.writeLocked(true)
}

func (c *Conn) queueLocked(p wire.Packet) {
	if c.stream != nil && c.nextStream == nil {
		c.stream.append(p, c.opts.EIO)
		return
	}
	p.Data = append([]byte(nil), p.Data...)
	c.packets = append(c.packets, p)
	c.packetBytes += len(p.Data) + packetCost
}

// writeLocked sees to it that what waits is written, at once if it can be.
func (c *Conn) writeLocked(now bool) {
	switch {
	case c.stream == nil || c.nextStream != nil:
		c.startPostLocked()
	case now:
		c.stream.writeAtOnce()
	default:
		c.stream.startWriting()
	}
}

// Close ends the connection in order: what waits is sent, then the server is told. It
// does not wait for that; Serve returns when it is done, two seconds later at the latest.
// It is idempotent.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return
	}
	c.state = stateClosing
	c.closeCause = &CloseError{Reason: engineio.ReasonForcedClose}
	c.closeTimer = c.startCloseTimer(engineio.ReasonForcedClose)
	switch {
	case !c.serving: // so the answer would not be read
		if c.stream != nil {
			c.stream.appendClose()
		} else {
			c.sendLocked(wire.Packet{Type: wire.Close})
		}
	case c.stream != nil:
		c.stream.appendClose()
	case c.nextStream == nil:
		c.sendLocked(wire.Packet{Type: wire.Close})
	}
}

// Drop ends the connection at once and without a word, as a lost network does.
func (c *Conn) Drop() { c.end(engineio.ReasonTransportClose, nil) }

// startCloseTimer bounds the time that a goodbye takes.
func (c *Conn) startCloseTimer(reason engineio.Reason) *time.Timer {
	return time.AfterFunc(closeTime, func() { c.end(reason, nil) })
}

// end ends the connection at once. The first reason stays.
func (c *Conn) end(reason engineio.Reason, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(reason, err)
}

func (c *Conn) endLocked(reason engineio.Reason, err error) {
	if c.state == stateClosed {
		return
	}
	if c.state == stateOpen {
		c.closeCause = &CloseError{Reason: reason, Err: err}
	}
	c.state = stateClosed
	c.heartbeat.Stop()
	if c.closeTimer != nil {
		c.closeTimer.Stop()
	}
	if c.stopPoll != nil {
		c.stopPoll()
	}
	for _, st := range []*stream{c.stream, c.nextStream} {
		if st != nil {
			// TLS may take seconds for its goodbye.
			c.helpers.Go(st.kill)
		}
	}
	c.packets, c.packetBytes = nil, 0
	if !c.serving && c.http != nil {
		c.helpers.Go(c.http.CloseIdleConnections)
	}
	close(c.ended) // last: Serve waits for the helpers once it sees this
}

// errServed is a mistake of the program.
var errServed = errors.New("engineio client: Serve was called before")

// Serve reads the connection, calls h and returns the *CloseError with which it ended.
// When ctx ends, the connection does at once, without a word to the server. Serve returns
// after every goroutine of the connection.
func (c *Conn) Serve(ctx context.Context, h Handler) error {
	c.mu.Lock()
	if c.serving {
		c.mu.Unlock()
		return errServed
	}
	c.serving = true
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { c.end(engineio.ReasonForcedClose, context.Cause(ctx)) })
	defer stop()
	if h.Message == nil {
		h.Message = func(engineio.Message) error { return nil }
	}
	r := &receiver{conn: c, handler: h}
	if c.upgradesTo != "" && !c.opts.NoUpgrade {
		c.helpers.Go(func() { c.probe(r) })
	}
	r.run()
	c.helpers.Wait()
	c.workers.Close()
	c.closeHTTP()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeCause
}

// seen notes that something arrived.
func (c *Conn) noteReceived() { c.lastSeen.Store(int64(time.Since(epoch))) }

// startHeartbeat begins the watch over the server.
func (c *Conn) startHeartbeat() {
	c.noteReceived()
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.pingInterval + c.pingTimeout
	if c.opts.EIO == 3 {
		wait = c.pingInterval
	}
	c.heartbeat = time.AfterFunc(wait, c.beat)
}

// beat is due when the server should have pinged, or in revision 3 when it wants a ping.
// The timer is not moved for every packet: it looks when the last one came.
func (c *Conn) beat() {
	silence := time.Since(epoch) - time.Duration(c.lastSeen.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == stateClosed:
	case c.opts.EIO == 4:
		if patience := c.pingInterval + c.pingTimeout; silence < patience {
			c.heartbeat.Reset(patience - silence)
			return
		}
		c.endLocked(engineio.ReasonPingTimeout, nil)
	case !c.pongDue:
		c.pongDue = true
		c.sendLocked(wire.Packet{Type: wire.Ping})
		c.heartbeat.Reset(c.pingTimeout)
	case silence < c.pingTimeout: // any packet is a sign of life
		c.pongDue = false
		c.heartbeat.Reset(c.pingInterval)
	default:
		c.endLocked(engineio.ReasonPingTimeout, nil)
	}
}
