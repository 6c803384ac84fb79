package auth

import (
	"container/heap"
	"sync"
	"time"
)

// agenda holds the sockets by the time of their next step, with one timer for all.
type agenda struct {
	mu     sync.Mutex // guards the fields below and those of the admissions
	queue  dueQueue
	timer  *time.Timer // set for wake
	wake   time.Time   // zero: the timer does not run
	recent recentRevocations
	closed bool
}

// longestSleep bounds the timer: a far expiry must not overflow, and a clock that was
// set is noticed.
const longestSleep = time.Hour

// add puts a socket on the agenda; false when its token was revoked meanwhile, or the
// agenda is closed.
func (g *agenda) add(a *admission) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.recent.hits(a.token.Load(), a.began) {
		return false
	}
	a.due, a.warned = a.token.Load().Expires, false
	heap.Push(&g.queue, a)
	g.arm()
	return true
}

// renew gives a socket a fresh token; false when it has ended, or the token was
// revoked since began.
func (g *agenda) renew(a *admission, t *Token, began time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || a.place < 0 || g.recent.hits(t, began) {
		return false
	}
	a.token.Store(t)
	a.due, a.warned = t.Expires, false
	heap.Fix(&g.queue, a.place)
	g.arm()
	return true
}

// remove takes a socket off the agenda.
func (g *agenda) remove(a *admission) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.place >= 0 {
		heap.Remove(&g.queue, a.place)
		g.arm()
	}
}

// take removes and returns the sockets whose token matches.
func (g *agenda) take(match func(*Token) bool) []*admission {
	g.mu.Lock()
	defer g.mu.Unlock()
	var taken []*admission
	for _, a := range g.queue {
		if match(a.token.Load()) {
			taken = append(taken, a)
		}
	}
	for _, a := range taken {
		heap.Remove(&g.queue, a.place)
	}
	g.arm()
	return taken
}

// arm sets the timer for the first socket; the caller holds mu.
func (g *agenda) arm() {
	if len(g.queue) == 0 {
		if g.timer != nil {
			g.timer.Stop()
		}
		g.wake = time.Time{}
		return
	}
	first := g.queue[0].due
	if g.wake.Equal(first) {
		return
	}
	g.wake = first
	sleep := min(max(time.Until(first), 0), longestSleep)
	if g.timer == nil {
		g.timer = time.AfterFunc(sleep, g.run)
		return
	}
	g.timer.Reset(sleep)
}

// run does what is due. Sockets are told without the lock: that calls listeners.
func (g *agenda) run() {
	var warned, ended []*admission
	g.mu.Lock()
	now := time.Now()
	for !g.closed && len(g.queue) > 0 && !now.Before(g.queue[0].due) {
		a := g.queue[0]
		if a.warned {
			heap.Pop(&g.queue)
			ended = append(ended, a)
			continue
		}
		a.warned, a.due = true, now.Add(expiryGrace)
		heap.Fix(&g.queue, 0)
		warned = append(warned, a)
	}
	g.wake = time.Time{}
	g.arm()
	g.mu.Unlock()
	for _, a := range warned {
		_ = a.socket.Emit("expired") // a socket that has just gone needs no warning
	}
	for _, a := range ended {
		a.socket.Disconnect(false)
	}
}

func (g *agenda) isClosed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}

func (g *agenda) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, a := range g.queue {
		a.place = -1
	}
	g.queue = nil
	g.arm()
}

// dueQueue is a heap.Interface of admissions, the first due at its top.
type dueQueue []*admission

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) {
	a := x.(*admission)
	a.place = len(*q)
	*q = append(*q, a)
}

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.place = -1
	return a
}
