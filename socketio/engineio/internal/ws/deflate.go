package ws

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Deflate is what a connection negotiated for permessage-deflate (RFC 7692); nil means no
// compression. Without a history nothing is kept between messages in either direction,
// so that an idle connection costs nothing.
type Deflate struct {
	threshold int
	level     int
	window    int // longest message we compress: 1 << server_max_window_bits

	sent     *history // owned by the writer of the frames, in their order
	received *history // owned by the Reader
}

const fullWindow = 1 << 15

// fits reports whether messages of n bytes are compressed. The writer's window
// is always 32 KiB; a peer that asked for a smaller one gets only messages
// compressed that fit into it as a whole, so that no distance can exceed it.
func (d *Deflate) fits(n int) bool {
	return n >= d.threshold && (d.window >= fullWindow || n <= d.window)
}

// AppendMessage appends the frame of one whole message for a connection that
// negotiated d (which may be nil), compressed if that is worth it.
func (d *Deflate) AppendMessage(dst []byte, op Opcode, payload []byte) []byte {
	if d == nil || !d.fits(len(payload)) {
		return AppendFrame(dst, op, payload)
	}
	start := len(dst)
	if d.sent != nil {
		dst = d.appendReferring(dst, op, payload)
	} else {
		dst = appendDeflated(dst, op, payload, d.level)
	}
	if len(dst)-start >= HeaderSize(len(payload))+len(payload) {
		return AppendFrame(dst[:start], op, payload)
	}
	d.sent.add(payload)
	return dst
}

// deflator is a pooled compressor; it is big (up to 1.2 MB), so no connection
// keeps one.
type deflator struct {
	w     *flate.Writer
	out   []byte
	level int
}

func (d *deflator) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

var deflators [flate.BestCompression + 1]sync.Pool

func appendDeflated(dst []byte, op Opcode, payload []byte, level int) []byte {
	d, ok := deflators[level].Get().(*deflator)
	if !ok {
		d = &deflator{level: level}
		d.w, _ = flate.NewWriter(d, level) // negotiate saw to a valid level
	}
	buf := takeBuffer(len(payload)/2 + 16)
	d.out = buf.b
	d.w.Reset(d)
	d.w.Write(payload) //nolint:errcheck // d.Write never fails
	d.w.Flush()        //nolint:errcheck // likewise
	dst = appendCompressed(dst, op, d.out)
	buf.b, d.out = d.out, nil
	buf.release()
	deflators[level].Put(d)
	return dst
}

// appendCompressed appends the frame of a message that was compressed and flushed. A
// flush ends in an empty stored block, which is not sent (RFC 7692 §7.2.1).
func appendCompressed(dst []byte, op Opcode, flushed []byte) []byte {
	body := flushed[:len(flushed)-len(flushTail)]
	dst = appendHeader(dst, finBit|rsv1Bit|byte(op), 0, len(body))
	return append(dst, body...)
}

const (
	maxFinalBlocks = 8

	flushTail = "\x00\x00\xff\xff"
	// finalBlock ends the stream for Go's reader: an empty final stored block.
	finalBlock = "\x01\x00\x00\xff\xff"
)

// inflator is a pooled decompressor with its own input.
type inflator struct {
	r    io.ReadCloser // also a flate.Resetter
	in   bytes.Reader
	tail int // bytes of flushTail+finalBlock that were read
}

// Read and ReadByte give the message and then the tail, without joining them.
func (i *inflator) Read(p []byte) (int, error) {
	if i.in.Len() > 0 {
		return i.in.Read(p)
	}
	n := copy(p, (flushTail + finalBlock)[i.tail:])
	i.tail += n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (i *inflator) ReadByte() (byte, error) {
	if i.in.Len() > 0 {
		return i.in.ReadByte()
	}
	if i.tail == len(flushTail+finalBlock) {
		return 0, io.EOF
	}
	b := (flushTail + finalBlock)[i.tail]
	i.tail++
	return b, nil
}

var inflators = sync.Pool{New: func() any {
	i := new(inflator)
	i.r = flate.NewReader(i)
	return i
}}

// inflate returns the message that body holds, in a buffer the caller releases.
// It stops once that is longer than limit. past is what the message may refer to.
func inflate(body []byte, limit int, past *history) (*buffer, error) {
	i := inflators.Get().(*inflator)
	i.in.Reset(body)
	i.tail = 0
	err := i.r.(flate.Resetter).Reset(i, past.before(nil))
	out := takeBuffer(min(4*len(body), limit+1))
	for ends := 0; err == nil && len(out.b) <= limit; {
		out = out.grow(1, limit+1)
		var n int
		n, err = i.r.Read(out.b[len(out.b):cap(out.b)])
		out.b = out.b[:len(out.b)+n]
		if errors.Is(err, io.EOF) && i.in.Len() > 0 {
			// A block marked final does not end the message (RFC 7692 §7.2.3.4).
			// No client needs many of them, and each costs a reset.
			if ends++; ends <= maxFinalBlocks {
				err = i.r.(flate.Resetter).Reset(i, past.before(out.b))
			} else {
				err = ErrDeflate
			}
		}
	}
	i.in.Reset(nil)
	inflators.Put(i)
	switch {
	case len(out.b) > limit:
		out.release()
		return nil, ErrTooBig
	case !errors.Is(err, io.EOF):
		out.release()
		return nil, ErrDeflate
	}
	past.add(out.b)
	return out, nil
}
