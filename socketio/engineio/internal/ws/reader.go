package ws

import (
	"encoding/binary"
	"time"
	"unicode/utf8"
)

// Limits bounds what a peer may send. The zero value of a field means its
// default. One Limits is shared by all connections of a server.
type Limits struct {
	// MaxMessage is the size of a whole message in bytes, after inflating;
	// default 1e6. More is ErrTooBig, on the announced length already.
	MaxMessage int
	// MaxFragments is the number of frames of one message; default 1024, or one for
	// each KiB of MaxMessage when that is more.
	MaxFragments int
	// MaxControl is the number of pings and pongs within one second that reach
	// the handler; default 10. More are dropped, ten times as many are
	// ErrControlFlood.
	MaxControl int
	// MessageTime is how long one message may take to arrive at less than slowRate
	// bytes a second; default 30 s. It is looked at when bytes arrive: a peer that
	// falls silent in the middle of a message cannot answer pings either, and so is
	// the heartbeat's business.
	MessageTime time.Duration
	// FromServer is set by clients: frames must come unmasked then.
	FromServer bool
}

const (
	// fragmentSize is the average size from which on fragments are not counted
	// against a peer (docs/reliability.md §4 row 7).
	fragmentSize = 1 << 10
	// slowRate is what keeps a message alive beyond MessageTime, in bytes a second.
	slowRate = 1 << 10
)

var defaultLimits = Limits{MaxMessage: 1e6, MaxFragments: 1024, MaxControl: 10, MessageTime: 30 * time.Second}

// withDefaults returns a copy of l in which no limit is zero.
func (l *Limits) withDefaults() *Limits {
	var c Limits
	if l != nil {
		c = *l
	}
	if c.MaxMessage <= 0 {
		c.MaxMessage = defaultLimits.MaxMessage
	}
	if c.MaxFragments <= 0 {
		c.MaxFragments = max(defaultLimits.MaxFragments, c.MaxMessage/fragmentSize)
	}
	if c.MaxControl <= 0 {
		c.MaxControl = defaultLimits.MaxControl
	}
	if c.MessageTime <= 0 {
		c.MessageTime = defaultLimits.MessageTime
	}
	return &c
}

// Handler takes what a Reader finds, in the order of the wire. Payloads are
// valid only during the call and may be changed by it. An error stops Feed.
type Handler interface {
	// Message takes one whole message; op is Text (valid UTF-8) or Binary.
	Message(op Opcode, payload []byte) error
	// Control takes one valid control frame; see AppendAnswer.
	Control(op Opcode, payload []byte) error
}

// Format is what the readers of many connections share.
type Format struct {
	limits Limits
	// wireMax is MaxMessage for compressed messages: deflate may make
	// incompressible bytes longer by its block headers.
	wireMax int
}

// NewFormat returns the format for limits (nil: defaults).
func NewFormat(l *Limits) *Format {
	c := *l.withDefaults()
	return &Format{limits: c, wireMax: c.MaxMessage + c.MaxMessage>>10 + 64}
}

// Reader parses the byte stream of one connection. It is a small value to embed
// in the connection's state; it belongs to the goroutine that reads.
type Reader struct {
	f       *Format
	part    *assembly // nil between messages
	err     error     // why the stream is over
	control window
	deflate *Deflate // nil: no compression was negotiated
}

// window counts control frames in steps of one second.
type window struct {
	start int64 // see now
	n     int32
}

// NewReader returns a reader for a connection that negotiated d, which may be nil.
func NewReader(f *Format, d *Deflate) Reader { return Reader{f: f, deflate: d} }

// epoch makes monotonic times fit into one word.
var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// Feed takes the bytes of one read and calls h for everything that is complete
// with them. It unmasks p in place; whole messages inside p reach h without a
// copy, and what is incomplete is kept for the next call, so p may be reused
// afterwards.
//
// It returns how many bytes were used: all, unless err is an error of h, in
// which case the rest of p is untouched and may be fed later. A breach of the
// protocol is an *Error, the end of the peer's stream ErrPeerClosed; both are
// final, and later calls return them again.
func (r *Reader) Feed(p []byte, h Handler) (int, error) {
	n := 0
	for n < len(p) && r.err == nil {
		used, err := r.step(p[n:], h)
		n += used
		if err != nil {
			return n, err
		}
	}
	if r.err != nil {
		r.Release()
		return len(p), r.err
	}
	return n, nil
}

// Release gives back what an incomplete message holds. The owner calls it when
// the connection ends.
func (r *Reader) Release() {
	if r.part != nil {
		r.part.release()
		r.part = nil
	}
}

// step handles one frame, or what p holds of it. Breaches are put into r.err;
// the error returned is h's.
func (r *Reader) step(p []byte, h Handler) (int, error) {
	if a := r.part; a != nil {
		if a.slow(now(), r.f.limits.MessageTime) {
			r.err = ErrSlowMessage
			return 0, nil
		}
		if a.inFrame {
			return r.payload(p, h)
		}
		if a.headLen > 0 {
			return r.gatherHeader(p, h)
		}
	}
	hd, size := parseHeader(p)
	if r.err = r.check(hd, len(p), size); r.err != nil {
		return 0, nil
	}
	if size == 0 {
		return r.gatherHeader(p, h)
	}
	if hd.length > uint64(len(p)-size) {
		r.begin(hd)
		return size, nil
	}
	end := size + int(hd.length)
	body := p[size:end:end]
	if hd.masked {
		unmask(body, hd.key)
	}
	switch {
	case hd.op.Control():
		return end, r.takeControl(hd.op, body, h)
	case hd.fin && hd.op != Continuation:
		if hd.op == Text && !hd.compressed && !utf8.Valid(body) {
			r.err = ErrUTF8
			return end, nil
		}
		return end, r.deliver(hd.op, hd.compressed, body, h)
	}
	r.begin(hd)
	if r.err = r.part.add(body, 0, r.max(r.part.compressed)); r.err != nil {
		return end, nil
	}
	return end, r.endFrame(h)
}

// header is the fixed part of a frame.
type header struct {
	length     uint64
	key        uint32
	op         Opcode
	rsv        byte
	fin        bool
	masked     bool
	compressed bool
	short      byte // the 7-bit length
}

// parseHeader reads a header from p. size is 0 when it is incomplete; the
// fields of the first two bytes are set if those are there.
func parseHeader(p []byte) (h header, size int) {
	if len(p) == 0 {
		return h, 0
	}
	h.op = Opcode(p[0] & 0x0f)
	h.rsv = p[0] & rsvBits
	h.fin = p[0]&finBit != 0
	h.compressed = p[0]&rsv1Bit != 0
	if len(p) < 2 {
		return h, 0
	}
	h.masked = p[1]&maskBit != 0
	h.short = p[1] &^ maskBit
	size = 2
	switch h.short {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	lengthEnd := size
	if h.masked {
		size += 4
	}
	if len(p) < size {
		return h, 0
	}
	switch h.short {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		h.length = binary.BigEndian.Uint64(p[2:])
	default:
		h.length = uint64(h.short)
	}
	if h.masked {
		h.key = binary.LittleEndian.Uint32(p[lengthEnd:])
	}
	return h, size
}

// check validates what is known of a header (RFC 6455 §5.2, §5.4, §5.5), of
// which n bytes are there; size is 0 when more are to come. Nothing may be
// allocated for a frame before.
func (r *Reader) check(h header, n, size int) error {
	open := r.part != nil && r.part.op != Continuation // a fragmented message is under way
	if h.rsv != 0 {
		// Only the first frame of a message carries the compression bit
		// (RFC 7692 §6.1).
		if h.rsv != rsv1Bit || r.deflate == nil || (h.op != Text && h.op != Binary) {
			return ErrReservedBits
		}
	}
	switch h.op {
	case Continuation:
		if !open {
			return ErrContinuation
		}
	case Text, Binary:
		if open {
			return ErrInterleaved
		}
	case Close, Ping, Pong:
		if !h.fin {
			return ErrControl
		}
	default:
		return ErrOpcode
	}
	if n < 2 {
		return nil
	}
	if h.masked == r.f.limits.FromServer {
		if h.masked {
			return ErrMasked
		}
		return ErrUnmasked
	}
	if h.op.Control() {
		if h.short > maxControl {
			return ErrControl
		}
		return nil
	}
	if size == 0 {
		return nil
	}
	if h.length>>63 != 0 {
		return ErrLength
	}
	have, limit := 0, r.max(h.compressed)
	if open {
		if r.part.fragments >= r.f.limits.MaxFragments {
			return ErrFragments
		}
		have, limit = r.part.size(), r.max(r.part.compressed)
	}
	if h.length > uint64(limit-have) {
		return ErrTooBig
	}
	return nil
}

// max returns how long a message may be on the wire.
func (r *Reader) max(compressed bool) int {
	if compressed {
		return r.f.wireMax
	}
	return r.f.limits.MaxMessage
}

// deliver hands one whole message to h.
func (r *Reader) deliver(op Opcode, compressed bool, body []byte, h Handler) error {
	if !compressed {
		return h.Message(op, body)
	}
	out, err := inflate(body, r.f.limits.MaxMessage, r.deflate.received)
	if err != nil {
		r.err = err
		return nil
	}
	defer out.release()
	if op == Text && !utf8.Valid(out.b) {
		r.err = ErrUTF8
		return nil
	}
	return h.Message(op, out.b)
}

// takeControl hands one control frame to h, within the limit.
func (r *Reader) takeControl(op Opcode, body []byte, h Handler) error {
	if op == Close {
		if r.err = checkClose(body); r.err != nil {
			return nil
		}
		r.err = ErrPeerClosed
		return h.Control(op, body)
	}
	if t := now(); r.control.n == 0 || t-r.control.start >= int64(time.Second) {
		r.control = window{start: t}
	}
	r.control.n++
	switch n := int(r.control.n); {
	case n > 10*r.f.limits.MaxControl:
		r.err = ErrControlFlood
		return nil
	case n > r.f.limits.MaxControl:
		return nil
	}
	return h.Control(op, body)
}
