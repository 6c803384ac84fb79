package gateway

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections that the test makes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error   { close(l.closed); return nil }
func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// The addresses of the API and of the metrics have deadlines for every peer too.
func TestSideServer_PeersThatStall_AreClosed(t *testing.T) {
	const limit = time.Minute
	for name, test := range map[string]struct {
		request string
		within  time.Duration
	}{
		"a body that does not come":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx", 3 * time.Second},
		"an answer that is not taken": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", limit + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &App{log: slog.New(slog.DiscardHandler)}
				hs := a.newSideServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet {
						w.Write(make([]byte, 1<<20))
					}
				}), limit)
				lis := &pipes{make(chan net.Conn), make(chan struct{})}
				served := make(chan error, 1)
				go func() { served <- hs.Serve(lis) }()
				client, server := net.Pipe()
				lis.conns <- server
				if _, err := io.WriteString(client, test.request); err != nil {
					t.Fatal(err)
				}
				if test.within > limit {
					time.Sleep(test.within) // of the bubble
					if n, err := io.Copy(io.Discard, client); n > 0 || err != nil {
						t.Errorf("%d bytes, %v", n, err)
					}
				} else {
					begin := time.Now()
					br := bufio.NewReader(client)
					if _, err := http.ReadResponse(br, nil); err != nil {
						t.Error(err)
					}
					if _, err := io.Copy(io.Discard, br); err != nil {
						t.Error(err)
					}
					if d := time.Since(begin); d > test.within {
						t.Errorf("closed after %v", d)
					}
				}
				hs.Close()
				<-served
			})
		})
	}
}
