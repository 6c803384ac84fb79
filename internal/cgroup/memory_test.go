package cgroup

import (
	"testing"
	"testing/fstest"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func TestMemory_Limit_SmallestOfTheGroupsAround(t *testing.T) {
	for name, test := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"no cgroup":           {fstest.MapFS{}, 0},
		"a container's own":   {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1000\n")}, 1000},
		"no limit":            {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		"a slice around it":   {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n"), "sys/fs/cgroup/a/memory.max": file("500\n")}, 500},
		"both":                {fstest.MapFS{"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("400\n"), "sys/fs/cgroup/a/memory.max": file("500\n")}, 400},
		"version 1":           {fstest.MapFS{"proc/self/cgroup": file("5:memory:/x\n"), "sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("700\n")}, 700},
		"version 1, no limit": {fstest.MapFS{"proc/self/cgroup": file("5:memory:/x\n"), "sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("9223372036854771712\n")}, 0},
	} {
		if got := ReadMemory(test.files).Limit(); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestMemory_Share_OfTheFullestGroupWithoutFileCache(t *testing.T) {
	for name, test := range map[string]struct {
		files fstest.MapFS
		want  float64
	}{
		"no limit": {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.current": file("900\n")}, 0},
		"version 2": {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("1000\n"), "sys/fs/cgroup/memory.current": file("900\n"),
			"sys/fs/cgroup/memory.stat": file("anon 600\ninactive_file 100\nactive_file 50\nsock 20\n")}, .75},
		"version 1": {fstest.MapFS{"proc/self/cgroup": file("4:memory:/x\n"), "sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("1000\n"),
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes": file("900\n"),
			"sys/fs/cgroup/memory/x/memory.stat":           file("inactive_file 1\nactive_file 1\ntotal_inactive_file 300\ntotal_active_file 100\n")}, .5},
		"the one around it is fuller": {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("1000\n"), "sys/fs/cgroup/a/memory.current": file("250\n"),
			"sys/fs/cgroup/memory.max": file("1000\n"), "sys/fs/cgroup/memory.current": file("500\n")}, .5},
	} {
		if got := ReadMemory(test.files).Share(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
