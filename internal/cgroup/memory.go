// Package cgroup reads the memory limits of the process's control groups, versions 1 and 2.
package cgroup

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// Memory is the groups with a memory limit that hold the process: its own and those around it.
type Memory struct {
	root   fs.FS
	groups []group
}

// group is one group with a limit.
type group struct {
	limit int64
	usage string // the file with the bytes in use
	stat  string // the file that says which of them are file cache
}

// version is where a version of control groups keeps its numbers.
type version struct{ dir, limit, usage string }

var versions = map[string]version{
	"":       {dir: "sys/fs/cgroup", limit: "memory.max", usage: "memory.current"},
	"memory": {dir: "sys/fs/cgroup/memory", limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes"},
}

// ReadMemory finds the groups below root, which is the root directory of the system. Without
// a limit the result has none.
func ReadMemory(root fs.FS) *Memory {
	m := &Memory{root: root}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		v, known := versions[fields[1]]
		if !known {
			continue
		}
		for name := path.Clean("/" + fields[2]); ; name = path.Dir(name) {
			dir := path.Join(v.dir, name)
			// A container does not see the groups around it. Version 1 writes "none" as a number of pages.
			if n := m.number(path.Join(dir, v.limit)); n > 0 && n <= math.MaxInt64/2 {
				m.groups = append(m.groups, group{limit: n, usage: path.Join(dir, v.usage), stat: path.Join(dir, "memory.stat")})
			}
			if name == "/" {
				break
			}
		}
	}
	return m
}

// Limit is the smallest limit of the groups; 0 without one.
func (m *Memory) Limit() (smallest int64) {
	for _, g := range m.groups {
		if smallest == 0 || g.limit < smallest {
			smallest = g.limit
		}
	}
	return smallest
}

// Share is how full the fullest group is: 1 is the limit, at which the kernel kills. Pages of
// files do not count, because the kernel drops them by itself; sockets' buffers do. 0 without a limit.
func (m *Memory) Share() (share float64) {
	for _, g := range m.groups {
		share = max(share, float64(m.number(g.usage)-m.fileCache(g.stat))/float64(g.limit))
	}
	return share
}

// number reads a file that holds one number; 0 for another one.
func (m *Memory) number(file string) int64 {
	text, _ := fs.ReadFile(m.root, file)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// fileCache is the bytes of a group, and of the groups in it, that are pages of files.
func (m *Memory) fileCache(stat string) int64 {
	text, _ := fs.ReadFile(m.root, stat)
	own, whole, isWhole := int64(0), int64(0), false
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch name {
		case "active_file", "inactive_file": // version 2: with the groups in it
			own += n
		case "total_active_file", "total_inactive_file": // version 1, whose plain names leave those out
			whole, isWhole = whole+n, true
		}
	}
	if isWhole {
		return whole
	}
	return own
}
