package hook

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// maxDisconnects bounds the queue.
	maxDisconnects = 10_000
	// maxPosters is how many disconnects are posted at once.
	maxPosters = 8
	// disconnectAge is how long a disconnect is tried.
	disconnectAge = 10 * time.Minute
	// firstRepeat and lastRepeat bound the pause before a disconnect is posted again.
	firstRepeat = time.Second
	lastRepeat  = 30 * time.Second
)

// disconnects are the notices that wait to be posted. Posters take the one that is due
// first; they run only while there are any.
type disconnects struct {
	client *Client
	ctx    context.Context // of the posts; ends when a shutdown has no more time
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	queue   noticeHeap
	posters int
	posting int           // notices in the hands of posters
	closed  bool          // nothing is added, and nothing waits for its time
	wake    chan struct{} // closed and replaced when the queue has changed
	empty   chan struct{} // closed by the last poster of a shutdown
}

// notice is a disconnect that waits.
type notice struct {
	id    string
	data  []byte
	born  time.Time
	due   time.Time
	tries int
}

func (d *disconnects) init(c *Client) {
	d.client = c
	d.ctx, d.cancel = context.WithCancel(context.Background()) // ended by shutdown
	d.wake, d.empty = make(chan struct{}), make(chan struct{})
}

func (d *disconnects) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue) + d.posting
}

// add queues the notice b. A full queue drops the one that has waited longest.
func (d *disconnects) add(b *body) {
	data, err := b.encode()
	if err != nil {
		d.client.counts.dropped.Add(1)
		return
	}
	d.addNotice(b.ID, data)
}

func (d *disconnects) addNotice(id string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		d.client.counts.dropped.Add(1)
		return
	}
	if len(d.queue) >= maxDisconnects {
		oldest := 0
		for i, n := range d.queue {
			if n.born.Before(d.queue[oldest].born) {
				oldest = i
			}
		}
		heap.Remove(&d.queue, oldest)
		d.client.counts.dropped.Add(1)
	}
	now := time.Now()
	d.pushLocked(&notice{id: id, data: data, born: now, due: now})
}

func (d *disconnects) pushLocked(n *notice) {
	heap.Push(&d.queue, n)
	close(d.wake)
	d.wake = make(chan struct{})
	if d.posters < maxPosters && d.posters < len(d.queue)+d.posting {
		d.posters++
		go d.run() // ends when the queue is empty; shutdown waits for it
	}
}

// run is a poster.
func (d *disconnects) run() {
	for {
		n := d.next()
		if n == nil {
			return
		}
		_, err := d.client.post(d.ctx, n.id, n.data)
		d.settle(n, err)
	}
}

// next waits for a notice that is due. nil ends the poster: nothing waits.
func (d *disconnects) next() *notice {
	for {
		d.mu.Lock()
		if len(d.queue) == 0 || d.ctx.Err() != nil {
			d.endPosterLocked()
			d.mu.Unlock()
			return nil
		}
		pause := time.Until(d.queue[0].due)
		if pause <= 0 || d.closed {
			n := heap.Pop(&d.queue).(*notice)
			d.posting++
			d.mu.Unlock()
			return n
		}
		if d.posters > 1 { // one is enough to wait
			d.endPosterLocked()
			d.mu.Unlock()
			return nil
		}
		wake := d.wake
		d.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-wake:
		case <-d.ctx.Done():
		}
		timer.Stop()
	}
}

func (d *disconnects) endPosterLocked() {
	if d.posters--; d.posters == 0 && d.closed {
		close(d.empty)
	}
}

// settle keeps a notice whose post failed for a later time.
func (d *disconnects) settle(n *notice, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.posting--
	if err == nil {
		return
	}
	n.tries++
	now := time.Now()
	if now.Sub(n.born) >= disconnectAge || d.closed {
		d.client.counts.dropped.Add(1)
		d.client.failure("disconnect", errors.Join(errGivenUp, err))
		return
	}
	n.due = now.Add(min(firstRepeat<<min(n.tries-1, 10), lastRepeat))
	d.pushLocked(n)
}

var errGivenUp = errors.New("a disconnect was given up")

func (d *disconnects) shutdown(ctx context.Context) error {
	defer d.cancel()
	d.mu.Lock()
	first := !d.closed
	d.closed = true
	if first {
		close(d.wake)
		d.wake = make(chan struct{})
		if d.posters == 0 {
			close(d.empty)
		}
	}
	d.mu.Unlock()
	select {
	case <-d.empty:
		return nil
	case <-ctx.Done():
	}
	d.cancel() // ends the posts under way
	<-d.empty
	d.mu.Lock()
	defer d.mu.Unlock()
	d.client.counts.dropped.Add(uint64(len(d.queue)))
	d.queue = nil
	return context.Cause(ctx)
}

// noticeHeap implements heap.Interface: the notice that is due first is first.
type noticeHeap []*notice

func (h noticeHeap) Len() int           { return len(h) }
func (h noticeHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h noticeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *noticeHeap) Push(x any) { *h = append(*h, x.(*notice)) }

// Pop implements heap.Interface.
func (h *noticeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}
