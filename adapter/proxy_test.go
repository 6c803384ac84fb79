package adapter_test

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// faultProxy stands between an adapter and Redis. Its faults concern connections
// on which a given command was sent.
type faultProxy struct {
	addr     string
	target   string
	accepted atomic.Int64
	mu       sync.Mutex
	conns    map[*proxiedConn]struct{}
	refuse   string // connections that send this word are cut
	hold     string // what connections say from this word on waits for release
	release  chan struct{}
}

type proxiedConn struct {
	client, server net.Conn
	sent           string // the words of the first bytes the client sent
	isHeld         bool   // guarded by faultProxy.mu
	gate           sync.RWMutex
}

func newFaultProxy(t testing.TB, target string) *faultProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{addr: l.Addr().String(), target: target, conns: make(map[*proxiedConn]struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cut("")
		wg.Wait()
	})
	return p
}

func (p *faultProxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	pc := &proxiedConn{client: c, server: s}
	p.mu.Lock()
	p.conns[pc] = struct{}{}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer c.Close()
		defer s.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			p.mu.Lock()
			if len(pc.sent) < 4096 {
				pc.sent += string(bytes.ToLower(buf[:n]))
			}
			refused := p.refuse != "" && strings.Contains(pc.sent, p.refuse)
			var release chan struct{}
			if p.hold != "" && (strings.Contains(pc.sent, p.hold) || strings.Contains(strings.ToLower(string(buf[:n])), p.hold)) {
				release, pc.isHeld = p.release, true
			}
			p.mu.Unlock()
			if release != nil {
				<-release
			}
			if refused {
				return
			}
			if _, err := s.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Read(buf)
		if err != nil {
			break
		}
		pc.gate.RLock() // held while frozen
		_, err = c.Write(buf[:n])
		pc.gate.RUnlock()
		if err != nil {
			break
		}
	}
	c.Close()
	s.Close()
	wg.Wait()
	p.mu.Lock()
	delete(p.conns, pc)
	p.mu.Unlock()
}

// with returns the connections on which word was sent.
func (p *faultProxy) with(word string) (list []*proxiedConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if strings.Contains(c.sent, word) {
			list = append(list, c)
		}
	}
	return list
}

// freeze stops what Redis says on connections that sent word; they stay open. The
// function it returns lets it go on.
func (p *faultProxy) freeze(word string) (thaw func()) {
	list := p.with(word)
	for _, c := range list {
		c.gate.Lock()
	}
	return sync.OnceFunc(func() {
		for _, c := range list {
			c.gate.Unlock()
		}
	})
}

func (p *faultProxy) cut(word string) {
	for _, c := range p.with(word) {
		c.client.Close()
		c.server.Close()
	}
}

// delay holds back what clients say on connections that send word, until release.
func (p *faultProxy) delay(word string) (release func()) {
	held := make(chan struct{})
	p.mu.Lock()
	p.hold, p.release = word, held
	p.mu.Unlock()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		p.hold = ""
		p.mu.Unlock()
		close(held)
	})
}

// passOthers lets the bytes of connections that are not held yet pass.
func (p *faultProxy) passOthers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = ""
}

// heldConns counts the open connections that were held, be it in the past.
func (p *faultProxy) heldConns() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if c.isHeld {
			n++
		}
	}
	return n
}

// refuseConns cuts every connection that sends word, until it is called with "".
func (p *faultProxy) refuseConns(word string) {
	p.mu.Lock()
	p.refuse = word
	p.mu.Unlock()
	if word != "" {
		p.cut(word)
	}
}
