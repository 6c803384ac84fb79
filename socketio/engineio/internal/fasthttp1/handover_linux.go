//go:build linux && !goroutinereaders

package fasthttp1

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// This file is the way from a loop to net/http.

// graceOfNew is how long http.Server.Shutdown waits for the first request of a
// connection.
const graceOfNew = 5 * time.Second

var errTooManyHandedOver = errors.New("engineio: too many connections wait for net/http")

// handover is what is known of a connection that net/http gets.
type handover struct {
	early    []byte // was already read
	viaProxy bool   // its first request came through a proxy
	// idle says that http.Server.Shutdown must not wait for a request on it. net/http
	// does not know that the connection has been used, and would wait graceOfNew: so
	// Close closes it.
	idle bool
}

// handOver gives a connection to net/http. It does not block.
func (l *Listener) handOver(fd int, remote netip.AddrPort, h handover) {
	tcp, err := tcpConn(fd)
	if err != nil {
		l.release(remote)
		l.logf("engineio: a connection cannot be given to net/http: %v", err)
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil { // it is closed, then
		l.release(remote)
		return
	}
	c := &netConn{TCPConn: tcp, raw: raw, early: h.early, listener: l, remote: remote}
	if !h.viaProxy && l.keepTime() < l.idleTimeout {
		c.idleTimeout, c.keepTime = l.idleTimeout, l.keepTime()
	}
	if h.idle {
		if len(l.handedOver) > maxHandedOver/2 {
			c.Close() //nolint:errcheck // it makes room for those that have a request
			return
		}
		l.addIdle(c)
	}
	select {
	case l.handedOver <- c:
	default:
		l.logf("%v", errTooManyHandedOver)
		c.Close() //nolint:errcheck // net/http has not seen it
	}
	select {
	case <-l.done: // Close may have emptied the queue before
		l.dropHandedOver()
		if h.idle {
			c.Close() //nolint:errcheck // net/http may have accepted it; twice is no harm
		}
	default:
	}
}

// tcpConn makes a descriptor one of package net's. fd itself is closed in any case.
func tcpConn(fd int) (*net.TCPConn, error) {
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

// dropHandedOver closes what net/http has not accepted.
func (l *Listener) dropHandedOver() {
	for {
		select {
		case c := <-l.handedOver:
			c.Close()
		default:
			return
		}
	}
}

// addIdle makes Close close c, unless a byte comes on it before.
func (l *Listener) addIdle(c *netConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle[c] = struct{}{}
	c.firstByte = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.idle, c)
	}
}

// standIn is a request that net/http serves in place of those that loops serve: of
// these it knows nothing, but http.Server.Shutdown has to wait for them. It is an
// "OPTIONS *", which net/http answers by itself, with a body of which no byte comes.
// It ends when the listener is closed and the last request has ended.
//
// The request is made when Serve begins, because net/http takes none that comes
// after Shutdown.
type standIn struct {
	client, server net.Conn
	served         chan struct{} // closed when net/http waits for the body
}

// standInServer is the end of the stand-in that net/http reads: the head comes with the
// first read, so the second one is for the body.
type standInServer struct {
	net.Conn
	reads  int // owned by the goroutine that reads
	served chan<- struct{}
}

func (s *standInServer) Read(b []byte) (int, error) {
	if s.reads++; s.reads == 2 {
		close(s.served)
	}
	return s.Conn.Read(b)
}

const standInRequest = "OPTIONS * HTTP/1.1\r\nHost: standin\r\nContent-Length: 1\r\n\r\n"

func newStandIn() standIn {
	client, server := net.Pipe()
	served := make(chan struct{})
	return standIn{client, &standInServer{Conn: server, served: served}, served}
}

// send returns when net/http has read the request, or has closed server.
func (s standIn) send() { io.WriteString(s.client, standInRequest) }

func (s standIn) end() { s.client.Close() }
