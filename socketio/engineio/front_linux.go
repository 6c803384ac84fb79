//go:build linux && !goroutinereaders

package engineio

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// front accepts the connections of one listener (see Serve). It is the listener
// that net/http sees: Accept gives it the connections that are not for the loops.
type front struct {
	srv    *Server
	hs     *http.Server
	ctx    context.Context // of all requests
	shared bool            // the address of ln is that of all connections
	ln     net.Listener
	raw    syscall.RawConn // of ln
	file   *os.File        // the listener again: package net does not tell when it is readable
	log    func(string, ...any)
	handed chan net.Conn

	headerTimeout, idleTimeout time.Duration // 0: none
	keepTime                   time.Duration // see unused

	retired atomic.Bool // connections are net/http's from now on
	done    chan struct{}
	close   sync.Once
	tasks   sync.WaitGroup // accept

	mu    sync.Mutex
	open  int         // plain connections
	sweep *time.Timer // runs while there are any
	quiet map[*handedConn]struct{}
}

// maxHanded is how many connections may wait until net/http accepts them.
const maxHanded = 1024

// newFront returns nil where the longer way has to do.
func (srv *Server) newFront(ln net.Listener, hs *http.Server) *front {
	tcp, ok := ln.(*net.TCPListener)
	switch {
	case !ok, len(srv.loops) == 0, hs.Handler == nil, hs.ConnContext != nil, hs.ConnState != nil:
		return nil
	case hs.ReadTimeout > 0, hs.WriteTimeout > 0, hs.MaxHeaderBytes > 0 && hs.MaxHeaderBytes < 4<<10:
		return nil // less than what fasthttp1 takes
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	if raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return nil
	}
	unix.SetNonblock(fd, true) //nolint:errcheck // it is; a sign for NewFile: to be given to the poller
	// What is set here, accepted connections inherit: as package net sets it.
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)                  //nolint:errcheck // not vital
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)                  //nolint:errcheck // likewise
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds)  //nolint:errcheck // likewise
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds) //nolint:errcheck // likewise
	f := &front{
		srv: srv, hs: hs, ln: ln, raw: raw,
		file:          os.NewFile(uintptr(fd), "listener"),
		handed:        make(chan net.Conn, maxHanded),
		done:          make(chan struct{}),
		quiet:         make(map[*handedConn]struct{}),
		headerTimeout: max(hs.ReadHeaderTimeout, 0),
		idleTimeout:   max(hs.IdleTimeout, 0),
		keepTime:      srv.o.PingInterval + srv.o.PingTimeout,
	}
	if f.file.SetDeadline(time.Time{}) != nil { // the poller did not take it
		f.file.Close()
		return nil
	}
	base := context.Background()
	if hs.BaseContext != nil {
		base = hs.BaseContext(ln)
	}
	f.ctx = context.WithValue(base, http.ServerContextKey, hs)
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.IsUnspecified() {
		f.ctx, f.shared = context.WithValue(f.ctx, http.LocalAddrContextKey, addr), true
	}
	f.log = log.Printf
	if hs.ErrorLog != nil {
		f.log = hs.ErrorLog.Printf
	}
	return f
}

// context returns the context of a connection's requests.
func (f *front) context(fd int) context.Context {
	if f.shared {
		return f.ctx
	}
	var addr net.Addr = &net.TCPAddr{}
	if local, err := syscall.Getsockname(fd); err == nil {
		addr = net.TCPAddrFromAddrPort(named(addrOf(local)))
	}
	return context.WithValue(f.ctx, http.LocalAddrContextKey, addr)
}

func (f *front) serve() error {
	if !f.srv.addFront(f) {
		f.retired.Store(true)
	}
	defer f.srv.removeFront(f)
	f.tasks.Go(f.accept)
	defer f.tasks.Wait()
	defer f.Close() //nolint:errcheck // of a listener that nobody uses
	return f.hs.Serve(f)
}

// Accept implements net.Listener, for net/http.
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.handed:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (f *front) Addr() net.Addr { return f.ln.Addr() }

// Close implements net.Listener. Requests under way are finished, and their
// connections closed then.
func (f *front) Close() error {
	var err error
	f.close.Do(func() {
		close(f.done)
		f.file.Close()
		err = f.ln.Close()
		f.retire()
		f.dropHanded()
		f.mu.Lock()
		defer f.mu.Unlock()
		for c := range f.quiet {
			c.Close() //nolint:errcheck // net/http sees it
		}
	})
	return err
}

// dropHanded closes what net/http has not accepted.
func (f *front) dropHanded() {
	for {
		select {
		case c := <-f.handed:
			c.Close()
		default:
			return
		}
	}
}

// retire gives all connections to net/http: idle ones now, the others behind the
// request that they have.
func (f *front) retire() {
	f.retired.Store(true) // before each: welcome and serveOne look at it after
	f.srv.loops.each(f, func(*plainConn) bool { return true })
}

const (
	// lookAfter is how often accept looks whether somebody has closed ln, which
	// its own descriptor does not tell.
	lookAfter = time.Second

	keepAliveSeconds = 15
)

// accept runs until the listener is closed.
func (f *front) accept() {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return
	}
	var shortage shortage
	for {
		var failure error
		f.file.SetReadDeadline(time.Now().Add(lookAfter)) //nolint:errcheck // Read will tell
		err := raw.Read(func(fd uintptr) bool {
			var some bool
			if some, failure = f.acceptAll(int(fd)); some {
				shortage.over()
			}
			return failure != nil
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue // acceptAll will see
		case err != nil, errors.Is(failure, net.ErrClosed):
			f.Close() //nolint:errcheck // Serve tells
			return
		}
		if !shortage.wait(f.srv.log, failure, f.done) {
			return
		}
	}
}

// listening reports whether nobody has closed the listener.
func (f *front) listening() bool { return f.raw.Control(func(uintptr) {}) == nil }

// acceptAll accepts until nobody waits, and reports whether somebody did.
func (f *front) acceptAll(listener int) (some bool, err error) {
	for f.listening() {
		// Not package unix's, which asks each time what protocol this is.
		fd, peer, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch err {
		case nil:
			some = true
			f.welcome(fd, peer)
		case syscall.EAGAIN:
			return some, nil
		case syscall.EINTR, syscall.ECONNABORTED:
		default:
			return some, os.NewSyscallError("accept4", err)
		}
	}
	return some, net.ErrClosed
}

func (f *front) welcome(fd int, peer syscall.Sockaddr) {
	remote := addrOf(peer)
	if l := f.srv.o.ConnLimiter; l != nil {
		if status, retryAfter := l.AdmitConn(remote); status != 0 {
			writeFD(fd, bareAnswer(status, retryAfter)) //nolint:errcheck // the peer may be gone
			unix.Close(fd)                              //nolint:errcheck // nothing was done with it
			return
		}
	}
	if f.retired.Load() {
		f.hand(fd, remote, nil, false, false)
		return
	}
	c := &plainConn{front: f, fd: fd, remote: remote, since: time.Since(epoch)}
	c.loop = f.srv.loops.requests()
	f.count(1)
	if err := c.loop.add(c); err != nil {
		f.count(-1)
		f.release(remote)
		f.log("engineio: a connection cannot be served: %v", err)
		unix.Close(fd) //nolint:errcheck // nothing was done with it
		return
	}
	if f.retired.Load() { // retire may not have seen it
		c.loop.wake(c)
	}
}

// release tells the ConnLimiter that a connection is closed or a WebSocket.
func (f *front) release(remote netip.AddrPort) {
	if l := f.srv.o.ConnLimiter; l != nil {
		l.ReleaseConn(remote)
	}
}

func addrOf(peer syscall.Sockaddr) netip.AddrPort {
	switch a := peer.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(a.ZoneId)))
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// named gives the zone of an address the name that package net uses.
func named(a netip.AddrPort) netip.AddrPort {
	if index, err := strconv.Atoi(a.Addr().Zone()); err == nil {
		if i, err := net.InterfaceByIndex(index); err == nil {
			return netip.AddrPortFrom(a.Addr().WithZone(i.Name), a.Port())
		}
	}
	return a
}

// hand gives a connection to net/http. It does not block. Of one that is idle
// net/http does not know that it has been used: so Close must close it, or
// http.Server.Shutdown would wait for the request of a connection that is new.
func (f *front) hand(fd int, remote netip.AddrPort, early []byte, proxied, idle bool) {
	conn, err := netConn(fd)
	if err != nil {
		f.release(remote)
		f.log("engineio: a connection cannot be given to net/http: %v", err)
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil { // it is closed, then
		f.release(remote)
		return
	}
	c := &handedConn{TCPConn: conn, early: early, limiter: f.srv.o.ConnLimiter, remote: remote, raw: raw, patience: f.srv.o.patience()}
	if !proxied && f.unused() < f.idleTimeout {
		c.idle, c.unused = f.idleTimeout, f.unused()
	}
	if idle && len(f.handed) > maxHanded/2 {
		c.Close() //nolint:errcheck // it makes room for those that have a request
		return
	}
	if idle {
		f.mu.Lock()
		f.quiet[c] = struct{}{}
		f.mu.Unlock()
		c.stirs = func() {
			f.mu.Lock()
			delete(f.quiet, c)
			f.mu.Unlock()
		}
	}
	select {
	case f.handed <- c:
	default:
		f.log("%v", errTooManyHanded)
		c.Close() //nolint:errcheck // nobody has it
	}
	select {
	case <-f.done: // Close may have emptied the queue before
		f.dropHanded()
		if idle {
			c.Close() //nolint:errcheck // twice is no harm
		}
	default:
	}
}

// netConn makes a descriptor one of package net's. It is closed in any case.
func netConn(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		conn.Close()
		return nil, errors.New("engineio: not a TCP connection")
	}
	tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true}) //nolint:errcheck // as package net does
	return tcp, nil
}

func (f *front) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
	if f.open == 0 {
		if f.sweep != nil {
			f.sweep.Stop()
			f.sweep = nil
		}
		return
	}
	if f.sweep == nil {
		f.sweep = time.AfterFunc(f.period(), f.expire)
	}
}

// period is how often expire looks: a timeout is that much longer at most.
func (f *front) period() time.Duration {
	shortest := f.unused()
	if f.headerTimeout > 0 {
		shortest = min(shortest, f.headerTimeout)
	}
	return min(max(shortest/8, 10*time.Millisecond), time.Second)
}

// expire closes connections on which nothing has come for too long.
func (f *front) expire() {
	now := time.Since(epoch)
	f.srv.loops.each(f, func(c *plainConn) bool { return c.expired(now) })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sweep != nil {
		f.sweep.Reset(f.period())
	}
}
