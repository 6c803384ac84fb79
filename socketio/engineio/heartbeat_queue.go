package engineio

import (
	"sync"
	"time"
)

// heartbeatQueues are those of all heartbeats of a server. Every delay has a queue of
// its own, in which the order of the entries is that of their heartbeatQueues: adding
// and removing take the same short time for any number of sessions, and one timer
// serves them all.
type heartbeatQueues struct {
	mu sync.Mutex // guards the queues and the entries; taken after Session.mu

	ping  heartbeatQueue // the next ping of the server
	pong  heartbeatQueue // the answer to it
	ping3 heartbeatQueue // the next ping of a revision 3 client
}

// heartbeatQueue lists sessions in the order of their deadlines.
type heartbeatQueue struct {
	of          *heartbeatQueues
	delay       time.Duration
	slack       time.Duration // those that are due so soon need no wake-up of their own
	first, last *Session
	timer       *time.Timer // runs while there are entries; nil before the first
}

// heartbeatEntry is a session's entry.
type heartbeatEntry struct {
	queue      *heartbeatQueue // nil: none
	next, prev *Session
	due        int64 // ns since epoch
}

// pingSlack is the part of the ping interval by which a ping may come early, so
// that it can share a wake-up: waking up costs as much as a ping.
const pingSlack = 16

// epoch makes monotonic times fit into one word.
var epoch = time.Now()

func (d *heartbeatQueues) init(interval, timeout time.Duration) {
	d.ping = heartbeatQueue{of: d, delay: interval, slack: interval / pingSlack}
	d.pong = heartbeatQueue{of: d, delay: timeout}
	d.ping3 = heartbeatQueue{of: d, delay: interval + timeout}
}

// set gives s the deadline of q, counted from now, instead of the one it has.
func (q *heartbeatQueue) set(s *Session) {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	q.of.removeLocked(s)
	e := &s.beat.heartbeatEntry
	e.queue, e.due = q, int64(time.Since(epoch)+q.delay)
	e.prev = q.last
	if q.last != nil {
		q.last.beat.next = s
	} else {
		q.first = s
		q.wakeIn(q.delay)
	}
	q.last = s
}

func (q *heartbeatQueue) wakeIn(d time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.fire)
	} else {
		q.timer.Reset(d)
	}
}

func (d *heartbeatQueues) remove(s *Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeLocked(s)
}

func (d *heartbeatQueues) removeLocked(s *Session) {
	e := &s.beat.heartbeatEntry
	q := e.queue
	if q == nil {
		return
	}
	if e.prev != nil {
		e.prev.beat.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.beat.prev = e.prev
	} else {
		q.last = e.prev
	}
	*e = heartbeatEntry{}
	if q.first == nil {
		q.timer.Stop()
	}
}

// pending reports whether s has a deadline.
func (d *heartbeatQueues) pending(s *Session) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.beat.queue != nil
}

// fire is the timer's function. It may find nothing due, because removing leaves
// the timer as it is.
func (q *heartbeatQueue) fire() {
	for _, s := range q.takeDue() {
		s.tick()
	}
}

func (q *heartbeatQueue) takeDue() (due []*Session) {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	now := int64(time.Since(epoch))
	if q.first != nil && q.first.beat.due <= now {
		for q.first != nil && q.first.beat.due <= now+int64(q.slack) {
			due = append(due, q.first)
			q.of.removeLocked(q.first)
		}
	}
	if q.first != nil {
		q.wakeIn(time.Duration(q.first.beat.due - now))
	}
	return due
}
