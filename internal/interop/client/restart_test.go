package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/client"
)

// startNginx runs nginx with the configuration that is shipped, in front of the servers at
// addrs, and returns its URL.
func startNginx(t *testing.T, addrs ...string) string {
	t.Helper()
	testenv.Need(t, "nginx")
	conf, err := os.ReadFile(filepath.Join(testenv.Root(), "examples", "deploy", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	port := testenv.FreePort(t)
	dir := t.TempDir()
	text := string(conf)
	for i := range 3 {
		text = strings.ReplaceAll(text, fmt.Sprintf("gateway%d:3000", i+1), addrs[i%len(addrs)])
	}
	text = strings.Replace(text, "listen 80;", fmt.Sprintf("listen 127.0.0.1:%d;", port), 1)
	text = strings.Replace(text, "worker_rlimit_nofile 65536;", "", 1)
	text = strings.Replace(text, "worker_connections 16384;", "worker_connections 512;", 1)
	text = "daemon off;\nerror_log stderr crit;\npid " + dir + "/nginx.pid;\n" + text
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Start(t, nil, "nginx", "-c", file, "-p", dir)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	testenv.Until(t, patience, "nginx listens", func() bool { return canDial(addr) })
	return "http://" + addr
}

func canDial(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// Through nginx with the configuration that is shipped.
func TestNginx_AsShipped(t *testing.T) {
	if testing.Short() {
		t.Skip("nginx: not with -short")
	}
	url := startNginx(t, strings.TrimPrefix(ourServer(t, nil), "http://"))
	for name, list := range transports {
		s := connect(t, newClient(t, url, &client.Options{Transports: list}))
		for i := range 100 {
			if n, err := client.Call[int](soon(t), s, "echo", i, make([]byte, 10*i)); n != i || err != nil {
				t.Fatalf("%s: %d, %v", name, n, err)
			}
		}
	}
}

// ledger is the database of servers that restart: it knows a message from its repeats.
type ledger struct {
	mu      sync.Mutex // guards what follows
	known   map[int]bool
	order   []int
	repeats int
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	id, parseErr := strconv.Atoi(string(body))
	if err != nil || parseErr != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known[id] {
		l.repeats++
		return
	}
	l.known[id] = true
	l.order = append(l.order, id)
}

func (l *ledger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.order)
}

// numberedServer is a server, and a process of its own, that acknowledges a numbered message
// once the ledger has it. It ends in order with SIGTERM.
func numberedServer(addr, ledgerURL string) error {
	srv, err := socketio.New(nil)
	if err != nil {
		return err
	}
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("numbered", func(e *socketio.Event) {
			id := e.Args().JSON(0)
			resp, err := http.Post(ledgerURL, "text/plain", bytes.NewReader(id))
			if err != nil {
				return
			}
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				_ = e.Ack(id)
			}
		})
	})
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		l.Close()
	})
	_ = srv.Serve(l, &http.Server{Handler: srv, ReadHeaderTimeout: patience})
	return nil
}

// startNumbered runs numberedServer.
func startNumbered(t *testing.T, addr, ledgerURL string) *testenv.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := testenv.Start(t, []string{roleVar + "=numbered " + addr + " " + ledgerURL}, self)
	testenv.Until(t, patience, "the server listens", func() bool { return canDial(addr) })
	return p
}

// Servers behind nginx that are ended in order, or killed, and started again: with retries
// and servers that know a message from its repeats, none that was acknowledged is lost,
// none is doubled, and their order stays.
func TestNginx_ServersRestart_NoneLostNoneDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("restarts: not with -short")
	}
	// Two servers share no sessions, so that a client that polls would need one of them.
	servers := map[string]int{"websocket": 2, "polling": 1, "upgrade": 1}
	for name, list := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := &ledger{known: map[int]bool{}}
			database := httptest.NewServer(book)
			defer database.Close()
			var addrs []string
			var replicas []*testenv.Process
			for range servers[name] {
				addr := fmt.Sprintf("127.0.0.1:%d", testenv.FreePort(t))
				addrs = append(addrs, addr)
				replicas = append(replicas, startNumbered(t, addr, database.URL))
			}
			s := newClient(t, startNginx(t, addrs...), &client.Options{
				Transports: list, ReconnectDelay: 20 * time.Millisecond, ReconnectDelayMax: 200 * time.Millisecond,
				Retries: 1 << 30, AckTimeout: 2 * time.Second,
			})
			connections := make(chan struct{}, 1000)
			s.OnConnect(func() { connections <- struct{}{} })
			connect(t, s)
			wait(t, "the connection", connections)

			ctx, cancel := context.WithTimeout(t.Context(), cutTime(t))
			defer cancel()
			sending, stopSending := context.WithCancel(t.Context())
			var n int
			var failed int64
			sent := make(chan struct{})
			t.Cleanup(func() { stopSending(); <-sent })
			go func() {
				defer close(sent)
				n, failed = sendNumbered(t, sending, s)
			}()
			restarts := 0
			for ; restarts < 4 || ctx.Err() == nil; restarts++ {
				i := restarts % len(replicas)
				if restarts/2%2 == 0 {
					replicas[i].Kill()
				} else if err := replicas[i].Stop(patience); err != nil {
					t.Error(err)
				}
				replicas[i] = startNumbered(t, addrs[i], database.URL)
				before := book.len()
				testenv.Until(t, patience, "messages go on", func() bool { return book.len() > before+50 })
			}
			stopSending()
			<-sent
			book.mu.Lock()
			defer book.mu.Unlock()
			t.Logf("%d messages, %d restarts, %d connections, %d repeats", n, restarts, len(connections)+1, book.repeats)
			if failed != 0 || len(connections) == 0 {
				t.Errorf("%d failed, %d new connections", failed, len(connections))
			}
			checkNumbers(t, book.order, n)
		})
	}
}
