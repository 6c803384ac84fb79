// Package sleep waits, as time.Sleep does, and no longer than a context lives.
package sleep

import (
	"context"
	"time"
)

// For returns nil after d, or the cause of the end of ctx when that comes first.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
