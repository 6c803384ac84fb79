package engineio

import "sync"

// queue holds the packets that wait while a session polls. It knows nothing of
// the wire, so that an upgrade can send what is left over the new transport.
type queue struct {
	items []item
	data  []byte   // of the items without a frame
	size  int      // bytes of data, shared frames included
	after []func() // AfterFlush callbacks for what is in here
}

// item is one waiting packet.
type item struct {
	frame      *Frame // a shared message; nil: queue.data[off:off+n]
	off, n     int
	typ        packetType
	binary     bool
	noCompress bool
}

var queues = sync.Pool{New: func() any { return new(queue) }}

func takeQueue() *queue { return queues.Get().(*queue) }

func (q *queue) release() {
	if q == nil || cap(q.data) > bufferKeep || cap(q.items) > 1024 {
		return
	}
	clear(q.items)
	clear(q.after)
	*q = queue{items: q.items[:0], data: q.data[:0], after: q.after[:0]}
	queues.Put(q)
}

// itemSize is what a packet costs beside its data, about.
const itemSize = 64

// waiting returns the bytes that q holds, the cost of its packets included: many
// small ones must not escape a limit of bytes.
func (q *queue) waiting() int {
	if q == nil {
		return 0
	}
	return q.size + itemSize*len(q.items)
}

func (q *queue) empty() bool { return q == nil || len(q.items) == 0 }

func (q *queue) addFrame(f *Frame) {
	q.items = append(q.items, item{frame: f, typ: packetMessage, binary: f.msg.Binary, noCompress: f.noCompress})
	q.size += len(f.msg.Data)
}

// add copies data.
func (q *queue) add(t packetType, binary bool, data []byte) {
	q.items = append(q.items, item{off: len(q.data), n: len(data), typ: t, binary: binary})
	q.data = append(q.data, data...)
	q.size += len(data)
}

// bytes returns the data of item i.
func (q *queue) bytes(i int) []byte {
	it := &q.items[i]
	if it.frame != nil {
		return it.frame.msg.Data
	}
	return q.data[it.off : it.off+it.n]
}

// hasBinary reports whether any packet is a binary message.
func (q *queue) hasBinary() bool {
	for i := range q.items {
		if q.items[i].binary {
			return true
		}
	}
	return false
}

// wantsCompression reports whether any packet lets the answer be compressed.
func (q *queue) wantsCompression() bool {
	for i := range q.items {
		if !q.items[i].noCompress {
			return true
		}
	}
	return false
}
