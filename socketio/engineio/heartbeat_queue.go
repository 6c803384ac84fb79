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

	pingQueue       heartbeatQueue // the next ping of the server
	pongQueue       heartbeatQueue // the answer to it
	clientPingQueue heartbeatQueue // the next ping of a revision 3 client
}

// heartbeatQueue lists sessions in the order of their deadlines.
type heartbeatQueue struct {
	allQueues                 *heartbeatQueues
	delay                     time.Duration
	slack                     time.Duration // those that are due so soon need no wake-up of their own
	firstSession, lastSession *Session
	wakeTimer                 *time.Timer // runs while there are entries; nil before the first
}

// heartbeatEntry is a session's entry.
type heartbeatEntry struct {
	queue                        *heartbeatQueue // nil: none
	nextSession, previousSession *Session
	dueAt                        int64 // ns since epoch
}

// pingSlack is the part of the ping interval by which a ping may come early, so
// that it can share a wake-up: waking up costs as much as a ping.
const pingSlack = 16

// epoch makes monotonic times fit into one word.
var epoch = time.Now()

func (d *heartbeatQueues) init(interval, timeout time.Duration) {
	d.pingQueue = heartbeatQueue{allQueues: d, delay: interval, slack: interval / pingSlack}
	d.pongQueue = heartbeatQueue{allQueues: d, delay: timeout}
	d.clientPingQueue = heartbeatQueue{allQueues: d, delay: interval + timeout}
}

// set gives s the deadline of q, counted from now, instead of the one it has.
func (q *heartbeatQueue) set(s *Session) {
	q.allQueues.mu.Lock()
	defer q.allQueues.mu.Unlock()
	q.allQueues.removeLocked(s)
	e := &s.beat
	e.queue, e.dueAt = q, int64(time.Since(epoch)+q.delay)
	e.previousSession = q.lastSession
	if q.lastSession != nil {
		q.lastSession.beat.nextSession = s
	} else {
		q.firstSession = s
		q.wakeIn(q.delay)
	}
	q.lastSession = s
}

func (q *heartbeatQueue) wakeIn(d time.Duration) {
	if q.wakeTimer == nil {
		q.wakeTimer = time.AfterFunc(d, q.fire)
	} else {
		q.wakeTimer.Reset(d)
	}
}

func (d *heartbeatQueues) remove(s *Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removeLocked(s)
}

func (d *heartbeatQueues) removeLocked(s *Session) {
	e := &s.beat
	q := e.queue
	if q == nil {
		return
	}
	if e.previousSession != nil {
		e.previousSession.beat.nextSession = e.nextSession
	} else {
		q.firstSession = e.nextSession
	}
	if e.nextSession != nil {
		e.nextSession.beat.previousSession = e.previousSession
	} else {
		q.lastSession = e.previousSession
	}
	*e = heartbeatEntry{}
	if q.firstSession == nil {
		q.wakeTimer.Stop()
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
	q.allQueues.mu.Lock()
	defer q.allQueues.mu.Unlock()
	now := int64(time.Since(epoch))
	if q.firstSession != nil && q.firstSession.beat.dueAt <= now {
		for q.firstSession != nil && q.firstSession.beat.dueAt <= now+int64(q.slack) {
			due = append(due, q.firstSession)
			q.allQueues.removeLocked(q.firstSession)
		}
	}
	if q.firstSession != nil {
		q.wakeIn(time.Duration(q.firstSession.beat.dueAt - now))
	}
	return due
}
