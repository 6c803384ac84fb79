package callback

import (
	"context"
	"time"

	"posthouse/internal/sleep"

	"golang.org/x/time/rate"
)

// Limits keep a flood of pushes from everything else. Zero takes the default.
type Limits struct {
	// InFlight is how many pushes are worked on at once; more are answered 503.
	// Default 256.
	InFlight int
	// PerSecond is how many signed pushes a second are let in, in bursts of
	// twice that; more wait their turn, and are answered 429 when that would
	// take over half a second. Default 200. Unsigned ones have a budget of the
	// same size for themselves, so that a forger cannot spend WeChat's; over it
	// they are answered 429 as well.
	PerSecond int
	// Upstream is how many forwarded pushes may wait for one upstream at once;
	// more are answered "success" without it. Default 32.
	Upstream int
}

// limiter is the bulkhead around the webhook.
type limiter struct {
	workSlots    chan struct{}
	silentSlots  chan struct{} // pushes left without an answer, still open
	signedRate   *rate.Limiter
	unsignedRate *rate.Limiter
}

func newLimiter(l Limits) *limiter {
	if l.InFlight <= 0 {
		l.InFlight = 256
	}
	if l.PerSecond <= 0 {
		l.PerSecond = 200
	}
	per := rate.Limit(l.PerSecond)
	return &limiter{
		workSlots:    make(chan struct{}, l.InFlight),
		silentSlots:  make(chan struct{}, 4*l.InFlight),
		signedRate:   rate.NewLimiter(per, 2*l.PerSecond),
		unsignedRate: rate.NewLimiter(per, 2*l.PerSecond),
	}
}

// queueTime is how long a signed push may wait for its turn: refusing WeChat
// counts against us, being late a little does not.
const queueTime = 500 * time.Millisecond

// waitForSlot waits until a signed push may go on; false when that takes too long.
func (g *limiter) waitForSlot(ctx context.Context) bool {
	r := g.signedRate.Reserve()
	d := r.Delay()
	if d == 0 {
		return true
	}
	if d > queueTime {
		r.Cancel()
		return false
	}
	return sleep.For(ctx, d) == nil
}

// takeSlot takes a slot without waiting; leave gives it back.
func takeSlot(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func giveSlotBack(slots chan struct{}) { <-slots }
