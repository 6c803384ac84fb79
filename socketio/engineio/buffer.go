package engineio

import "sync"

const (
	bufferStart = 4 << 10
	bufferKeep  = 64 << 10 // bigger ones are left to the collector
)

// buffer is a pooled byte slice. The pool holds pointers, so that giving one
// back does not allocate.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, bufferStart)} }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	if cap(b.b) > bufferKeep {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}
