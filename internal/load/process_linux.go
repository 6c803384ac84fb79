package load

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time that a process has used, user and system, with the
// precision of the kernel's scheduler.
func CPU(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED: the clock id of a process is ~pid<<3 | 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("load: clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// maxConnections is how many connections the limit of descriptors leaves room for.
func maxConnections() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 500
	}
	// Of the ephemeral ports about 28 000 lead from one address to one server.
	return int(min(max(r.Cur, 1000)-200, 25_000))
}

// Memory returns the resident memory of a process in bytes.
func Memory(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Rss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("load: no Rss of process %d", pid)
}

// Pin keeps all threads of this process, and its later children, on cores.
func Pin(cores ...int) error {
	return eachThread(os.Getpid(), func(tid int) error { return PinThread(tid, cores...) })
}

// eachThread calls f for the threads of a process, until an error.
func eachThread(pid int, f func(tid int) error) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := f(tid); err != nil {
			return err
		}
	}
	return nil
}

// Cores are the processors on which a process may run; 0 is the calling thread.
func Cores(pid int) ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(pid, &set); err != nil {
		return nil, fmt.Errorf("load: processors of process %d: %w", pid, err)
	}
	var cores []int
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// PinThread keeps one thread on cores; 0 is the calling thread. A process
// started from it inherits that.
func PinThread(tid int, cores ...int) error {
	var set unix.CPUSet
	for _, core := range cores {
		set.Set(core)
	}
	return unix.SchedSetaffinity(tid, &set)
}

// StartOn calls start, which starts processes, on a thread that is kept on cores: they
// inherit that.
func StartOn(cores []int, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := Cores(0)
	if err != nil {
		return err
	}
	if err := PinThread(0, cores...); err != nil {
		return err
	}
	return errors.Join(start(), PinThread(0, before...))
}

// GoFirst lets the threads of a process, and those that they start, run before every
// program of a lower real-time priority or none, and in turn among each other.
func GoFirst(pid, priority int) error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: uint32(priority)}
	return eachThread(pid, func(tid int) error {
		if err := unix.SchedSetAttr(tid, &attr, 0); err != nil {
			return fmt.Errorf("load: priority of thread %d: %w", tid, err)
		}
		return nil
	})
}
