package admin

import (
	"sync"
	"time"
)

// budget is a token bucket of one second's worth. A fifth of it is kept for sockets and
// rooms, of which the lists of the page are made: events are the first to be dropped.
type budget struct {
	perSecond int

	mu         sync.Mutex // guards what follows
	tokens     float64
	refilledAt time.Time
}

// take admits a message. The zero time makes the first call find a full bucket.
func (b *budget) take(isEvent bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	full := float64(b.perSecond)
	b.tokens = min(full, b.tokens+now.Sub(b.refilledAt).Seconds()*full)
	b.refilledAt = now
	least := 1.0
	if isEvent {
		least += full / 5
	}
	if b.tokens < least {
		return false
	}
	b.tokens--
	return true
}
