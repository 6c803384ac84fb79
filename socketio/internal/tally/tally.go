// Package tally counts on many cores at once: each value is a sum over cache lines, so
// that cores which count the same thing write different memory.
package tally

import (
	"math/bits"
	"runtime"
	"sync/atomic"
)

// Width is how many values a Set has.
const Width = 8

// maxLines bounds the memory of a Set.
const maxLines = 16

// line is two cache lines long, because processors fetch lines in pairs.
type line struct {
	values [Width]atomic.Uint64
	_      [64]byte
}

// Set is Width counters. New makes it.
type Set struct{ lines []line }

// New returns a Set with a line for each core, up to 16.
func New() Set {
	n := min(runtime.GOMAXPROCS(0), maxLines)
	return Set{make([]line, 1<<bits.Len(uint(n-1)))}
}

// Key derives the line of something from its id: from the last character, which is
// random in the ids that this module makes.
func Key(id string) uint8 {
	if id == "" {
		return 0
	}
	return id[len(id)-1]
}

// Add adds n to a value and returns the sum of its line.
func (s Set) Add(key uint8, value int, n uint64) uint64 {
	return s.lines[int(key)&(len(s.lines)-1)].values[value].Add(n)
}

// Sum returns a value.
func (s Set) Sum(value int) (sum uint64) {
	for i := range s.lines {
		sum += s.lines[i].values[value].Load()
	}
	return sum
}
