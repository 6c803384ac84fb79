//go:build linux && !goroutinereaders

package fasthttp1

import (
	"context"
	"errors"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// Listener accepts the connections of one net.Listener. It is itself the listener
// that net/http sees: Accept gives net/http the connections that a loop cannot serve.
type Listener struct {
	cfg *Config
	hs  *http.Server

	inner    net.Listener
	rawInner syscall.RawConn // of inner, to see that it was closed
	file     *os.File        // a duplicate of inner: package net does not tell when it is readable
	logf     func(string, ...any)

	baseCtx     context.Context // of all requests
	sharedLocal bool            // baseCtx has the local address of all connections

	headerTimeout, idleTimeout time.Duration // 0: none

	handedOver chan net.Conn // connections that net/http has not accepted yet
	done       chan struct{} // closed by Close
	closeOnce  sync.Once
	retired    atomic.Bool    // connections are net/http's from now on
	tasks      sync.WaitGroup // accepting, and sending the stand-in
	standIn    standIn
	heldCount  int // requests whose bodies are not complete; owned by the loop's goroutine

	mu     sync.Mutex            // guards what follows; a leaf
	open   int                   // connections that a loop watches
	closed bool                  // Close has been called
	sweep  *time.Timer           // calls expire; runs while connections are open
	idle   map[*netConn]struct{} // handed over without a request, and no byte has come since
}

const (
	// maxHandedOver is how many connections may wait until net/http accepts them.
	maxHandedOver = 1024
	// minHeaderBytes is what Parse accepts: a smaller limit is net/http's to enforce.
	minHeaderBytes = 4 << 10

	keepAliveSeconds = 15
)

// epoch makes monotonic times fit into one word.
var epoch = time.Now()

// Serve serves ln for hs until ln or hs is closed. ok false means that net/http has
// to do so; then nothing was done.
func Serve(ln net.Listener, hs *http.Server, cfg *Config) (ok bool, err error) {
	l := newListener(ln, hs, cfg)
	if l == nil {
		return false, nil
	}
	if !hs.DisableGeneralOptionsHandler { // otherwise the handler would see it
		l.handedOver <- l.standIn.server
		l.tasks.Go(l.standIn.send)
	} else {
		close(l.standIn.served)
	}
	l.tasks.Go(l.accept)
	defer l.tasks.Wait()
	defer l.Close() //nolint:errcheck // the listener is not used any more
	return true, hs.Serve(l)
}

// newListener returns nil for what net/http alone can serve.
func newListener(ln net.Listener, hs *http.Server, cfg *Config) *Listener {
	tcp, ok := ln.(*net.TCPListener)
	switch {
	case !ok, cfg.Loop == nil, hs.Handler == nil, hs.ConnContext != nil, hs.ConnState != nil:
		return nil
	case hs.ReadTimeout > 0, hs.WriteTimeout > 0, hs.MaxHeaderBytes > 0 && hs.MaxHeaderBytes < minHeaderBytes:
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	file := duplicateListener(raw)
	if file == nil {
		return nil
	}
	l := &Listener{
		cfg: cfg, hs: hs, inner: ln, rawInner: raw, file: file,
		handedOver:    make(chan net.Conn, maxHandedOver),
		done:          make(chan struct{}),
		standIn:       newStandIn(),
		idle:          make(map[*netConn]struct{}),
		headerTimeout: max(hs.ReadHeaderTimeout, 0),
		idleTimeout:   max(hs.IdleTimeout, 0),
		logf:          log.Printf,
	}
	if hs.ErrorLog != nil {
		l.logf = hs.ErrorLog.Printf
	}
	base := context.Background()
	if hs.BaseContext != nil {
		base = hs.BaseContext(ln)
	}
	l.baseCtx = context.WithValue(base, http.ServerContextKey, hs)
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsUnspecified() {
		l.baseCtx, l.sharedLocal = context.WithValue(l.baseCtx, http.LocalAddrContextKey, addr), true
	}
	return l
}

// duplicateListener returns nil when there is no descriptor left.
func duplicateListener(raw syscall.RawConn) *os.File {
	fd, err := -1, error(nil)
	if raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return nil
	}
	unix.SetNonblock(fd, true) //nolint:errcheck // it is; tells NewFile to use the runtime's poller
	// Accepted connections inherit these options: they are those of package net.
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)                  //nolint:errcheck // not vital
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)                  //nolint:errcheck // likewise
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds)  //nolint:errcheck // likewise
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds) //nolint:errcheck // likewise
	file := os.NewFile(uintptr(fd), "listener")
	if file.SetDeadline(time.Time{}) != nil { // the poller did not take it
		file.Close()
		return nil
	}
	return file
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Accept implements net.Listener, for net/http.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.handedOver:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Requests under way are finished, and their
// connections closed then.
func (l *Listener) Close() error {
	var err error
	l.closeOnce.Do(func() {
		close(l.done)
		l.file.Close()
		err = l.inner.Close()
		l.retired.Store(true) // before the loop is woken: admit looks at it afterwards
		l.wakeMatching(func(*Conn) bool { return true })
		l.dropHandedOver()
		for _, c := range l.closeBooks() {
			c.Close() //nolint:errcheck // net/http sees it
		}
	})
	return err
}

// closeBooks returns the idle connections that net/http has.
func (l *Listener) closeBooks() (idle []*netConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.open == 0 {
		l.standIn.end()
	}
	return slices.Collect(maps.Keys(l.idle))
}

// stopping reports whether connections are net/http's from now on.
func (l *Listener) stopping() bool { return l.retired.Load() || l.cfg.Stopping() }

// wakeMatching wakes the connections of l for which match returns true.
func (l *Listener) wakeMatching(match func(*Conn) bool) {
	l.cfg.Loop.WakeMatching(func(h netpoll.Handler) bool {
		c, ok := h.(*Conn)
		return ok && c.listener == l && match(c)
	})
}

// closedCheck is how often accept looks whether inner was closed, of which its own
// descriptor does not tell.
const closedCheck = time.Second

// accept runs until the listener is closed.
func (l *Listener) accept() {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	select {
	case <-l.standIn.served: // before, http.Server.Shutdown would not wait for the requests
	case <-l.done:
		return
	}
	var shortage netpoll.Shortage
	for {
		var failure error
		l.file.SetReadDeadline(time.Now().Add(closedCheck)) //nolint:errcheck // Read will tell
		err := raw.Read(func(fd uintptr) bool {
			var accepted bool
			if accepted, failure = l.acceptAll(int(fd)); accepted {
				shortage.Over()
			}
			return failure != nil
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue // acceptAll will see
		case err != nil, errors.Is(failure, net.ErrClosed):
			l.Close() //nolint:errcheck // Serve tells
			return
		}
		if !shortage.Wait(l.cfg.Log, failure, l.done) {
			return
		}
	}
}

// innerOpen reports whether the owner of inner has left it open.
func (l *Listener) innerOpen() bool { return l.rawInner.Control(func(uintptr) {}) == nil }

// acceptAll accepts until no connection waits, and reports whether there was one.
func (l *Listener) acceptAll(listenerFD int) (accepted bool, err error) {
	for l.innerOpen() {
		// Package unix's Accept4 asks each time which protocol this is.
		fd, peer, err := syscall.Accept4(listenerFD, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			accepted = true
			l.admit(fd, addrOf(peer))
		case syscall.EAGAIN:
			return accepted, nil
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return accepted, os.NewSyscallError("accept4", err)
		}
	}
	return accepted, net.ErrClosed
}

// admit gives an accepted connection to the loop, or to net/http.
func (l *Listener) admit(fd int, remote netip.AddrPort) {
	if l.cfg.Admit != nil {
		if refusal := l.cfg.Admit(remote); refusal != nil {
			netpoll.WriteFD(fd, refusal) //nolint:errcheck // the peer may be gone
			netpoll.CloseFD(fd)
			return
		}
	}
	if l.stopping() {
		l.handOver(fd, remote, handover{})
		return
	}
	c := &Conn{listener: l, fd: fd, remote: remote, idleSince: time.Since(epoch)}
	l.count(1)
	if err := l.cfg.Loop.Add(fd, c); err != nil {
		l.count(-1)
		l.release(remote)
		l.logf("engineio: a connection cannot be served: %v", err)
		netpoll.CloseFD(fd)
		return
	}
	if l.stopping() { // what woke the loop's connections may not have seen this one
		l.cfg.Loop.Wake(c)
	}
}

// release tells that a connection is closed or upgraded.
func (l *Listener) release(remote netip.AddrPort) {
	if l.cfg.Release != nil {
		l.cfg.Release(remote)
	}
}

// count adds n to the number of open connections. The timer of expire runs while
// there are any.
func (l *Listener) count(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open += n
	if l.open == 0 {
		if l.sweep != nil {
			l.sweep.Stop()
			l.sweep = nil
		}
		if l.closed {
			l.standIn.end()
		}
		return
	}
	if l.sweep == nil {
		l.sweep = time.AfterFunc(l.sweepInterval(), l.expire)
	}
}

// keepTime is how long a connection is kept behind an answer: no longer than a session
// lives whose client is gone, whose connections would otherwise outlive it. Proxies
// keep theirs for other clients, so theirs have http.Server.IdleTimeout.
func (l *Listener) keepTime() time.Duration {
	if l.idleTimeout > 0 {
		return min(l.idleTimeout, l.cfg.KeepTime)
	}
	return l.cfg.KeepTime
}

// sweepInterval is how often expire looks: a timeout is longer by that much at most.
func (l *Listener) sweepInterval() time.Duration {
	shortest := l.keepTime()
	if l.headerTimeout > 0 {
		shortest = min(shortest, l.headerTimeout)
	}
	return min(max(shortest/8, 10*time.Millisecond), time.Second)
}

// expire closes connections on which no request has come for too long.
func (l *Listener) expire() {
	now := time.Since(epoch)
	l.wakeMatching(func(c *Conn) bool { return c.expired(now) })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sweep != nil {
		l.sweep.Reset(l.sweepInterval())
	}
}
