package engineio_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// served is a server behind Serve, and what it serves with.
type served struct {
	tcp
	srv  *engineio.Server
	hs   *http.Server
	lis  net.Listener
	errs <-chan error

	mu    sync.Mutex
	kinds map[string]int // of the response writers
	log   logged
}

// logged is an http.Server's ErrorLog.
type logged struct {
	mu   sync.Mutex
	text string
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// count notes which way a request came.
func (w *served) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.kinds[fmt.Sprintf("%T", rw)]++
		w.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// fastPath reports whether Serve has a fast path here: there is none on other systems,
// nor without package fasthttp1.
var fastPath = sync.OnceValue(func() bool {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	kinds := make(chan string, 1)
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { kinds <- fmt.Sprintf("%T", w) })}
	srv := engineio.NewServer(nil)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis, hs) }() // ends with hs
	defer func() {
		srv.Shutdown(context.Background())
		hs.Close()
		<-served
	}()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		return false
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	return <-kinds == fastResponse
})

const fastResponse = "*fasthttp1.Response"

// requests returns how many requests have reached the handler.
func (w *served) requests() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.kinds {
		n += k
	}
	return n
}

// fastRequests returns how many requests took the fast path.
func (w *served) fastRequests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kinds[fastResponse]
}

func serveTCP(t *testing.T, o engineio.Options, change func(w *served)) *served {
	t.Helper()
	return serveOn(t, "127.0.0.1:0", o, change)
}

// serveOn serves, until the test ends or has ended it; then nothing may be left.
func serveOn(t *testing.T, addr string, o engineio.Options, change func(w *served)) *served {
	t.Helper()
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip(err)
	}
	before := newUsage()
	w := &served{tcp: tcp{t: t, peers: make(chan *peer, 20000)}, lis: lis, kinds: map[string]int{}}
	w.addr = lis.Addr().String()
	o.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
		p := &peer{s: s}
		echo(p)
		w.peers <- p
		return p, nil
	}
	w.srv = engineio.NewServer(&o)
	w.hs = &http.Server{Handler: w.srv}
	w.hs.ErrorLog = log.New(&w.log, "", 0)
	if change != nil {
		change(w)
	}
	w.hs.Handler = w.count(w.hs.Handler)
	w.errs = reading{serve: true}.run(w.srv, lis, w.hs)
	t.Cleanup(func() {
		w.shutdown()
		w.hs.Close()
		if err, ok := <-w.errs; ok && err != http.ErrServerClosed { //nolint:errorlint // the very value
			t.Errorf("Serve: %v", err)
		}
		before.check(t)
	})
	return w
}

// shutdown ends the engine, and reports how long that took.
func (w *served) shutdown() time.Duration {
	w.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		w.t.Error(err)
	}
	return time.Since(begin)
}

// usage is what a test must give back.
type usage struct{ descriptors, goroutines int }

func newUsage() usage { return usage{descriptors(), runtime.NumGoroutine()} }

// descriptors returns how many are open, 0 where that cannot be known.
func descriptors() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all) - 1 // that of the directory
}

// check waits until no more is in use than before; the listener was open then.
func (u usage) check(t *testing.T) {
	t.Helper()
	var now usage
	defer func() {
		if t.Failed() {
			t.Logf("in use: %+v, before: %+v", now, u)
		}
	}()
	eventually(t, "everything is given back", func() bool {
		now = newUsage()
		return now.descriptors <= u.descriptors && now.goroutines <= u.goroutines
	})
}
