package adapter

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
	// steady is how long something must have worked for its next failure to
	// count as the first.
	steady = 5 * time.Second
)

// backoff spaces out attempts that fail: 50 ms doubling up to 2 s, each with
// jitter, so that replicas that lost Redis together do not return together.
type backoff struct{ nextPause time.Duration }

func (b *backoff) reset() { b.nextPause = 0 }

// wait sleeps for the next pause. It reports false when ctx ended meanwhile.
func (b *backoff) wait(ctx context.Context) bool { return b.waitOr(ctx, nil) }

// waitOr is wait that ends early when hurry is closed.
func (b *backoff) waitOr(ctx context.Context, hurry <-chan struct{}) bool {
	b.nextPause = min(max(2*b.nextPause, backoffMin), backoffMax)
	t := time.NewTimer(b.nextPause/2 + rand.N(b.nextPause/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-hurry:
		return true
	case <-ctx.Done():
		return false
	}
}
