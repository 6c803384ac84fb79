//go:build unix

package gateway

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// newDescriptors reads the limit of the process, which Go has raised to the hard one.
func newDescriptors() *descriptors {
	d := &descriptors{lowestFree: nextDescriptor}
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < math.MaxInt32 {
		d.processLimit = int(l.Cur)
	}
	return d
}

// nextDescriptor duplicates standard input for a moment.
func nextDescriptor() (int, bool) {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return 0, !errors.Is(err, unix.EMFILE) // EBADF: number 0 itself is free
	}
	unix.Close(fd) //nolint:errcheck // it was only asked for its number
	return fd, true
}
