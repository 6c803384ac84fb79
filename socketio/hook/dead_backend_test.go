package hook_test

import (
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

// What an outage may hold: the requests that hang, and for each client room that its
// connection keeps anyway. An event of the test is longer than that room.
const (
	heldByRequests = 1 << 20 // bytes
	heldPerClient  = 128
)

// A back end that hangs gets as many requests as Options.Concurrency says. All other events
// are answered at once and hold nothing; when the back end is back, the clients are served.
// With POSTHOUSE_TEST_FULL there are 10 000 clients.
func TestClient_DeadBackEnd_ClientsHoldNothing(t *testing.T) {
	n := 1000
	if os.Getenv("POSTHOUSE_TEST_FULL") != "" {
		n = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		well.Store(true)
		b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
			if well.Load() {
				return respond(200, `{"ack":["served"]}`), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		srv, client := attached(t, b, &hook.Options{Events: []string{"*"}, Timeout: 30 * time.Second})
		text := strings.Repeat("x", 1000)
		clients := make([]*sockettest.Client, n)
		for i := range clients {
			clients[i] = srv.Connect("/app", nil)
			clients[i].Call("say", text) // what the first event of a client costs is no matter of the outage
		}
		asked := len(b.got())
		well.Store(false)
		const hanging = 64 // the default of Concurrency
		for _, c := range clients[:hanging] {
			c.Emit("say", text)
		}
		time.Sleep(sockettest.Wait + time.Second) // the timers of the test's own waiting end
		before := heapInUse()
		for range 2 {
			for i, c := range clients[hanging:] {
				if got := c.Call("say", text).String(); !strings.Contains(got, "unavailable") {
					t.Fatalf("client %d: %s", i, got)
				}
			}
		}
		time.Sleep(sockettest.Wait + time.Second)
		held := int64(heapInUse()) - int64(before)
		t.Logf("%d clients whose back end hangs: %d bytes more, %d a client", n, held, held/int64(n))
		if most := heldByRequests + int64(n)*heldPerClient; held > most {
			t.Errorf("%d bytes more, want at most %d", held, most)
		}
		if s := client.Stats(); s.Refused != uint64(2*(n-hanging)) || len(b.got()) != asked+hanging {
			t.Errorf("%d requests, %+v", len(b.got())-asked, s)
		}

		well.Store(true)
		time.Sleep(15 * time.Second) // the time-out of those that hang, and the breaker's pause
		for i, c := range clients {
			if i < hanging || i%10 > 0 {
				continue // the first have other answers to read first
			}
			if got := c.Call("say", text).String(); got != `["served"]` {
				t.Fatalf("client %d after the outage: %s", i, got)
			}
		}
	})
}

// heapInUse is what the heap holds when nothing is under way.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
