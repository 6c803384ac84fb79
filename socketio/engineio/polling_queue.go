package engineio

import "sync"

// queue holds the packets that wait while a session polls. It knows nothing of
// the wire, so that an upgrade can send what is left over the new transport.
type queue struct {
	queuedItems []item
	ownBytes    []byte   // of the items without a frame
	totalBytes  int      // bytes of data, shared frames included
	afterFlush  []func() // AfterFlush callbacks for what is in here
}

// item is one waiting packet.
type item struct {
	frame                  *Frame // a shared message; nil: queue.data[off:off+n]
	dataOffset, dataLength int
	packetType             packetType
	binary                 bool
	noCompress             bool
}

var queues = sync.Pool{New: func() any { return new(queue) }}

func takeQueue() *queue { return queues.Get().(*queue) }

func (q *queue) release() {
	if q == nil || cap(q.ownBytes) > bufferKeep || cap(q.queuedItems) > 1024 {
		return
	}
	clear(q.queuedItems)
	clear(q.afterFlush)
	*q = queue{queuedItems: q.queuedItems[:0], ownBytes: q.ownBytes[:0], afterFlush: q.afterFlush[:0]}
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
	return q.totalBytes + itemSize*len(q.queuedItems)
}

func (q *queue) empty() bool { return q == nil || len(q.queuedItems) == 0 }

func (q *queue) addFrame(f *Frame) {
	q.queuedItems = append(q.queuedItems, item{frame: f, packetType: packetMessage, binary: f.message.Binary, noCompress: f.noCompress})
	q.totalBytes += len(f.message.Data)
}

// add copies data.
func (q *queue) add(t packetType, binary bool, data []byte) {
	q.queuedItems = append(q.queuedItems, item{dataOffset: len(q.ownBytes), dataLength: len(data), packetType: t, binary: binary})
	q.ownBytes = append(q.ownBytes, data...)
	q.totalBytes += len(data)
}

// bytes returns the data of item i.
func (q *queue) bytes(i int) []byte {
	it := &q.queuedItems[i]
	if it.frame != nil {
		return it.frame.message.Data
	}
	return q.ownBytes[it.dataOffset : it.dataOffset+it.dataLength]
}

// hasBinary reports whether any packet is a binary message.
func (q *queue) hasBinary() bool {
	for i := range q.queuedItems {
		if q.queuedItems[i].binary {
			return true
		}
	}
	return false
}

// wantsCompression reports whether any packet lets the answer be compressed.
func (q *queue) wantsCompression() bool {
	for i := range q.queuedItems {
		if !q.queuedItems[i].noCompress {
			return true
		}
	}
	return false
}
