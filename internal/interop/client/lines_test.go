package client

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/internal/testenv"
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
				var acked, failed atomic.Int64
				var answers sync.WaitGroup
				connect(t, s)
				var cutter sync.WaitGroup
				cutter.Go(func() { line.cutAtRandom(ctx) })
				n := 0
				pace := time.NewTicker(500 * time.Microsecond)
				defer pace.Stop()
				for ; ctx.Err() == nil; n++ {
					if n-int(acked.Load()) > 1000 {
						<-pace.C
						n--
						continue
					}
					answers.Add(1)
					err := s.EmitAck("numbered", func(a socketio.Args, err error) {
						defer answers.Done()
						var got int
						if err == nil && a.Bind(&got) == nil {
							acked.Add(1)
						} else {
							failed.Add(1)
						}
					}, n)
					if err != nil {
						t.Fatal(err)
					}
					<-pace.C
				}
				cutter.Wait()
				done := make(chan struct{})
				go func() { answers.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(3 * patience):
					t.Fatalf("%d of %d acknowledged", acked.Load(), n)
				}
				seen, err := client.Call[[]int](soon(t), s, "seen")
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d messages, %d cuts", n, line.cuts.Load())
				if failed.Load() != 0 || len(seen) != n {
					t.Errorf("%d of %d were seen, %d failed", len(seen), n, failed.Load())
				}
				for i, id := range seen {
					if i != id {
						t.Fatalf("message %d is in the place of %d", id, i)
					}
				}
			})
		}
	}
}

// Through nginx with the configuration that is shipped.
func TestNginx_AsShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("nginx: not with -short")
	}
	testenv.Need(t, "nginx")
	addr := strings.TrimPrefix(ourServer(t, nil), "http://")
	conf, err := os.ReadFile(filepath.Join(testenv.Root(), "examples", "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	port := testenv.FreePort(t)
	dir := t.TempDir()
	text := string(conf)
	for _, replica := range []string{"gateway1:3000", "gateway2:3000", "gateway3:3000"} {
		text = strings.ReplaceAll(text, replica, addr)
	}
	text = strings.Replace(text, "listen 80;", fmt.Sprintf("listen 127.0.0.1:%d;", port), 1)
	text = strings.Replace(text, "worker_rlimit_nofile 65536;", "", 1)
	text = strings.Replace(text, "worker_connections 16384;", "worker_connections 512;", 1)
	text = "daemon off;\nerror_log stderr warn;\npid " + dir + "/nginx.pid;\n" + text
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, nil, "nginx", "-c", file, "-p", dir)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	testenv.Until(t, patience, "nginx listens", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	for name, list := range transports {
		s := connect(t, newClient(t, url, &client.Options{Transports: list}))
		for i := range 100 {
			if n, err := client.Call[int](soon(t), s, "echo", i, make([]byte, 10*i)); n != i || err != nil {
				t.Fatalf("%s: %d, %v", name, n, err)
			}
		}
	}
}
