//go:build race

package testenv

// Race says that the tests run below the race detector, which allocates and empties
// pools at random.
const Race = true
