//go:build linux && !goroutinereaders

package engineio

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// loop reads many plain TCP connections on one goroutine, WebSockets (stream) and
// those on which requests come (plainConn), so that an idle one holds neither a
// goroutine nor what package net keeps of a connection. It has an epoll instance of its own, edge-triggered; that in turn
// is watched by the runtime's poller, so that a waiting loop holds no thread.
//
// The goroutine exists while there are connections, and the server counts it. A
// descriptor is closed by this goroutine only, after it left the table and after
// closed was set under the connection's mutex: nobody can use a number that has
// become another connection's. Everything else asks for it by wake.
type loop struct {
	srv    *Server
	stride int // the number of loops: each has every stride-th descriptor

	mu     sync.Mutex // guards what follows; taken after Session.mu
	epoll  *os.File   // nil: not running
	epfd   int        // its descriptor
	bell   int        // an eventfd in it, rung to end the wait
	conns  []polled   // by descriptor / stride
	count  int
	woken  []polled // see wake
	asleep bool     // the goroutine waits, or is about to

	// Used by the goroutine only:
	events [eventsPerTurn]unix.EpollEvent
	tasks  []task
	again  []*stream // had more to read than their turn allowed
}

const (
	eventsPerTurn = 128
	interest      = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
)

// task is what a loop has to do for one connection.
type task struct {
	c      polled
	events uint32
	woken  bool
}

// loops are the loops of a server. Making them starts nothing.
type loops []*loop

func newLoops(srv *Server) loops {
	n := runtime.GOMAXPROCS(0)
	ls := make(loops, n, n+1)
	for i := range ls {
		ls[i] = &loop{srv: srv, stride: n}
	}
	return append(ls, &loop{srv: srv, stride: 1})
}

// sockets are the loops that read WebSockets, each every len-th descriptor.
func (ls loops) sockets() loops { return ls[:max(len(ls)-1, 0)] }

// requests is the loop of all connections on which requests come. It is one, because
// only so it is known which of two requests came first (see arrival).
func (ls loops) requests() *loop { return ls[len(ls)-1] }

// adopt makes a loop the reader of st, whose connection is conn; false leaves
// that to a goroutine. The caller holds Session.mu, which keeps the loop from
// delivering anything yet, and closes conn afterwards: the loop has a descriptor
// of its own.
func (ls loops) adopt(st *stream, conn net.Conn) bool {
	raw := rawConn(conn)
	if raw == nil || len(ls) == 0 {
		return false
	}
	adopted := false
	err := raw.Control(func(fd uintptr) { adopted = ls.adoptFD(st, int(fd)) })
	return err == nil && adopted
}

// adoptFD is adopt for a descriptor.
func (ls loops) adoptFD(st *stream, old int) bool {
	fd, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false
	}
	l := ls.sockets()[fd%len(ls.sockets())]
	st.loop, st.fd = l, fd
	if l.add(st) != nil {
		st.loop, st.fd = nil, -1
		unix.Close(fd) //nolint:errcheck // it was never used
		return false
	}
	return true
}

func (l *loop) add(c polled) error {
	fd := c.descriptor()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		if err := l.start(); err != nil {
			return err
		}
	}
	for len(l.conns) <= fd/l.stride {
		l.conns = append(l.conns, nil)
	}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: interest, Fd: int32(fd)}); err != nil {
		return err
	}
	l.conns[fd/l.stride] = c
	l.count++
	return nil
}

// replace makes c the connection of a descriptor that the loop has.
func (l *loop) replace(fd int, c polled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[fd/l.stride] = c
}

// remove forgets a descriptor that is about to be closed. It is called by the
// loop's goroutine.
func (l *loop) remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[fd/l.stride] = nil
	if l.count--; l.count == 0 {
		l.ring() // it may be time to end
	}
}

// detach is remove for a connection that may live on under another descriptor,
// and so would stay in the epoll instance.
func (l *loop) detach(fd int) {
	unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, fd, nil) //nolint:errcheck // it is there
	l.remove(fd)
}

// start begins the goroutine. It will find the connection that it is started
// for, since the caller holds mu.
func (l *loop) start() error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	unix.SetNonblock(epfd, true) //nolint:errcheck // a sign for NewFile: to be given to the poller
	epoll := os.NewFile(uintptr(epfd), "epoll")
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return errors.Join(err, epoll.Close())
	}
	// Edge-triggered, so that nobody has to empty it.
	err = unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	if err == nil {
		err = epoll.SetDeadline(time.Time{}) // an error means that the poller did not take it
	}
	raw, rawErr := epoll.SyscallConn()
	if err = errors.Join(err, rawErr); err != nil {
		return errors.Join(err, epoll.Close(), unix.Close(bell))
	}
	l.epoll, l.epfd, l.bell, l.asleep = epoll, epfd, bell, false
	l.srv.track()
	go l.run(epoll, raw)
	return nil
}

// run is the goroutine. It ends when there are no connections.
func (l *loop) run(epoll *os.File, raw syscall.RawConn) {
	defer l.srv.done()
	defer epoll.Close()                                             // nothing is left in it
	raw.Read(func(epfd uintptr) bool { return l.turns(int(epfd)) }) //nolint:errcheck // nobody else closes it
}

// turns handles what is ready until nothing is. over says that the loop is.
func (l *loop) turns(epfd int) (over bool) {
	n := l.poll(epfd)
	for {
		idle, over := l.gather(l.events[:n])
		if idle {
			return over
		}
		for i := range l.tasks {
			l.serve(&l.tasks[i])
		}
		if n == eventsPerTurn || len(l.again) > 0 {
			n = l.poll(epfd)
		} else {
			n = 0 // what has become ready since has an edge of its own
		}
	}
}

func (l *loop) poll(epfd int) int {
	for {
		n, err := unix.EpollWait(epfd, l.events[:], 0)
		if err != unix.EINTR {
			return max(n, 0)
		}
	}
}

// gather makes a list of what is to be done. idle says that there is nothing,
// and that the goroutine may wait; over, that there is nobody to wait for.
func (l *loop) gather(events []unix.EpollEvent) (idle, over bool) {
	clear(l.tasks)
	l.tasks = l.tasks[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.woken {
		l.tasks = append(l.tasks, task{c: c, woken: true})
	}
	clear(l.woken)
	l.woken = l.woken[:0]
	for i := range events {
		if fd := events[i].Fd; fd >= 0 { // not the bell
			if c := l.conns[int(fd)/l.stride]; c != nil {
				l.tasks = append(l.tasks, task{c: c, events: events[i].Events})
			}
		}
	}
	for _, st := range l.again {
		l.tasks = append(l.tasks, task{c: st, events: unix.EPOLLRDHUP})
	}
	clear(l.again)
	l.again = l.again[:0]
	l.asleep = len(l.tasks) == 0
	if l.asleep && l.count == 0 {
		unix.Close(l.bell) //nolint:errcheck // nobody can ring it any more
		l.epoll, l.bell = nil, -1
		return true, true
	}
	return l.asleep, false
}

// serve does what is to be done for one connection.
func (l *loop) serve(t *task) {
	switch c := t.c.(type) {
	case *stream:
		l.serveStream(c, t)
	case *plainConn:
		l.servePlain(c, t)
	}
}

func (l *loop) serveStream(st *stream, t *task) {
	if st.gone {
		return
	}
	if t.events&unix.EPOLLOUT != 0 && st.blocked.Load() {
		st.s.mu.Lock()
		st.proceedWriting()
		st.s.mu.Unlock()
	}
	err := error(nil)
	if t.woken {
		t.events = unix.EPOLLRDHUP // nobody has looked for an end of stream
		err = st.wakeUp()
	}
	if err == nil && !st.away {
		var drained bool
		drained, err = st.readable(st.fd, t.events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		if err == nil && !drained {
			l.again = append(l.again, st)
		}
	}
	switch {
	case errors.Is(err, errPaused):
		st.away = true
	case err != nil:
		l.end(st, err)
	}
}

// wakeUp is called after wake. It goes on behind a pause that is over.
func (st *stream) wakeUp() error {
	st.s.mu.Lock()
	closed := st.closed
	st.s.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case !st.away:
		return nil
	case st.pause != nil:
		select {
		case <-st.pause:
		default:
			return nil
		}
	}
	st.away = false
	return st.takeHeld()
}

// end closes a connection.
func (l *loop) end(st *stream, err error) {
	st.s.mu.Lock()
	drain := st.finished && !errors.Is(err, io.EOF)
	st.parted = true
	st.failed(err)
	st.s.mu.Unlock()
	st.gone = true
	st.reader.Release()
	if st.held != nil {
		st.held.release()
	}
	l.remove(st.fd)
	if drain {
		shutdownWrite(st.fd)
		drainFD(st.fd)
	}
	unix.Close(st.fd) //nolint:errcheck // nothing is left to be done
}

// wake makes the goroutine look at a connection that was closed, or whose pause is
// over. It does not block, and may be called with Session.mu held.
func (l *loop) wake(c polled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		return // and so has ended all its connections
	}
	l.woken = append(l.woken, c)
	l.ring()
}

// oneMore is the number 1 as an eventfd takes it.
var oneMore = func() (one [8]byte) {
	binary.NativeEndian.PutUint64(one[:], 1)
	return one
}()

// ring ends the wait of the goroutine; mu is held.
func (l *loop) ring() {
	if l.asleep {
		l.asleep = false
		// One more each time: nobody reads the counter, and a full one would be silent.
		unix.Write(l.bell, oneMore[:]) //nolint:errcheck // it has room for 2^64-2
	}
}

// each wakes the plain connections of a front that want says so of.
func (ls loops) each(f *front, want func(*plainConn) bool) {
	for _, l := range ls {
		l.mu.Lock()
		if l.epoll != nil {
			for _, c := range l.conns {
				if c, ok := c.(*plainConn); ok && c.front == f && want(c) {
					l.woken = append(l.woken, c)
					l.ring()
				}
			}
		}
		l.mu.Unlock()
	}
}
