//go:build race

package engineio

// Under the race detector sync.Pool forgets on purpose.
func init() { raceEnabled = true }
