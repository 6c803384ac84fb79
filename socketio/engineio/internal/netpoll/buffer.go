package netpoll

import "sync"

// readSize is how much one read may give.
const readSize = 64 << 10

// ReadBuffer is where the bytes of one read lie while they are handled. Buffers
// come from a pool, so that connections hold one only during a read.
type ReadBuffer [readSize]byte

var readBuffers = sync.Pool{New: func() any { return new(ReadBuffer) }}

// TakeReadBuffer takes a buffer out of the pool.
func TakeReadBuffer() *ReadBuffer { return readBuffers.Get().(*ReadBuffer) }

// Release gives b back to the pool.
func (b *ReadBuffer) Release() { readBuffers.Put(b) }
