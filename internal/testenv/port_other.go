//go:build !unix

package testenv

import "os"

// lockFile has no lock to take here: two processes may be given the same port.
func lockFile(*os.File) bool { return true }
