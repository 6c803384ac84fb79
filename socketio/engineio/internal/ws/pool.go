package ws

import (
	"math/bits"
	"sync"
)

// Message buffers come in sizes of powers of two, a pool for each, so that a
// small message never pins a big buffer. Bigger ones are left to the collector.
const (
	minShift = 9  // 512 B
	maxShift = 20 // 1 MiB
)

type buffer struct{ b []byte }

var buffers [maxShift - minShift + 1]sync.Pool

// takeBuffer returns an empty buffer with room for at least n bytes. What its
// capacity holds is old: callers only append.
func takeBuffer(n int) *buffer {
	shift := max(bits.Len(uint(max(n, 1)-1)), minShift)
	if shift > maxShift {
		return &buffer{make([]byte, 0, n)}
	}
	if b, ok := buffers[shift-minShift].Get().(*buffer); ok {
		b.b = b.b[:0]
		return b
	}
	return &buffer{make([]byte, 0, 1<<shift)}
}

func (b *buffer) release() {
	shift := bits.Len(uint(cap(b.b))) - 1
	if cap(b.b) == 1<<shift && shift >= minShift && shift <= maxShift {
		buffers[shift-minShift].Put(b)
	}
}

// grow makes room for n more bytes, at least doubling, at most up to limit
// unless n needs more. It returns the buffer to go on with.
func (b *buffer) grow(n, limit int) *buffer {
	need := len(b.b) + n
	if need <= cap(b.b) {
		return b
	}
	next := takeBuffer(max(need, min(2*cap(b.b), limit)))
	next.b = append(next.b, b.b...)
	b.release()
	return next
}
