package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory makes the garbage collector stay below 80 % of what the cgroup allows: the
// rest is for buffers of the kernel and what grows between two collections. GOMEMLIMIT wins.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := cgroupLimit(os.DirFS("/")); limit > 0 {
		debug.SetMemoryLimit(limit / 5 * 4)
	}
}

// cgroupLimit is the smallest memory limit of the process's cgroup and those around it;
// 0 without one.
func cgroupLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	smallest := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		dir, file := "sys/fs/cgroup", "memory.max"
		switch fields[1] {
		case "":
		case "memory": // version 1
			dir, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			text, _ := fs.ReadFile(root, path.Join(dir, group, file)) // a container does not see the groups around it
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
				smallest = min(smallest, n)
			}
			if group == "/" {
				break
			}
		}
	}
	if smallest > math.MaxInt64/2 { // version 1 writes "none" as a number of pages
		return 0
	}
	return smallest
}
