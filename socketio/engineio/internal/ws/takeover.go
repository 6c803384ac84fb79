package ws

import (
	"math/bits"
	"strconv"

	"github.com/klauspost/compress/flate"
)

// The lengths of a history. A compressor without a state of its own reads no longer one;
// zlib has no shorter window.
const (
	MinHistory = 1 << 9
	MaxHistory = 1 << 13
)

// history is the context that one direction of a connection keeps (RFC 7692 §7.1.1): the
// end of what its compressed messages inflate to. It is all that compressor and
// decompressor need, so both come out of pools as they do without a context. nil means
// that each message stands alone.
type history struct {
	size int // bytes kept
	last []byte
}

// add takes a message that was sent or received compressed.
func (h *history) add(message []byte) {
	if h == nil {
		return
	}
	if h.last == nil {
		h.last = make([]byte, 0, h.size)
	}
	message = message[max(0, len(message)-h.size):]
	kept := min(len(h.last), h.size-len(message))
	copy(h.last, h.last[len(h.last)-kept:])
	h.last = append(h.last[:kept], message...)
}

// before returns the context of the bytes that follow message, the beginning of one.
func (h *history) before(message []byte) []byte {
	switch {
	case h == nil || len(h.last) == 0:
		return message
	case len(message) == 0:
		return h.last
	}
	return append(h.last[:len(h.last):len(h.last)], message...)
}

// within returns what a message of n bytes may refer to in a window of that size. The
// message itself fits into the window.
func (h *history) within(window, n int) []byte {
	return h.last[max(0, len(h.last)-(window-n)):]
}

// appendReferring appends the frame of a message that refers to those before it.
func (d *Deflate) appendReferring(dst []byte, op Opcode, payload []byte) []byte {
	buf := takeBuffer(len(payload)/2 + 16)
	out := collector{buf.b}
	past := d.sent.last
	if d.window < fullWindow {
		past = d.sent.within(d.window, len(payload))
	}
	flate.StatelessDeflate(&out, payload, false, past) //nolint:errcheck // collector.Write never fails
	dst = appendCompressed(dst, op, out.b)
	buf.b = out.b
	buf.release()
	return dst
}

// collector is the writer that keeps everything.
type collector struct{ b []byte }

func (c *collector) Write(p []byte) (int, error) {
	c.b = append(c.b, p...)
	return len(p), nil
}

// takeOver adds what the answer to an offer says about contexts. size is
// DeflateOptions.History.
func (d *Deflate) takeOver(size int, offered *offer) (answer string) {
	if size == 0 || offered.serverAlone {
		answer = "; server_no_context_takeover"
	} else {
		d.sent = &history{size: size}
	}
	// The client's window has to be ours, because older bytes are gone.
	if size == 0 || offered.clientAlone || offered.clientWindow == 0 {
		return answer + "; client_no_context_takeover"
	}
	d.received = &history{size: min(size, offered.clientWindow)}
	return answer + "; client_max_window_bits=" + strconv.Itoa(bits.Len(uint(d.received.size))-1)
}
