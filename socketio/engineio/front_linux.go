//go:build linux && !goroutinereaders

package engineio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// front accepts the connections of one listener (see Serve). It is the listener
// that net/http sees: Accept gives it the connections that are not for the loops.
type front struct {
	srv    *Server
	hs     *http.Server
	ctx    context.Context // of all requests
	ln     net.Listener
	file   *os.File // the listener again: package net does not tell when it is readable
	log    func(string, ...any)
	handed chan net.Conn

	headerTimeout, idleTimeout time.Duration // 0: none

	retired atomic.Bool // connections are net/http's from now on
	done    chan struct{}
	close   sync.Once
	tasks   sync.WaitGroup // accept

	mu    sync.Mutex
	open  int         // plain connections
	sweep *time.Timer // runs while there are any
}

// maxHanded is how many connections may wait until net/http accepts them.
const maxHanded = 1024

// newFront returns nil where the longer way has to do.
func (srv *Server) newFront(ln net.Listener, hs *http.Server) *front {
	tcp, ok := ln.(*net.TCPListener)
	if !ok || len(srv.loops) == 0 || hs.ConnContext != nil || hs.ConnState != nil || hs.Handler == nil || hs.ReadTimeout > 0 || hs.WriteTimeout > 0 {
		return nil
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
	f := &front{
		srv: srv, hs: hs, ln: ln,
		file:          os.NewFile(uintptr(fd), "listener"),
		handed:        make(chan net.Conn, maxHanded),
		done:          make(chan struct{}),
		headerTimeout: hs.ReadHeaderTimeout,
		idleTimeout:   hs.IdleTimeout,
	}
	if f.file.SetDeadline(time.Time{}) != nil { // the poller did not take it
		f.file.Close()
		return nil
	}
	base := context.Background()
	if hs.BaseContext != nil {
		base = hs.BaseContext(ln)
	}
	f.ctx = context.WithValue(context.WithValue(base, http.ServerContextKey, hs), http.LocalAddrContextKey, ln.Addr())
	f.log = func(format string, args ...any) {
		if hs.ErrorLog != nil {
			hs.ErrorLog.Printf(format, args...)
			return
		}
		srv.log.Error("engineio: " + fmt.Sprintf(format, args...))
	}
	return f
}

func (f *front) serve() error {
	if !f.srv.addFront(f) {
		f.retired.Store(true)
	}
	defer f.srv.removeFront(f)
	f.tasks.Go(f.accept)
	defer f.tasks.Wait()
	defer f.Close()
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
	f.retired.Store(true)
	f.srv.loops.each(f, func(*plainConn) bool { return true })
}

// acceptRetry is how long the first wait lasts when there are no descriptors left.
const acceptRetry = 5 * time.Millisecond

// accept runs until the listener is closed.
func (f *front) accept() {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return
	}
	wait := acceptRetry
	for {
		var failure error
		err := raw.Read(func(fd uintptr) bool {
			failure = f.acceptAll(int(fd))
			return failure != nil
		})
		if err != nil {
			return
		}
		f.log("accept: %v; retrying in %v", failure, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-f.done:
			timer.Stop()
			return
		}
		wait = min(2*wait, time.Second)
	}
}

// acceptAll accepts until nobody waits.
func (f *front) acceptAll(listener int) error {
	for {
		fd, peer, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			f.welcome(fd, peer)
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return err
		}
	}
}

func (f *front) welcome(fd int, peer unix.Sockaddr) {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) //nolint:errcheck // as package net does
	if f.retired.Load() {
		f.hand(fd, nil)
		return
	}
	c := &plainConn{front: f, fd: fd, remote: addrOf(peer), since: time.Since(epoch)}
	c.loop = f.srv.loops[fd%len(f.srv.loops)]
	f.count(1)
	if err := c.loop.add(c); err != nil {
		f.count(-1)
		unix.Close(fd) //nolint:errcheck // nothing was done with it
	}
}

func addrOf(peer unix.Sockaddr) netip.AddrPort {
	switch a := peer.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(a.ZoneId)))
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// hand gives a connection to net/http. It does not block.
func (f *front) hand(fd int, early []byte) {
	conn, err := netConn(fd)
	if err != nil {
		f.log("a connection cannot be given to net/http: %v", err)
		return
	}
	select {
	case f.handed <- &handedConn{conn, early}:
	default:
		f.log("%v", errTooManyHanded)
		conn.Close()
	}
	select {
	case <-f.done: // Close may have emptied the queue before
		f.dropHanded()
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
	limit := cmp.Or(f.headerTimeout, f.idleTimeout)
	if f.open == 0 || limit == 0 {
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
	shortest := f.headerTimeout
	if shortest == 0 || f.idleTimeout > 0 && f.idleTimeout < shortest {
		shortest = f.idleTimeout
	}
	return max(shortest/8, 10*time.Millisecond)
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
