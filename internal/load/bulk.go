package load

import (
	"context"
	"time"
)

// Bulk is work that a server finds waiting for it: requests are written while its process
// is stopped, and the clock runs from the moment it goes on until the last answer has reached
// its client's kernel. Meanwhile this process sleeps and looks, so that the server has
// all its cores to itself; answers are read, or dropped in the kernel, between the rounds.
type Bulk struct {
	Name string
	// Run returns what one round took, after some that warm the server up.
	Run func(ctx context.Context, l Load, t *Target) (BulkCost, error)
}

// BulkCost is what the rounds of a Bulk took.
type BulkCost struct {
	Operations int
	Wall, CPU  time.Duration
}
