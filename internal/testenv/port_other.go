//go:build !unix

package testenv

// claimPort claims nothing where files cannot be locked.
func claimPort(int) bool { return true }
