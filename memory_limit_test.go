package main

import (
	"testing"
	"testing/fstest"
)

func TestCgroupLimit_SmallestOfTheGroupsAround(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, test := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"no cgroup":           {fstest.MapFS{}, 0},
		"a container's own":   {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1000\n")}, 1000},
		"no limit":            {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		"a slice around it":   {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("500\n")}, 500},
		"version 1":           {fstest.MapFS{"proc/self/cgroup": file("5:memory:/x\n"), "sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("700\n")}, 700},
		"version 1, no limit": {fstest.MapFS{"proc/self/cgroup": file("5:memory:/x\n"), "sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
	} {
		if got := cgroupLimit(test.files); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
