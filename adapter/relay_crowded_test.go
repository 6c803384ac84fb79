package adapter_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"posthouse/adapter"
)

// crowdedListener answers the next connections itself, as a limit of connections does.
type crowdedListener struct {
	net.Listener
	answer  string
	refuse  atomic.Int64 // how many connections are still to be refused
	refused atomic.Int64
}

func (l *crowdedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.refuse.Add(-1) < 0 {
			return conn, err
		}
		l.refused.Add(1)
		_, _ = io.WriteString(conn, l.answer)
		conn.Close()
	}
}

// An owner that takes no connection at the moment is still the owner: its sessions
// are not lost.
func TestRelay_OwnerThatRefusesConnections_IsAskedAgain(t *testing.T) {
	for name, answer := range map[string]string{
		"limit of an address": "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"descriptors":         "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			rdb := newRelayRedis(t)
			crowded := &crowdedListener{answer: answer}
			a, b := newRouted(t, rdb, "aa"), newRoutedBehind(t, rdb, adapter.RelayOptions{Tag: "bb", Secrets: [][]byte{relaySecret}}, front{
				listener: func(ln net.Listener) net.Listener { crowded.Listener = ln; return crowded },
			})
			defer a.stop()
			defer b.stop()
			awaitEntry(t, rdb, "bb")
			crowded.refuse.Store(3)
			if status, body := ask(t, a.server.URL, sidOf("bb"), "x"); status != 200 || !strings.HasPrefix(body, "bb ") {
				t.Errorf("%d %q", status, body)
			}
			if n := crowded.refused.Load(); n != 3 {
				t.Errorf("%d connections were refused", n)
			}
			if s := a.Stats(); s.Untrusted != 0 || s.Failed != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A middleware's word to clients about their connections, such as to close them while
// descriptors are scarce, is not said to replicas.
func TestRelay_MiddlewareThatClosesConnections_DoesNotEndRelaying(t *testing.T) {
	rdb := newRelayRedis(t)
	var peers sync.Map // by address
	a := newRouted(t, rdb, "aa")
	b := newRoutedBehind(t, rdb, adapter.RelayOptions{
		Tag: "bb", Secrets: [][]byte{relaySecret},
		OnPeer: func(r *http.Request) { peers.Store(r.RemoteAddr, true) },
	}, front{middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			next.ServeHTTP(w, r)
		})
	}})
	defer a.stop()
	defer b.stop()
	awaitEntry(t, rdb, "bb")
	for range 3 {
		if status, body := ask(t, a.server.URL, sidOf("bb"), "x"); status != 200 || !strings.HasPrefix(body, "bb ") {
			t.Errorf("%d %q", status, body)
		}
	}
	n := 0
	peers.Range(func(_, _ any) bool { n++; return true })
	if n != 1 {
		t.Errorf("the requests came on %d connections, want one that is kept", n)
	}
	// A client is no peer, whatever it claims.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/socket.io/?sid="+sidOf("bb"), strings.NewReader("x"))
	req.Header.Set("X-Posthouse-Relay", "relay aa AAAA")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	peers.Range(func(_, _ any) bool { n--; return true })
	if n != 0 || !resp.Close {
		t.Errorf("a client counts as a replica: %d, connection kept %v", n, !resp.Close)
	}
}
