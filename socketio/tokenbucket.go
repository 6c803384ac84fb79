package socketio

import (
	"math"
	"time"
)

// tokenBucket admits burst operations at once and perSecond of them in the long
// run. The zero value is full. It is not safe for concurrent use.
type tokenBucket struct {
	tokensLeft float64
	refilledAt time.Time
}

// takeToken admits one operation, or tells how long to wait for the next one.
func (b *tokenBucket) takeToken(perSecond float64, burst int) (wait time.Duration, ok bool) {
	now := time.Now()
	b.tokensLeft = min(float64(burst), b.tokensLeft+now.Sub(b.refilledAt).Seconds()*perSecond)
	b.refilledAt = now
	if b.tokensLeft >= 1 {
		b.tokensLeft--
		return 0, true
	}
	seconds := (1 - b.tokensLeft) / perSecond
	return time.Duration(math.Ceil(min(seconds, 3600)*1e3)) * time.Millisecond, false
}
