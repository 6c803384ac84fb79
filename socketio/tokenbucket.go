package socketio

import (
	"math"
	"time"
)

// tokenBucket admits burst operations at once and perSecond of them in the long
// run. The zero value is full. It is not safe for concurrent use.
type tokenBucket struct {
	tokens float64
	last   time.Time
}

// take admits one operation, or tells how long to wait for the next one.
func (b *tokenBucket) take(perSecond float64, burst int) (wait time.Duration, ok bool) {
	now := time.Now()
	b.tokens = min(float64(burst), b.tokens+now.Sub(b.last).Seconds()*perSecond)
	b.last = now
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	seconds := (1 - b.tokens) / perSecond
	return time.Duration(math.Ceil(min(seconds, 3600)*1e3)) * time.Millisecond, false
}
