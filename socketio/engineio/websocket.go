package engineio

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
	"posthouse/socketio/engineio/internal/ws"
)

// stream is a WebSocket of a session. It is read by a goroutine of its own (see
// websocket_read.go) or by a loop that it shares with others (see websocket_poll.go): the
// reader. The out side is guarded by Session.mu and written by whoever sends,
// without blocking; the rest is written while the peer is slow by the loop, or by
// a writer goroutine that exists meanwhile.
type stream struct {
	s       *Session
	name    string        // of the transport
	loop    *netpoll.Loop // nil: a goroutine reads
	conn    net.Conn      // nil: a loop reads, or the connection is not there yet
	fd      int           // of a plain TCP connection; -1: only blocking writes
	form    wireForm
	deflate *ws.Deflate

	// reading side: belongs to the reader
	reader  ws.Reader
	probing bool            // not the session's transport yet (docs/protocol.md §1.7)
	replied bool            // handling the last read ended in a write
	held    *buffer         // while paused: the rest of the last read
	pause   <-chan struct{} // closed when held may be handled
	away    bool            // the loop waits for that
	gone    bool            // the loop has closed the connection
	untold  bool            // the handler is still to be told of the upgrade
	deaf    bool            // the peer broke the protocol: what comes is dropped; set with mu
	dropped int             // bytes since then

	// guarded by Session.mu
	out     *outbox
	begun   bool // the connection is there
	corked  bool
	writing bool // the rest of a write is the loop's or the writer goroutine's
	flight  int  // bytes it has taken
	over    bool // the session is done with it; only the farewell is left
	parted  bool // the peer's close frame came, or its end of stream
	// finished says that the farewell has been written, finSent that our side of the
	// connection is ended behind it.
	finished, finSent bool
	wrote             bool // set by every write without blocking
	closed            bool // the connection is closed, or the reader is about to do it
	linger            *time.Timer
	stall             *time.Timer // ends a write that the loop waits for
	blocked           atomic.Bool // writing, for the loop to see
}

// outbox is what waits to be written, in order.
type outbox struct {
	segs  []segment
	size  int
	after []func()
}

// segment is a finished piece of the wire: bytes shared with other sessions, or
// a pooled buffer of our own (owner set) that may still grow.
type segment struct {
	b      []byte
	owner  *buffer
	sealed bool // part of it is written
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

func (o *outbox) release() {
	if o == nil {
		return
	}
	for i := range o.segs {
		if o.segs[i].owner != nil {
			o.segs[i].owner.release()
		}
	}
	clear(o.segs)
	clear(o.after)
	*o = outbox{segs: o.segs[:0], after: o.after[:0]}
	outboxes.Put(o)
}

// tail returns the buffer that the next bytes of our own are appended to; give
// it to setTail afterwards.
func (o *outbox) tail() []byte {
	if n := len(o.segs); n > 0 {
		if last := &o.segs[n-1]; last.owner != nil && !last.sealed && len(last.b) < bufferKeep/2 {
			return last.b
		}
	}
	buf := takeBuffer()
	o.segs = append(o.segs, segment{b: buf.b, owner: buf})
	return buf.b
}

func (o *outbox) setTail(b []byte) {
	last := &o.segs[len(o.segs)-1]
	o.size += len(b) - len(last.b)
	last.b, last.owner.b = b, b
}

func (o *outbox) share(b []byte) {
	o.segs = append(o.segs, segment{b: b})
	o.size += len(b)
}

const (
	// joinBelow is the size up to which copying a shared frame into the buffer
	// it leaves in is cheaper than another piece of the write.
	joinBelow = 2 << 10
	// corkLimit is how much answers of one read may grow before they are sent.
	corkLimit = 64 << 10
)

func (st *stream) box() *outbox {
	if st.out == nil {
		st.out = outboxes.Get().(*outbox)
	}
	return st.out
}

// segmentSize is what a segment costs beside its bytes, about.
const segmentSize = 64

func (st *stream) waiting() int {
	n := st.flight
	if st.out != nil {
		n += st.out.size + segmentSize*len(st.out.segs)
	}
	return n
}

func (st *stream) after(fn func()) bool {
	if st.out == nil {
		if st.flight == 0 {
			return false
		}
		st.box()
	}
	st.out.after = append(st.out.after, fn)
	return true
}

func (st *stream) sendFrames(frames []*Frame) {
	if len(frames) == 1 && st.unhindered() {
		st.sendNow(frames[0].wire(st.form, st.deflate))
		return
	}
	st.addFrames(frames)
	st.kick()
}

// unhindered reports whether what is sent may be written at once.
func (st *stream) unhindered() bool {
	return st.out == nil && !st.corked && !st.writing && st.begun
}

// sendNow writes shared bytes without a detour through the outbox.
func (st *stream) sendNow(b []byte) {
	n, err := st.try(b)
	if err != nil {
		st.failed(err)
	} else if n < len(b) {
		st.box().share(b[n:])
		st.startWriter()
	}
}

func (st *stream) addFrames(frames []*Frame) {
	o := st.box()
	for _, f := range frames {
		b := f.wire(st.form, st.deflate)
		if st.corked && len(b) <= joinBelow {
			o.setTail(append(o.tail(), b...))
		} else {
			o.share(b)
		}
	}
}

func (st *stream) addMessages(ms []Message) {
	o := st.box()
	for i := range ms {
		o.setTail(appendWire(o.tail(), st.form, st.deflate, packetMessage, ms[i].Binary, ms[i].Data))
	}
}

func (st *stream) sendPacket(t packetType, data []byte) {
	if t == packetPing && len(data) == 0 && st.unhindered() {
		st.sendNow(pingFrame)
		return
	}
	o := st.box()
	o.setTail(appendWire(o.tail(), st.form, nil, t, false, data))
	st.kick()
}

// pingFrame is what most connections get most often.
var pingFrame = appendWire(nil, formV4, nil, packetPing, false, nil)

// sendQueue takes over what waited while the session polled.
func (st *stream) sendQueue(q *queue) {
	if q == nil {
		return
	}
	o := st.box()
	for i := range q.items {
		it := &q.items[i]
		if it.frame != nil {
			o.share(it.frame.wire(st.form, st.deflate))
		} else {
			o.setTail(appendWire(o.tail(), st.form, st.deflate, it.typ, it.binary, q.bytes(i)))
		}
	}
	o.after = append(o.after, q.after...)
	q.release()
	st.kick()
}

// kick writes what waits, unless somebody else will.
func (st *stream) kick() {
	if st.out == nil || st.writing || !st.begun || st.closed {
		return
	}
	if st.corked && st.out.size < corkLimit {
		return
	}
	st.flush()
}

// flush writes what waits as far as the socket takes it, in as few writes as
// possible.
func (st *stream) flush() {
	o := st.out
	if st.fd < 0 && o.size > 0 {
		st.startWriter()
		return
	}
	for o.size > 0 {
		b, scratch := o.join(bufferKeep)
		n, err := st.try(b)
		if scratch != nil {
			scratch.release()
		}
		o.drop(n)
		if err != nil {
			st.failed(err)
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
func (st *stream) drained() {
	if o := st.out; o != nil && o.size == 0 {
		st.out = nil
		st.s.runAfterFlush(o.after)
		o.release()
	}
	if st.over {
		st.farewell()
		return
	}
	if st.s.stream == st {
		st.s.drainedLocked()
	}
}

// join returns the first bytes of the outbox in one piece, in a scratch buffer of
// at most limit bytes when they lie in several.
func (o *outbox) join(limit int) (b []byte, scratch *buffer) {
	first := o.segs[0].b
	if len(o.segs) == 1 || len(first) >= limit/2 {
		return first, nil
	}
	scratch = takeBuffer()
	for i := range o.segs {
		if len(scratch.b)+len(o.segs[i].b) > limit {
			break
		}
		scratch.b = append(scratch.b, o.segs[i].b...)
	}
	return scratch.b, scratch
}

// drop forgets the first n bytes.
func (o *outbox) drop(n int) {
	o.size -= n
	i := 0
	for ; i < len(o.segs) && n >= len(o.segs[i].b); i++ {
		n -= len(o.segs[i].b)
		if o.segs[i].owner != nil {
			o.segs[i].owner.release()
		}
	}
	rest := copy(o.segs, o.segs[i:])
	clear(o.segs[rest:])
	o.segs = o.segs[:rest]
	if n > 0 {
		o.segs[0].b = o.segs[0].b[n:]
		o.segs[0].sealed = true
	}
}

// try writes without blocking. A short count is no error. The descriptor is
// valid until closed is set under the same mutex.
func (st *stream) try(b []byte) (int, error) {
	if st.fd < 0 || st.closed {
		return 0, nil
	}
	st.wrote = true
	return netpoll.WriteFD(st.fd, b)
}

func (st *stream) failed(err error) {
	over := st.over
	st.hangUp()
	if !over {
		st.lost(err)
	}
}

// lost tells the session that its stream is gone; a probing one just goes.
func (st *stream) lost(err error) {
	if st.s.stream == st {
		st.s.endLocked(ReasonTransportClose, err)
	} else {
		st.s.probeEnded(st)
	}
}

// hangUp makes reads and writes fail. The reader then closes the connection:
// closing waits for both, and so must happen without the mutex.
func (st *stream) hangUp() {
	if st.linger != nil {
		st.linger.Stop()
	}
	st.over = true
	if st.closed || !st.begun {
		return
	}
	st.closed = true
	st.out.release()
	st.out = nil
	if st.loop != nil {
		st.endWriting()
		st.loop.Wake(st)
		return
	}
	st.conn.SetDeadline(longAgo) // an error means it is closed
}

var longAgo = time.Unix(1, 0)
