package history_test

import (
	"net"
	"sync"
	"testing"
)

// link is a TCP proxy between a node and a Redis server. Held, it carries nothing in either
// direction and its connections stay open; closed, it cuts them and takes no others.
type link struct {
	addr, target string

	mu     sync.Mutex // guards what follows
	pass   chan struct{}
	closed bool
	conns  map[net.Conn]struct{}
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &link{addr: l.Addr().String(), target: target, pass: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.pass)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.shut()
		p.release()
		wg.Wait()
	})
	return p
}

func (p *link) serve(c net.Conn) {
	defer c.Close()
	if !p.add(c) {
		return
	}
	defer p.remove(c)
	s, err := net.Dial("tcp", p.target)
	if err != nil || !p.add(s) {
		return
	}
	defer p.remove(s)
	var wg sync.WaitGroup
	wg.Go(func() { p.carry(c, s) })
	p.carry(s, c)
	wg.Wait()
}

func (p *link) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *link) remove(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *link) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		pass := p.pass
		p.mu.Unlock()
		<-pass
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// hold stops the traffic until release.
func (p *link) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.pass:
		p.pass = make(chan struct{})
	default:
	}
}

func (p *link) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.pass:
	default:
		close(p.pass)
	}
}

// cut ends the connections that there are.
func (p *link) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// shut is cut, also for all later connections until open.
func (p *link) shut() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
}

func (p *link) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}
