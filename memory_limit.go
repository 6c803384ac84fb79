package main

import (
	"os"
	"runtime/debug"

	"posthouse/internal/cgroup"
)

// limitMemory makes the garbage collector stay below 80 % of what the cgroup allows: the
// rest is for buffers of the kernel and what grows between two collections. GOMEMLIMIT wins.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := cgroup.ReadMemory(os.DirFS("/")).Limit(); limit > 0 {
		debug.SetMemoryLimit(limit / 5 * 4)
	}
}
