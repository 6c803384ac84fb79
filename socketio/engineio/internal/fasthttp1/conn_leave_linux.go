//go:build linux && !goroutinereaders

package fasthttp1

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"posthouse/socketio/engineio/internal/netpoll"
)

// This file is the ways in which a connection leaves the loop, but for upgrades
// where the loop may stay the same.

// Upgrade implements ResponseConn. The worker, whose request it ends, does not touch
// the connection any more. The caller may hold locks that the successor's Ready and
// Woken take: so nothing happens on the successor's behalf before they are released.
func (c *Conn) Upgrade(s netpoll.Successor) {
	loop := c.listener.cfg.Loop
	var early []byte
	if c.pipelined != nil {
		early = *c.pipelined
		c.pipelined = nil
	}
	h := s.TakeOver(c.fd, loop, early)
	if h == nil {
		c.mu.Lock()
		c.leftHTTP = true
		c.mu.Unlock()
		loop.Wake(c) // it closes the descriptor
		return
	}
	c.mu.Lock()
	c.successor, c.detached = h, true
	missed := c.unread || c.peerClosed
	c.mu.Unlock()
	loop.Replace(c.fd, h)
	c.listener.count(-1)
	c.listener.release(c.remote)
	if missed { // most often nothing has come while the request was served
		loop.Wake(c)
	}
}

// passOn gives the successor's handler the events that it has not seen: those that came
// while the request was served, and those of tasks that were due before Upgrade and still
// reach c.
func (c *Conn) passOn(h netpoll.Handler, e netpoll.Events) (again bool) {
	return e != 0 && h.Ready(e)
}

// Hijack implements ResponseConn: for handlers that want the connection themselves.
func (c *Conn) Hijack() (net.Conn, []byte, error) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	conn, err := tcpConn(fd)
	if err != nil {
		return nil, nil, err
	}
	var early []byte
	if c.pipelined != nil {
		early = *c.pipelined
		c.pipelined = nil
	}
	c.mu.Lock()
	c.leftHTTP = true
	c.mu.Unlock()
	c.listener.cfg.Loop.Wake(c)
	return conn, early, nil
}

// leave gives the connection to net/http, with what was read of it. It runs on the
// loop's goroutine.
func (c *Conn) leave(data []byte) {
	begin(c.nextArrival) // net/http keeps no order
	c.mu.Lock()
	c.detached = true
	h := handover{
		early:    bytes.Clone(data),
		viaProxy: c.viaProxy || !c.hadRequest && viaProxyHead(data),
		idle:     len(data) == 0 && (c.hadRequest || time.Since(epoch)-c.idleSince > graceOfNew),
	}
	c.mu.Unlock()
	c.listener.cfg.Loop.Detach(c.fd)
	c.listener.handOver(c.fd, c.remote, h)
	c.listener.count(-1) // now that net/http has it: see standIn
}

// close closes the descriptor. It runs on the loop's goroutine.
func (c *Conn) close() {
	begin(c.nextArrival)
	c.mu.Lock()
	ahead := c.ahead
	c.ahead = nil
	c.mu.Unlock()
	if ahead != nil {
		begin(ahead.arrival)
	}
	c.pipelined = nil
	c.dropHeld()
	c.listener.cfg.Loop.Detach(c.fd)
	netpoll.CloseFD(c.fd)
	c.listener.count(-1)
	c.listener.release(c.remote)
}

// proxyFields are those of requests that came through a proxy.
var proxyFields = []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"}

func viaProxy(h http.Header) bool {
	for _, name := range proxyFields {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// viaProxyHead is viaProxy for a request that net/http is to read.
func viaProxyHead(data []byte) bool {
	head, _, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	head = bytes.ToLower(head)
	for _, name := range proxyFields {
		if bytes.Contains(head, append([]byte("\n"), bytes.ToLower([]byte(name+":"))...)) {
			return true
		}
	}
	return false
}
