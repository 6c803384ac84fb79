package engineio_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/testenv"

	"posthouse/socketio/engineio"
)

// The tests of this file need the sockets of a real kernel, so there is no fake time. Each
// test runs in every way in which a WebSocket can come to be read.

var readings = map[string]reading{"loop": {}, "goroutine": {goroutines: true}, "serve": {serve: true}}

type reading struct {
	goroutines, serve bool
	made              func(*engineio.Server) // nil: nothing to do with the server
}

// start serves a server on a loopback address; stop ends that, and fails unless
// nothing is left.
func (rd reading) start(tb testing.TB, o engineio.Options) (addr string, stop func()) {
	srv := engineio.NewServer(&o)
	if rd.goroutines {
		engineio.UseGoroutineReaders(srv)
	}
	if rd.made != nil {
		rd.made(srv)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	hs := &http.Server{Handler: srv, ErrorLog: log.New(io.Discard, "", 0)}
	served := rd.run(srv, lis, hs)
	return lis.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Error(err)
		}
		hs.Close()
		if err := <-served; err != http.ErrServerClosed { //nolint:errorlint // the very value
			tb.Errorf("served: %v", err)
		}
	}
}

// run begins to serve; what that returned comes out of the channel.
func (rd reading) run(srv *engineio.Server, lis net.Listener, hs *http.Server) <-chan error {
	served := make(chan error, 1)
	go func() { // ends with hs
		if rd.serve {
			served <- srv.Serve(lis, hs)
		} else {
			served <- hs.Serve(lis)
		}
	}()
	return served
}

// tcp is a server on a loopback address.
type tcp struct {
	t     *testing.T
	addr  string
	peers chan *peer
}

// overTCP runs f with each way of reading.
func overTCP(t *testing.T, o engineio.Options, setup func(p *peer), f func(t *testing.T, w *tcp)) {
	for name, rd := range readings {
		t.Run(name, func(t *testing.T) {
			w := &tcp{t: t, peers: make(chan *peer, 1000)}
			own := o
			if own.Accept == nil {
				own.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
					p := &peer{s: s}
					if setup != nil {
						setup(p)
					}
					w.peers <- p
					return p, nil
				}
			}
			var stop func()
			w.addr, stop = rd.start(t, own)
			defer stop()
			f(t, w)
		})
	}
}

func (w *tcp) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// websocket opens a session and returns both ends.
func (w *tcp) websocket() (*socket, *peer) {
	w.t.Helper()
	s := dialSocket(w.t, w.dial(), "EIO=4&transport=websocket", nil)
	s.recv()
	return s, <-w.peers
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testenv.Until(t, 20*time.Second, what, ok)
}

func (p *peer) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed > 0
}

func TestLoop_BytesBehindTheHandshakeAreNotLost(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		c := w.dial()
		head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
		c.Write(appendMasked([]byte(head), "4early"))
		s := readSocket(t, c)
		s.recv()
		s.expect(t, "4early")
		s.send("4later")
		s.expect(t, "4later")
	})
}

func TestLoop_ManyConnectionsComeAndGo(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		for range 3 { // in between there are none: loops end and begin
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					s := dialSocket(t, w.dial(), "EIO=4&transport=websocket", nil)
					s.recv()
					p := <-w.peers
					for range 20 {
						s.send("4x")
						s.expect(t, "4x")
					}
					s.conn.Close()
					_ = p
				})
			}
			all.Wait()
		}
	})
}

func TestLoop_MessageLargerThanATurn(t *testing.T) {
	const size = 3 << 20
	o := engineio.Options{MaxPayload: 4 << 20, MaxBuffered: 8 << 20}
	overTCP(t, o, echo, func(t *testing.T, w *tcp) {
		big, _ := w.websocket()
		small, _ := w.websocket()
		text := "4" + strings.Repeat("x", size)
		go big.send(text)
		small.send("4y")
		small.expect(t, "4y")
		if e := big.recv(); e.text != text {
			t.Errorf("got %d bytes", len(e.text))
		}
	})
}

// A peer that reads nothing for a while gets everything in the end, in order.
func TestLoop_SlowPeerGetsEverythingInOrder(t *testing.T) {
	o := engineio.Options{MaxBuffered: 64 << 20}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) {
		c := w.dial()
		c.Write([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"))
		p := <-w.peers
		chunk := strings.Repeat("z", 100_000)
		for i := range 120 {
			p.s.Send(text(string(rune('A'+i%26)) + chunk))
			p.s.SendMessages(engineio.Message{Data: []byte{byte('a' + i%26)}})
		}
		flushed := make(chan struct{})
		p.s.AfterFlush(func() { close(flushed) })
		if p.s.SendVolatile(text("volatile")) {
			t.Error("volatile was taken")
		}
		s := readSocket(t, c)
		s.recv()
		for i := range 120 {
			if e := s.recv(); e.text != "4"+string(rune('A'+i%26))+chunk {
				t.Fatalf("message %d: %d bytes, close %d", i, len(e.text), e.close)
			}
			s.expect(t, "4"+string(rune('a'+i%26)))
		}
		<-flushed
		s.send("4still here")
		eventually(t, "the answer", func() bool { return len(p.messages()) == 1 })
	})
}

func TestLoop_PeerThatTakesNothingIsClosed(t *testing.T) {
	o := engineio.Options{MaxBuffered: 64 << 20, WriteTimeout: 100 * time.Millisecond}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) {
		c := w.dial()
		c.Write([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"))
		p := <-w.peers
		p.s.Send(text(strings.Repeat("z", 16<<20)))
		eventually(t, "closed", p.ended)
		if reason, err := p.end(); reason != engineio.ReasonTransportError || !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("%q, %v", reason, err)
		}
		// The connection is gone, not only the session.
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, context.DeadlineExceeded) {
			t.Error("the connection stays open")
		}
	})
}

func TestSession_Pause_OverTCP(t *testing.T) {
	pauseAt := func(p *peer) {
		p.receive = func(m engineio.Message) error {
			if bytes.HasPrefix(m.Data, []byte("pause")) {
				return engineio.ErrPause
			}
			return nil
		}
	}
	overTCP(t, engineio.Options{}, pauseAt, func(t *testing.T, w *tcp) {
		s, p := w.websocket()
		other, q := w.websocket()
		var b []byte
		for _, m := range []string{"4pause", "4a", "4pause", "4b"} {
			b = appendMasked(b, m)
		}
		s.conn.Write(b)
		eventually(t, "paused", func() bool { return len(p.messages()) == 1 })
		s.send("4c") // comes while the loop does not read
		other.send("4x")
		eventually(t, "others go on", func() bool { return len(q.messages()) == 1 })
		p.s.Send(text("out"))
		s.expect(t, "4out") // writing goes on too
		p.s.Resume()
		eventually(t, "paused again", func() bool { return len(p.messages()) == 3 })
		p.s.Resume()
		eventually(t, "everything", func() bool { return len(p.messages()) == 5 })
		if got := strings.Join(p.messages(), " "); got != "pause a pause b c" {
			t.Errorf("got %s", got)
		}
		s.send("4pause")
		eventually(t, "paused for good", func() bool { return len(p.messages()) == 6 })
		p.s.Discard()
		eventually(t, "closed", p.ended)
		if e := s.recv(); e.close == 0 {
			t.Errorf("got %+v", e)
		}
	})
}

func TestSession_Pause_PeerLeavesMeanwhile(t *testing.T) {
	overTCP(t, engineio.Options{}, func(p *peer) {
		p.receive = func(engineio.Message) error { return engineio.ErrPause }
	}, func(t *testing.T, w *tcp) {
		s, p := w.websocket()
		s.send("4a")
		eventually(t, "paused", func() bool { return len(p.messages()) == 1 })
		s.conn.Close()
		p.s.Resume()
		eventually(t, "closed", p.ended)
		if reason, _ := p.end(); reason != engineio.ReasonTransportClose {
			t.Errorf("reason %q", reason)
		}
	})
}

// blocker has a Closed that takes its time.
type blocker struct {
	*peer
	closing, release chan struct{}
}

func (b *blocker) Closed(reason engineio.Reason, err error) {
	close(b.closing)
	<-b.release
	b.peer.Closed(reason, err)
}

func TestLoop_SlowClosedHoldsUpNoOtherSession(t *testing.T) {
	b := &blocker{}
	var first sync.Once
	var sessions chan *peer
	o := engineio.Options{Accept: func(s *engineio.Session, r *http.Request) (h engineio.Handler, err error) {
		p := &peer{s: s}
		echo(p)
		h = p
		first.Do(func() { b.peer, h = p, b })
		sessions <- p
		return h, nil
	}}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) {
		*b = blocker{closing: make(chan struct{}), release: make(chan struct{})}
		first, sessions = sync.Once{}, w.peers
		slow, p := w.websocket()
		p.s.Discard()
		<-b.closing
		slow.send("4what now")
		for range 8 { // one on each loop at least
			s, _ := w.websocket()
			s.send("4x")
			s.expect(t, "4x")
		}
		close(b.release)
		eventually(t, "closed", p.ended)
	})
}

func TestLoop_PeerThatResets(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		for i := range 40 {
			s, p := w.websocket()
			if i%2 == 0 {
				s.send("4x")
			}
			s.conn.(*net.TCPConn).SetLinger(0)
			s.conn.Close()
			eventually(t, "closed", p.ended)
			if reason, _ := p.end(); reason != engineio.ReasonTransportClose {
				t.Errorf("reason %q", reason)
			}
		}
	})
}

func TestSession_Close_EveryWayEndsTheConnection(t *testing.T) {
	ways := map[string]func(s *socket, p *peer){
		"Close":                func(s *socket, p *peer) { p.s.Close() },
		"Discard":              func(s *socket, p *peer) { p.s.Discard() },
		"close packet":         func(s *socket, p *peer) { s.send("1") },
		"breach of WebSocket":  func(s *socket, p *peer) { s.conn.Write([]byte{0xff, 0xff}) },
		"breach of Engine.IO":  func(s *socket, p *peer) { s.send("9") },
		"Close after a send":   func(s *socket, p *peer) { p.s.Send(text("x")); p.s.Close() },
		"half closed by peer":  func(s *socket, p *peer) { s.conn.(*net.TCPConn).CloseWrite() },
		"message, half closed": func(s *socket, p *peer) { s.send("4x"); s.conn.(*net.TCPConn).CloseWrite() },
	}
	overTCP(t, engineio.Options{}, nil, func(t *testing.T, w *tcp) {
		for name, way := range ways {
			s, p := w.websocket()
			way(s, p)
			eventually(t, name+": closed", p.ended)
			for e := s.recv(); e.close == 0; e = s.recv() {
			}
			s.conn.Close()
		}
	})
}

// newTLSServer serves srv behind TLS until the test ends.
func newTLSServer(t *testing.T, srv *engineio.Server) *httptest.Server {
	t.Helper()
	ts := httptest.NewUnstartedServer(srv)
	ts.Config.ErrorLog = log.New(io.Discard, "", 0)
	ts.StartTLS()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		ts.Close()
	})
	return ts
}
