package gateway

import (
	"maps"
	"slices"
	"sync"
	"time"

	"posthouse/internal/login"
)

// loginAttempts are those of this replica by ticket.
type loginAttempts struct {
	mu            sync.Mutex // guards what follows
	openAttempts  map[string]*loginAttempt
	pollQueue     []string             // still to be polled in this round
	orphanTickets map[string]time.Time // tickets whose browser left: when their end is to be counted
}

// maxOrphans bounds what is remembered only to count why attempts end.
const maxOrphans = 20_000

func newAttempts() loginAttempts {
	return loginAttempts{openAttempts: map[string]*loginAttempt{}, orphanTickets: map[string]time.Time{}}
}

func (as *loginAttempts) find(id string) *loginAttempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.openAttempts[id]
}

// add makes a the attempt of its ticket, and returns the one it takes the place of.
func (as *loginAttempts) add(a *loginAttempt) (old *loginAttempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	old = as.openAttempts[a.ticket.ID]
	as.openAttempts[a.ticket.ID] = a
	delete(as.orphanTickets, a.ticket.ID)
	return old
}

// drop forgets a; false when it was not (any more) the attempt of its ticket.
func (as *loginAttempts) drop(a *loginAttempt) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.openAttempts[a.ticket.ID] != a {
		return false
	}
	delete(as.openAttempts, a.ticket.ID)
	return true
}

// addOrphan remembers that no socket watches over a's ticket any more.
func (as *loginAttempts) addOrphan(a *loginAttempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.orphanTickets) < maxOrphans {
		as.orphanTickets[a.ticket.ID] = time.Now().Add(a.timeLeft() + login.Grace + time.Second)
	}
}

// nextToPoll returns the attempts to poll now: all of them, or the next part of very many.
func (as *loginAttempts) nextToPoll(n int) []*loginAttempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.pollQueue) == 0 {
		as.pollQueue = slices.AppendSeq(as.pollQueue[:0], maps.Keys(as.openAttempts))
	}
	n = min(n, len(as.pollQueue))
	some := make([]*loginAttempt, 0, n)
	for _, id := range as.pollQueue[:n] {
		if a := as.openAttempts[id]; a != nil {
			some = append(some, a)
		}
	}
	as.pollQueue = as.pollQueue[n:]
	return some
}

// roundUnfinished reports whether a round of polls is not through.
func (as *loginAttempts) roundUnfinished() bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return len(as.pollQueue) > 0
}

// dueOrphans returns orphans whose time is over, and forgets them.
func (as *loginAttempts) dueOrphans(now time.Time) (ids []string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for id, at := range as.orphanTickets {
		if now.After(at) && len(ids) < 256 {
			ids = append(ids, id)
			delete(as.orphanTickets, id)
		}
	}
	return ids
}
