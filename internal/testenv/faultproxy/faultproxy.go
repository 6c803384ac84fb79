// Package faultproxy is a TCP proxy for tests that stands on one edge of a system and
// breaks it: connections are delayed, throttled, frozen, reset, refused, or left half
// open. A fault concerns all connections of the edge, or those on which a given word was
// sent, which tells the subscriptions of a Redis client from its commands.
//
// The proxy owns two goroutines for each connection; Close ends them and waits.
package faultproxy

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/sleep"
)

// Fault is what happens to a connection. The zero value is a healthy edge.
type Fault struct {
	Delay time.Duration // of every read, in both directions
	Rate  int           // bytes per second in each direction; 0: no limit
	// Blackhole holds back what both sides say, and that they close, until the edge heals: a
	// side may be gone while the other still believes in a connection, which is half open then.
	Blackhole bool
	// Deaf holds back only what the target answers.
	Deaf bool
	// Refuse resets connections.
	Refuse bool
}

// rule is a fault of the connections that sent word.
type rule struct {
	word  string
	fault Fault
}

// Proxy is one edge.
type Proxy struct {
	target   string
	listener net.Listener
	accepted atomic.Int64
	serving  sync.WaitGroup
	ctx      context.Context // ends with the proxy
	stop     context.CancelFunc

	mu      sync.Mutex // guards what follows
	rules   []rule     // the first that fits holds
	changed chan struct{}
	conns   map[*conn]struct{}
	closed  bool
}

type conn struct {
	client, server net.Conn

	sent []byte // the first bytes of the client, in small letters; guarded by Proxy.mu
}

// New starts a proxy to target, which is host:port.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l, changed: make(chan struct{}), conns: make(map[*conn]struct{})}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			p.serving.Go(func() { p.serve(c) })
		}
	})
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Accepted is how many connections came so far.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// Open is how many connections there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Set makes a fault of the connections that send word, now and later; "" is all of them.
// A zero Fault heals them.
func (p *Proxy) Set(word string, f Fault) {
	p.mu.Lock()
	kept := p.rules[:0:0]
	for _, r := range p.rules {
		if r.word != word {
			kept = append(kept, r)
		}
	}
	if f != (Fault{}) {
		kept = append(kept, rule{strings.ToLower(word), f})
	}
	p.rules = kept
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if f.Refuse {
		p.Cut(word)
	}
}

// Heal ends all faults.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut resets the connections that sent word, "" all of them, and counts them.
func (p *Proxy) Cut(word string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if word == "" || bytes.Contains(c.sent, []byte(strings.ToLower(word))) {
			c.reset()
			n++
		}
	}
	return n
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.stop()
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	p.Cut("")
	p.serving.Wait()
}

// reset closes both sides with RST, so that neither takes the end for an orderly one.
func (c *conn) reset() {
	for _, side := range []net.Conn{c.client, c.server} {
		if tcp, ok := side.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
			_ = tcp.Close()
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	c := &conn{client: client}
	if f, _ := p.fault(c); f.Refuse {
		c.reset()
		return
	}
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		c.reset()
		return
	}
	c.server = server
	p.mu.Lock()
	p.conns[c] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		c.reset()
	}
	var up sync.WaitGroup
	up.Go(func() { p.pump(c, client, server, true) })
	p.pump(c, server, client, false)
	up.Wait()
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// fault is what concerns a connection now, and the channel that is closed when it may be
// another one.
func (p *Proxy) fault(c *conn) (Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return Fault{}, p.changed
	}
	for _, r := range p.rules {
		if r.word == "" || bytes.Contains(c.sent, []byte(r.word)) {
			return r.fault, p.changed
		}
	}
	return Fault{}, p.changed
}

// remember keeps the first bytes of a client, by which rules know its connection.
func (p *Proxy) remember(c *conn, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(c.sent) < 4096 {
		c.sent = append(c.sent, bytes.ToLower(data)...)
	}
}

// pump carries one direction until it ends or breaks.
func (p *Proxy) pump(c *conn, from, to net.Conn, up bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if up {
			p.remember(c, buf[:n])
		}
		f := p.held(c, up)
		switch {
		case f.Refuse:
			c.reset()
			return
		case f.Delay > 0:
			_ = sleep.For(p.ctx, f.Delay)
		}
		if n > 0 && !p.write(c, to, buf[:n], f.Rate) {
			c.reset()
			return
		}
		if err != nil {
			if tcp, ok := to.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			return
		}
	}
}

// held waits while the edge lets nothing through, and returns what holds afterwards.
func (p *Proxy) held(c *conn, up bool) Fault {
	for {
		f, changed := p.fault(c)
		if !f.Blackhole && (!f.Deaf || up) {
			return f
		}
		<-changed
	}
}

func (p *Proxy) write(c *conn, to net.Conn, data []byte, rate int) bool {
	if rate <= 0 {
		_, err := to.Write(data)
		return err == nil
	}
	for len(data) > 0 {
		n := min(len(data), max(1, rate/10))
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
		_ = sleep.For(p.ctx, time.Duration(n)*time.Second/time.Duration(rate))
		if f, _ := p.fault(c); f.Rate != rate && len(data) > 0 {
			return p.write(c, to, data, f.Rate)
		}
	}
	return true
}
