package ws

import (
	"sync"
	"time"
)

// assembly is what a Reader holds while something is incomplete: part of a
// header, part of a payload, or the first fragments of a message.
type assembly struct {
	since int64 // when it began, see now

	// header, while !inFrame and headLen > 0
	head    [maxHeader]byte
	headLen int

	// frame, while inFrame
	inFrame bool
	frameOp Opcode
	fin     bool
	masked  bool
	key     uint32 // rotated for the next byte
	left    int    // payload bytes to come

	control    [maxControl]byte
	controlLen int

	// message, while op is not Continuation
	op         Opcode
	compressed bool
	fragments  int
	msg        *buffer // nil: no byte yet
	checked    int     // bytes of msg known to be whole runes
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

func (a *assembly) release() {
	if a.msg != nil {
		a.msg.release()
	}
	*a = assembly{}
	assemblies.Put(a)
}

// size returns how many bytes of the message are there.
func (a *assembly) size() int {
	if a.msg == nil {
		return 0
	}
	return len(a.msg.b)
}

// slow reports whether the message has taken longer than limit and came more
// slowly than slowRate.
func (a *assembly) slow(now int64, limit time.Duration) bool {
	took := time.Duration(now - a.since)
	return took > limit && float64(a.size()) < took.Seconds()*slowRate
}

func (r *Reader) assembly() *assembly {
	if r.part == nil {
		r.part = assemblies.Get().(*assembly)
		r.part.since = now()
	}
	return r.part
}

// settle gives the assembly back when nothing is incomplete any more.
func (r *Reader) settle() {
	if a := r.part; a != nil && !a.inFrame && a.headLen == 0 && a.op == Continuation {
		r.Release()
	}
}

// gatherHeader collects a header that came in pieces.
func (r *Reader) gatherHeader(p []byte, h Handler) (int, error) {
	a := r.assembly()
	used := 0
	for {
		hd, size := parseHeader(a.head[:a.headLen])
		if a.headLen > 0 {
			if r.err = r.check(hd, a.headLen, size); r.err != nil {
				return used, nil
			}
		}
		if size > 0 {
			a.headLen = 0
			r.begin(hd)
			if hd.length == 0 {
				return used, r.endFrame(h)
			}
			return used, nil
		}
		if used == len(p) {
			return used, nil
		}
		// One byte at a time: this path is for broken reads only, and so no
		// byte after the header is taken.
		a.head[a.headLen] = p[used]
		a.headLen++
		used++
	}
}

// begin opens a frame whose header was checked.
func (r *Reader) begin(hd header) {
	a := r.assembly()
	a.inFrame = true
	a.frameOp, a.fin = hd.op, hd.fin
	a.masked, a.key = hd.masked, hd.key
	a.left = int(hd.length)
	if hd.op.Control() {
		a.controlLen = 0
		return
	}
	a.fragments++
	if hd.op != Continuation {
		a.op, a.compressed = hd.op, hd.compressed
	}
}

// payload takes what p holds of the open frame's payload.
func (r *Reader) payload(p []byte, h Handler) (int, error) {
	a := r.part
	n := min(a.left, len(p))
	body := p[:n]
	if a.masked {
		a.key = unmask(body, a.key)
	}
	a.left -= n
	if a.frameOp.Control() {
		a.controlLen += copy(a.control[a.controlLen:], body)
	} else if r.err = a.add(body, a.left, r.max(a.compressed)); r.err != nil {
		return n, nil
	}
	if a.left > 0 {
		return n, nil
	}
	return n, r.endFrame(h)
}

// add appends bytes of the message and checks its text as far as it goes. left
// more bytes of the frame are announced; they are a hint for the size, never a
// reason to allocate.
func (a *assembly) add(body []byte, left, limit int) error {
	if len(body) > 0 {
		if a.msg == nil {
			a.msg = takeBuffer(len(body))
		}
		if a.fin {
			limit = len(a.msg.b) + len(body) + left
		}
		a.msg = a.msg.grow(len(body), limit)
		a.msg.b = append(a.msg.b, body...)
	}
	if a.op != Text || a.compressed || a.msg == nil {
		return nil
	}
	n, ok := validPrefix(a.msg.b[a.checked:])
	a.checked += n
	if !ok {
		return ErrUTF8
	}
	return nil
}

// endFrame closes the open frame and hands over what it completes.
func (r *Reader) endFrame(h Handler) error {
	a := r.part
	a.inFrame = false
	if a.frameOp.Control() {
		err := r.takeControl(a.frameOp, a.control[:a.controlLen:a.controlLen], h)
		r.settle()
		return err
	}
	if !a.fin {
		return nil
	}
	var body []byte
	if a.msg != nil {
		body = a.msg.b
	}
	op, compressed := a.op, a.compressed
	if op == Text && !compressed && a.checked != len(body) {
		r.err = ErrUTF8 // the last rune never ended
		return nil
	}
	err := r.deliver(op, compressed, body, h)
	r.Release()
	return err
}
