package client

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/client"
)

// line carries TCP connections to a server and cuts them.
type line struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup
	cuts     atomic.Int64

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
}

func newLine(t *testing.T, target string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &line{listener: l, target: strings.TrimPrefix(target, "http://"), conns: map[net.Conn]bool{}}
	p.all.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.carry(front) })
		}
	})
	t.Cleanup(func() { l.Close(); p.cut(); p.all.Wait() })
	return p
}

func (p *line) url() string { return "http://" + p.listener.Addr().String() }

func (p *line) carry(front net.Conn) {
	defer front.Close()
	back, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer back.Close()
	p.keep(front, true)
	p.keep(back, true)
	defer p.keep(front, false)
	defer p.keep(back, false)
	var both sync.WaitGroup
	both.Go(func() { io.Copy(back, front); back.Close() })
	both.Go(func() { io.Copy(front, back); front.Close() })
	both.Wait()
}

func (p *line) keep(c net.Conn, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.conns[c] = true
	} else {
		delete(p.conns, c)
	}
}

// cut resets every connection.
func (p *line) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
	p.cuts.Add(1)
}

// cutAtRandom cuts until ctx ends.
func (p *line) cutAtRandom(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(20+rand.IntN(400)) * time.Millisecond):
			p.cut()
		}
	}
}

// ourServer is a server of this module with the handlers of testdata/server.js that
// the tests of lines need.
func ourServer(t *testing.T, o *socketio.Options) string {
	t.Helper()
	srv, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[int]bool{}
	order := []int{}
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("echo", func(e *socketio.Event) { e.Ack(e.Args()) })
		s.On("numbered", func(e *socketio.Event) {
			var id int
			if err := e.Bind(&id); err != nil {
				t.Error(err)
			}
			mu.Lock()
			if !seen[id] {
				seen[id] = true
				order = append(order, id)
			}
			mu.Unlock()
			e.Ack(id)
		})
		s.On("seen", func(e *socketio.Event) {
			mu.Lock()
			defer mu.Unlock()
			e.Ack(order)
		})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: srv}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(l)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
		<-served
	})
	return "http://" + l.Addr().String()
}

// cutTime is how long the lines are cut: POSTHOUSE_CUTS=10m for the long run.
func cutTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("POSTHOUSE_CUTS")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sendNumbered sends messages numbered from 0 until ctx ends, waits until each is
// acknowledged, and returns how many there were and how many were given up.
func sendNumbered(t *testing.T, ctx context.Context, s *client.Socket) (n int, failed int64) { //nolint:revive // t first, as in all helpers
	t.Helper()
	var acked, lost atomic.Int64
	var answers sync.WaitGroup
	pace := time.NewTicker(500 * time.Microsecond)
	defer pace.Stop()
	for ctx.Err() == nil {
		<-pace.C
		if n-int(acked.Load()) > 1000 {
			continue
		}
		answers.Add(1)
		err := s.EmitAck("numbered", func(a socketio.Args, err error) {
			defer answers.Done()
			var got int
			if err == nil && a.Bind(&got) == nil {
				acked.Add(1)
			} else {
				lost.Add(1)
			}
		}, n)
		if err != nil {
			t.Error(err)
			return n, 1
		}
		n++
	}
	done := make(chan struct{})
	go func() { answers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * patience):
		t.Errorf("%d of %d acknowledged", acked.Load(), n)
	}
	return n, lost.Load()
}

// checkNumbers fails the test unless seen is 0 to n-1, in order.
func checkNumbers(t *testing.T, seen []int, n int) {
	t.Helper()
	if len(seen) != n {
		t.Errorf("%d of %d were seen", len(seen), n)
	}
	for i, id := range seen {
		if i != id {
			t.Fatalf("message %d is in the place of %d", id, i)
		}
	}
}

// Lines that are cut at random: with retries, and a server that knows a message from its
// repeats, no message is lost, doubled or out of order.
func TestCuts_NumberedMessages_NoneLostNoneDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("lines that are cut: not with -short")
	}
	servers := map[string]func(*testing.T) (string, peer){
		"ours": func(t *testing.T) (string, peer) { return ourServer(t, nil), peer{"ours", "json", 4} },
		"node": func(t *testing.T) (string, peer) {
			p := peer{"socket.io", "json", 4}
			url, _ := p.start(t, 0)
			return url, p
		},
		"bun": func(t *testing.T) (string, peer) {
			p := peer{bunEngine, "json", 4}
			url, _ := p.start(t, 0)
			return url, p
		},
		"node 2.5": func(t *testing.T) (string, peer) {
			p := peer{"sios-2.5", "json", 3}
			url, _ := p.start(t, 0)
			return url, p
		},
	}
	for name, start := range servers {
		for transport, list := range transports {
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				url, p := start(t)
				line := newLine(t, url)
				ctx, cancel := context.WithTimeout(t.Context(), cutTime(t))
				defer cancel()
				o := p.options(list...)
				o.Retries, o.AckTimeout = 1<<30, 2*time.Second
				s := newClient(t, line.url(), o)
				connect(t, s)
				var cutter sync.WaitGroup
				cutter.Go(func() { line.cutAtRandom(ctx) })
				n, failed := sendNumbered(t, ctx, s)
				cutter.Wait()
				seen, err := client.Call[[]int](soon(t), s, "seen")
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d messages, %d cuts", n, line.cuts.Load())
				if failed != 0 {
					t.Errorf("%d failed", failed)
				}
				checkNumbers(t, seen, n)
			})
		}
	}
}
