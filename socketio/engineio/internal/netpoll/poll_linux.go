//go:build linux && !goroutinereaders

package netpoll

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supported reports whether this build has event loops.
const Supported = true

// Loop watches descriptors on one goroutine. It has an epoll instance of its own,
// edge-triggered, which in turn is watched by the runtime's poller, so that a
// waiting loop holds no thread.
//
// The goroutine begins with the first descriptor and ends with the last one.
type Loop struct {
	started, ended func() // called when the goroutine begins and when it ends
	stride         int    // handlers has a place for every stride-th descriptor

	mu        sync.Mutex // guards what follows; handlers are never called with it
	epoll     *os.File   // nil: the goroutine does not run
	epollFD   int        // the descriptor of epoll
	wakeFD    int        // an eventfd that epoll watches: a write ends the wait
	handlers  table      // by descriptor / stride
	wokenList []Handler  // whose Woken is to be called; see Wake
	waiting   bool       // the goroutine waits in epoll, or is about to

	// Owned by the goroutine:
	events    [eventsPerTurn]unix.EpollEvent
	tasks     []task
	againList []Handler // left bytes unread, see Handler
}

const (
	eventsPerTurn = 128
	interest      = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// task is one call of a handler.
type task struct {
	handler Handler
	events  Events
	woken   bool // call Woken, not Ready
}

// Group is a set of loops. The zero value has none.
type Group struct {
	spread  []*Loop // each has every len-th descriptor
	ordered *Loop
}

// NewGroup makes loops, one for each processor and the ordered one, and starts
// nothing. On one processor a single loop is both: there a move from one loop to
// another costs some system calls and gains nothing. started and ended are called when
// the goroutine of a loop begins and ends: started before the Add that needs it returns.
func NewGroup(started, ended func()) Group {
	n := runtime.GOMAXPROCS(0)
	g := Group{spread: make([]*Loop, n)}
	for i := range g.spread {
		g.spread[i] = &Loop{started: started, ended: ended, stride: n}
	}
	if g.ordered = g.spread[0]; n > 1 {
		g.ordered = &Loop{started: started, ended: ended, stride: 1}
	}
	return g
}

// Spreads reports whether l is one of the loops that share the connections: a
// descriptor of it need not move.
func (g Group) Spreads(l *Loop) bool { return slices.Contains(g.spread, l) }

// Ordered returns the loop for descriptors whose events must be seen in the order
// in which they come; nil when the group has no loops.
func (g Group) Ordered() *Loop { return g.ordered }

// Duplicate duplicates a descriptor and returns the loop that the duplicate must be
// added to. The caller owns the duplicate.
func (g Group) Duplicate(fd int) (l *Loop, dup int, err error) {
	if len(g.spread) == 0 {
		return nil, -1, errors.ErrUnsupported
	}
	dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, -1, os.NewSyscallError("fcntl", err)
	}
	return g.spread[dup%len(g.spread)], dup, nil
}

// Add makes h the handler of fd, which must not block. After an error fd is still
// the caller's to close. h may be called before Add returns.
func (l *Loop) Add(fd int, h Handler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		if err := l.startLocked(); err != nil {
			return err
		}
	}
	if err := unix.EpollCtl(l.epollFD, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: interest, Fd: int32(fd)}); err != nil {
		return err
	}
	l.handlers.set(fd/l.stride, h)
	return nil
}

// Replace makes h the handler of a descriptor that the loop watches. A call of the
// old handler may be under way, and another one may follow.
func (l *Loop) Replace(fd int, h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers.set(fd/l.stride, h)
}

// Remove forgets a descriptor that is closed right after it. Only the loop's
// goroutine calls it, which means a handler.
func (l *Loop) Remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers.set(fd/l.stride, nil)
	if l.handlers.count == 0 {
		l.endWaitLocked() // the goroutine has to end
	}
}

// Detach is Remove for a connection that may live on under another descriptor, and
// so would stay in the epoll instance.
func (l *Loop) Detach(fd int) {
	unix.EpollCtl(l.epollFD, unix.EPOLL_CTL_DEL, fd, nil) //nolint:errcheck // it is there
	l.Remove(fd)
}

// Len returns how many descriptors the loop watches.
func (l *Loop) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.handlers.count
}

// startLocked begins the goroutine. Its first look at the handlers waits for mu, which the
// caller holds until the descriptor that it is started for is counted.
func (l *Loop) startLocked() error {
	epollFD, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	unix.SetNonblock(epollFD, true) //nolint:errcheck // tells NewFile to use the runtime's poller
	epoll := os.NewFile(uintptr(epollFD), "epoll")
	wakeFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return errors.Join(err, epoll.Close())
	}
	// Edge-triggered, so that its counter never has to be read.
	err = unix.EpollCtl(epollFD, unix.EPOLL_CTL_ADD, wakeFD, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	if err == nil {
		err = epoll.SetDeadline(time.Time{}) // an error means that the poller did not take it
	}
	raw, rawErr := epoll.SyscallConn()
	if err = errors.Join(err, rawErr); err != nil {
		return errors.Join(err, epoll.Close(), unix.Close(wakeFD))
	}
	l.epoll, l.epollFD, l.wakeFD, l.waiting = epoll, epollFD, wakeFD, false
	l.started()
	go l.run(epoll, raw)
	return nil
}

// run is the goroutine. It ends when there are no descriptors.
func (l *Loop) run(epoll *os.File, raw syscall.RawConn) {
	defer l.ended()
	defer epoll.Close()                                                   // it watches nothing any more
	raw.Read(func(epollFD uintptr) bool { return l.turns(int(epollFD)) }) //nolint:errcheck // only this goroutine closes it
}

// turns calls handlers until no descriptor is ready. done says that the loop has
// no descriptors left.
func (l *Loop) turns(epollFD int) (done bool) {
	n := l.poll(epollFD)
	for {
		idle, done := l.gather(l.events[:n])
		if idle {
			return done
		}
		for i := range l.tasks {
			l.call(&l.tasks[i])
		}
		if n == eventsPerTurn {
			// The goroutines that the handlers have started run before more is read: their
			// bytes are in the caches now, and the next handlers find them free.
			runtime.Gosched()
		}
		if n == eventsPerTurn || len(l.againList) > 0 {
			n = l.poll(epollFD)
		} else {
			n = 0 // what has become ready since then has an edge that ends the next wait
		}
	}
}

func (l *Loop) poll(epollFD int) int {
	for {
		n, err := unix.EpollWait(epollFD, l.events[:], 0)
		if err != unix.EINTR {
			return max(n, 0)
		}
	}
}

// gather makes the list of tasks. idle says that it is empty and that the goroutine
// may wait; done, that no descriptors are left to wait for.
func (l *Loop) gather(events []unix.EpollEvent) (idle, done bool) {
	clear(l.tasks)
	l.tasks = l.tasks[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.wokenList {
		l.tasks = append(l.tasks, task{handler: h, woken: true})
	}
	clear(l.wokenList)
	l.wokenList = l.wokenList[:0]
	for i := range events {
		if fd := events[i].Fd; fd >= 0 { // not wakeFD
			if h := l.handlers.at(int(fd) / l.stride); h != nil {
				l.tasks = append(l.tasks, task{handler: h, events: eventsOf(events[i].Events)})
			}
		}
	}
	for _, h := range l.againList {
		l.tasks = append(l.tasks, task{handler: h, events: PeerClosed})
	}
	clear(l.againList)
	l.againList = l.againList[:0]
	l.waiting = len(l.tasks) == 0
	if l.waiting && l.handlers.count == 0 {
		unix.Close(l.wakeFD) //nolint:errcheck // endWaitLocked finds no goroutine from here on
		l.epoll, l.wakeFD = nil, -1
		return true, true
	}
	return l.waiting, false
}

func eventsOf(epoll uint32) (e Events) {
	if epoll&unix.EPOLLIN != 0 {
		e |= Readable
	}
	if epoll&unix.EPOLLOUT != 0 {
		e |= Writable
	}
	if epoll&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e |= PeerClosed
	}
	return e
}

func (l *Loop) call(t *task) {
	var again bool
	if t.woken {
		again = t.handler.Woken()
	} else {
		again = t.handler.Ready(t.events)
	}
	if again {
		l.againList = append(l.againList, t.handler)
	}
}

// Wake makes the goroutine call h.Woken. It does not block. A loop that has ended
// calls nothing: it has no descriptors, so h has none either.
func (l *Loop) Wake(h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll != nil {
		l.wakeLocked(h)
	}
}

// WakeMatching wakes every handler for which match returns true. match is called
// with the loop locked, so it must not call the loop.
func (l *Loop) WakeMatching(match func(Handler) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		return
	}
	for h := range l.handlers.all {
		if match(h) {
			l.wakeLocked(h)
		}
	}
}

func (l *Loop) wakeLocked(h Handler) {
	l.wokenList = append(l.wokenList, h)
	l.endWaitLocked()
}

// one is the number 1 as an eventfd takes it.
var one = func() (b [8]byte) {
	binary.NativeEndian.PutUint64(b[:], 1)
	return b
}()

// endWaitLocked ends the goroutine's wait.
func (l *Loop) endWaitLocked() {
	if l.waiting {
		l.waiting = false
		// Each write adds 1. The counter is never read, and has room for 2^64-2.
		unix.Write(l.wakeFD, one[:]) //nolint:errcheck // see above
	}
}
