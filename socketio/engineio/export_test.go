package engineio

var raceEnabled bool

// RaceEnabled tells tests that count allocations to look away.
func RaceEnabled() bool { return raceEnabled }
