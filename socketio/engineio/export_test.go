package engineio

import "unsafe"

var raceEnabled bool

// RaceEnabled tells tests that count allocations to look away.
func RaceEnabled() bool { return raceEnabled }

// HasLoops reports whether this build has event loops.
const HasLoops = unsafe.Sizeof(loop{}) > 0

const LingerTime = lingerTime
