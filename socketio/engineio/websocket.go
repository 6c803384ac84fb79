package engineio

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/tlspoll"
	"posthouse/socketio/engineio/internal/ws"
)

// wsTransport is a WebSocket of a session, or an external transport that speaks its
// frames.
//
// The reader owns the receiving side. It is a goroutine of the connection's own
// (websocket_read.go) or the goroutine of an event loop (websocket_poll.go). Only the
// reader closes the connection, after it has set closed: so the descriptor stays valid
// for a sender that holds Session.mu and sees closed unset.
//
// Session.mu guards the sending side. Any goroutine that sends writes what the socket
// takes without blocking. While the peer is slow, writing is set and the rest is written
// by the loop, or by a goroutine that exists meanwhile (websocket_write.go); the other
// senders then only append to sendBuf, so that the order is kept.
type wsTransport struct {
	s             *Session
	transportName string          // of the transport
	loop          *netpoll.Loop   // nil: a goroutine reads
	conn          net.Conn        // nil: a loop reads, or the connection is not there yet
	fd            int             // of a plain TCP connection, or below stream; -1: only blocking writes
	stream        *tlspoll.Stream // nil: no TLS, or TLS that a goroutine reads
	deflate       *ws.Deflate
	wireFormat    wireForm

	// Owned by the reader:
	frameReader    ws.Reader
	isProbe        bool            // not the session's transport yet (docs/protocol.md §1.7)
	wroteAfterRead bool            // the handling of the last read ended in a write
	heldBytes      *buffer         // the rest of the last read, during a pause; nil: nothing
	pauseEnd       <-chan struct{} // closed when heldBytes may be handled; nil: at once
	readSuspended  bool            // the loop reads nothing until Wake, and heldBytes come first
	closedByLoop   bool            // the descriptor may be another connection's by now
	upgradeUntold  bool            // the handler is still to be told of the upgrade
	isDiscarding   bool            // the peer broke the protocol: what comes is dropped; set with mu
	discardedBytes int             // bytes since then

	// Guarded by Session.mu:
	sendBuf      *sendBuffer // nil: nothing waits, or the writer goroutine has all of it
	isConnected  bool        // the connection is there: before, everything waits in sendBuf
	corked       bool        // the reader is handling a read: answers leave together, behind it
	writePending bool        // the rest of a write is the loop's or the writer goroutine's
	inFlight     int         // bytes that the writer goroutine has taken
	closing      bool        // the session is done with it; at most the close frame is left
	peerClosed   bool        // the peer's close frame came, or its end of stream
	closeSent    bool        // the close frame has been written
	finSent      bool        // our side of the connection is ended, behind the close frame
	hasWritten   bool        // set by every write without blocking
	isClosed     bool        // the connection is closed, or the reader is about to do it

	lingerTimer  *time.Timer // closes a connection whose peer does not
	stallTimer   *time.Timer // ends a write that the loop waits for
	writeBlocked atomic.Bool // writing, for the loop to see without the mutex
}

// sendBuffer is what waits to be written, in order.
type sendBuffer struct {
	segments   []segment
	totalBytes int
	afterFlush []func()
}

// segment is a finished piece of the wire: bytes shared with other sessions, or
// a pooled buffer of our own (owner set) that may still grow.
type segment struct {
	b        []byte
	owner    *buffer
	isSealed bool // part of it is written
}

var sendBuffers = sync.Pool{New: func() any { return new(sendBuffer) }}

func (o *sendBuffer) release() {
	if o == nil {
		return
	}
	for i := range o.segments {
		if o.segments[i].owner != nil {
			o.segments[i].owner.release()
		}
	}
	clear(o.segments)
	clear(o.afterFlush)
	*o = sendBuffer{segments: o.segments[:0], afterFlush: o.afterFlush[:0]}
	sendBuffers.Put(o)
}

// tail returns the buffer that the next bytes of our own are appended to; give
// it to setTail afterwards.
func (o *sendBuffer) tail() []byte {
	if n := len(o.segments); n > 0 {
		if last := &o.segments[n-1]; last.owner != nil && !last.isSealed && len(last.b) < bufferKeep/2 {
			return last.b
		}
	}
	buf := takeBuffer()
	o.segments = append(o.segments, segment{b: buf.b, owner: buf})
	return buf.b
}

func (o *sendBuffer) setTail(b []byte) {
	last := &o.segments[len(o.segments)-1]
	o.totalBytes += len(b) - len(last.b)
	last.b, last.owner.b = b, b
}

func (o *sendBuffer) share(b []byte) {
	o.segments = append(o.segments, segment{b: b})
	o.totalBytes += len(b)
}

const (
	// joinBelow is the size up to which copying a shared frame into the buffer
	// it leaves in is cheaper than another piece of the write.
	joinBelow = 2 << 10
	// corkLimit is how much answers of one read may grow before they are sent.
	corkLimit = 64 << 10
)

func (st *wsTransport) openSendBuffer() *sendBuffer {
	if st.sendBuf == nil {
		st.sendBuf = sendBuffers.Get().(*sendBuffer)
	}
	return st.sendBuf
}

// segmentSize is what a segment costs beside its bytes, about.
const segmentSize = 64

func (st *wsTransport) waitingBytes() int {
	n := st.inFlight
	if st.sendBuf != nil {
		n += st.sendBuf.totalBytes + segmentSize*len(st.sendBuf.segments)
	}
	return n
}

func (st *wsTransport) after(fn func()) bool {
	if st.sendBuf == nil {
		if st.inFlight == 0 {
			return false
		}
		st.openSendBuffer()
	}
	st.sendBuf.afterFlush = append(st.sendBuf.afterFlush, fn)
	return true
}

func (st *wsTransport) sendFrames(frames []*Frame) {
	if len(frames) == 1 && st.unhindered() {
		st.sendNow(frames[0].wire(st.wireFormat, st.deflate))
		return
	}
	st.addFrames(frames)
	st.writeWaiting()
}

// unhindered reports whether what is sent may be written at once.
func (st *wsTransport) unhindered() bool {
	return st.sendBuf == nil && !st.corked && !st.writePending && st.isConnected
}

// sendNow writes shared bytes without a detour through sendBuf.
func (st *wsTransport) sendNow(b []byte) {
	n, err := st.tryWrite(b)
	if err != nil {
		st.fail(err)
	} else if n < len(b) {
		st.openSendBuffer().share(b[n:])
		st.startWriter()
	}
}

func (st *wsTransport) addFrames(frames []*Frame) {
	o := st.openSendBuffer()
	for _, f := range frames {
		b := f.wire(st.wireFormat, st.deflate)
		if st.corked && len(b) <= joinBelow {
			o.setTail(append(o.tail(), b...))
		} else {
			o.share(b)
		}
	}
}

func (st *wsTransport) addMessages(ms []Message) {
	o := st.openSendBuffer()
	for i := range ms {
		o.setTail(appendWire(o.tail(), st.wireFormat, st.deflate, packetMessage, ms[i].Binary, ms[i].Data))
	}
}

func (st *wsTransport) sendPacket(t packetType, data []byte) {
	if t == packetPing && len(data) == 0 && st.unhindered() {
		st.sendNow(pingFrame)
		return
	}
	o := st.openSendBuffer()
	o.setTail(appendWire(o.tail(), st.wireFormat, nil, t, false, data))
	st.writeWaiting()
}

// pingFrame is what most connections get most often.
var pingFrame = appendWire(nil, formV4, nil, packetPing, false, nil)

// sendQueue takes over what waited while the session polled.
func (st *wsTransport) sendQueue(q *queue) {
	if q == nil {
		return
	}
	o := st.openSendBuffer()
	for i := range q.queuedItems {
		it := &q.queuedItems[i]
		if it.frame != nil {
			o.share(it.frame.wire(st.wireFormat, st.deflate))
		} else {
			o.setTail(appendWire(o.tail(), st.wireFormat, st.deflate, it.packetType, it.binary, q.bytes(i)))
		}
	}
	o.afterFlush = append(o.afterFlush, q.afterFlush...)
	q.release()
	st.writeWaiting()
}

// writeWaiting writes what waits, unless the loop, the writer goroutine or the reader, which
// has corked the transport, is going to.
func (st *wsTransport) writeWaiting() {
	if st.sendBuf == nil || st.writePending || !st.isConnected || st.isClosed {
		return
	}
	if st.corked && st.sendBuf.totalBytes < corkLimit {
		return
	}
	st.flush()
}

// flush writes what waits as far as the socket takes it, in as few writes as
// possible.
func (st *wsTransport) flush() {
	o := st.sendBuf
	if st.fd < 0 && o.totalBytes > 0 {
		st.startWriter()
		return
	}
	for o.totalBytes > 0 {
		b, scratch := o.join(bufferKeep)
		n, err := st.tryWrite(b)
		if scratch != nil {
			scratch.release()
		}
		o.drop(n)
		if err != nil {
			st.fail(err)
			return
		}
		if n < len(b) {
			st.startWriter()
			return
		}
	}
	st.drained()
}

// drained is called when everything is written.
func (st *wsTransport) drained() {
	if o := st.sendBuf; o != nil && o.totalBytes == 0 {
		st.sendBuf = nil
		st.s.runAfterFlush(o.afterFlush)
		o.release()
	}
	if st.closing {
		st.afterCloseFrame()
		return
	}
	if st.s.ws == st {
		st.s.drainedLocked()
	}
}

// join returns the first bytes of the buffer in one piece, in a scratch buffer of
// at most limit bytes when they lie in several.
func (o *sendBuffer) join(limit int) (b []byte, scratch *buffer) {
	first := o.segments[0].b
	if len(o.segments) == 1 || len(first) >= limit/2 {
		return first, nil
	}
	scratch = takeBuffer()
	for i := range o.segments {
		if len(scratch.b)+len(o.segments[i].b) > limit {
			break
		}
		scratch.b = append(scratch.b, o.segments[i].b...)
	}
	return scratch.b, scratch
}

// drop forgets the first n bytes.
func (o *sendBuffer) drop(n int) {
	o.totalBytes -= n
	i := 0
	for ; i < len(o.segments) && n >= len(o.segments[i].b); i++ {
		n -= len(o.segments[i].b)
		if o.segments[i].owner != nil {
			o.segments[i].owner.release()
		}
	}
	rest := copy(o.segments, o.segments[i:])
	clear(o.segments[rest:])
	o.segments = o.segments[:rest]
	if n > 0 {
		o.segments[0].b = o.segments[0].b[n:]
		o.segments[0].isSealed = true
	}
}

// tryWrite writes without blocking. A short count is no error, and the next call begins
// with the bytes behind it. The descriptor is valid until closed is set under the same mutex.
func (st *wsTransport) tryWrite(b []byte) (int, error) {
	if st.fd < 0 || st.isClosed {
		return 0, nil
	}
	st.hasWritten = true
	if st.stream != nil {
		return st.stream.TryWrite(b)
	}
	return netpoll.WriteFD(st.fd, b)
}

func (st *wsTransport) fail(err error) {
	over := st.closing
	st.hangUp()
	if !over {
		st.connectionLost(err)
	}
}

// connectionLost tells the session that its transport is gone; the end of a probing one
// only ends the upgrade.
func (st *wsTransport) connectionLost(err error) {
	if st.s.ws == st {
		st.s.endLocked(ReasonTransportClose, err)
	} else {
		st.s.probeEnded(st)
	}
}

// hangUp makes reads and writes fail. The reader then closes the connection:
// closing waits for both, and so must happen without the mutex.
func (st *wsTransport) hangUp() {
	if st.lingerTimer != nil {
		st.lingerTimer.Stop()
	}
	st.closing = true
	if st.isClosed || !st.isConnected {
		return
	}
	st.isClosed = true
	st.sendBuf.release()
	st.sendBuf = nil
	if st.loop != nil {
		st.endWriting()
		st.loop.Wake(st)
		return
	}
	st.conn.SetDeadline(longAgo) // an error means it is closed
}

var longAgo = time.Unix(1, 0)
