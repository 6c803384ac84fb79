package engineio_test

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"posthouse/socketio/engineio"
)

// connCount is a ConnLimiter that keeps up to max connections.
type connCount struct {
	mu       sync.Mutex
	max      int
	open     int
	admitted int
	strange  []netip.AddrPort // released without being open, or of no known address
}

func (c *connCount) AdmitConn(remote netip.AddrPort) (status, retryAfter int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.max {
		return http.StatusTooManyRequests, 7
	}
	c.open++
	c.admitted++
	c.checkLocked(remote)
	return 0, 0
}

func (c *connCount) ReleaseConn(remote netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	c.checkLocked(remote)
}

func (c *connCount) checkLocked(remote netip.AddrPort) {
	if c.open < 0 || remote.Addr() != netip.MustParseAddr("127.0.0.1") || remote.Port() == 0 {
		c.strange = append(c.strange, remote)
	}
}

func (c *connCount) now() (open, admitted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, c.admitted
}

// A connection counts from its accept until it is closed or a WebSocket, whichever
// goroutine or loop has it meanwhile.
func TestConnLimiter_CountsEveryConnectionUntilItsEnd(t *testing.T) {
	for name, change := range map[string]func(*served){
		"event loop": nil,
		"net/http":   func(w *served) { w.hs.ConnState = func(_ net.Conn, _ http.ConnState) {} },
	} {
		t.Run(name, func(t *testing.T) {
			limiter := &connCount{max: 8}
			w := serveTCP(t, engineio.Options{ConnLimiter: limiter}, change)
			until := func(what string, want int) {
				t.Helper()
				eventually(t, what, func() bool {
					open, _ := limiter.now()
					return open == want
				})
			}
			idle, slow, odd := w.line(), w.line(), w.line()
			sid := idle.open()
			slow.send("POST /engine.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4")
			odd.send("GET /elsewhere HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n")
			odd.answer()
			until("an idle, a slow and an odd connection are open", 3)

			s, _ := w.websocket()
			until("a WebSocket is a session's", 3)
			s.conn.Close()

			idle.conn.Close()
			slow.conn.Close()
			odd.conn.Close()
			until("all are closed", 0)
			if len(limiter.strange) > 0 {
				t.Errorf("released although not open, or of a strange address: %v", limiter.strange)
			}
		})
	}
}

func TestConnLimiter_RefusalIsAnswerAndClose(t *testing.T) {
	for name, change := range map[string]func(*served){
		"event loop": nil,
		"net/http":   func(w *served) { w.hs.ConnState = func(_ net.Conn, _ http.ConnState) {} },
	} {
		t.Run(name, func(t *testing.T) {
			limiter := &connCount{max: 2}
			w := serveTCP(t, engineio.Options{ConnLimiter: limiter}, change)
			first, second := w.line(), w.line()
			first.open()
			second.open()
			third := w.line()
			r := third.answer()
			if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") != "7" {
				t.Errorf("%+v, want 429 with Retry-After 7", r)
			}
			if !third.ended() {
				t.Error("the refused connection stays open")
			}
			first.conn.Close()
			eventually(t, "one is free", func() bool { open, _ := limiter.now(); return open == 1 })
			w.line().open()
		})
	}
}
