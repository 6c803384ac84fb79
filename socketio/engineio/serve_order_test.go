package engineio_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"testing"

	"posthouse/socketio/engineio"
)

// keptConn is a connection with several requests behind each other.
type keptConn struct {
	t  *testing.T
	c  net.Conn
	br *bufio.Reader
}

func dialKept(t *testing.T, addr string) *keptConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &keptConn{t, c, bufio.NewReader(c)}
}

func (k *keptConn) send(method, query, body string) {
	k.t.Helper()
	head := method + " /engine.io/?EIO=4&transport=polling" + query + " HTTP/1.1\r\nHost: x\r\n"
	if method == "POST" {
		head += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	if _, err := io.WriteString(k.c, head+"\r\n"+body); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keptConn) answer() (status int, body string) {
	k.t.Helper()
	res, err := http.ReadResponse(k.br, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// A POST that comes right behind a GET on another connection does not overtake it.
// POSTHOUSE_ORDERS says how often that is tried.
func TestServe_RequestsOfASessionBeginInTheirOrder(t *testing.T) {
	if !fastPath() {
		t.Skip("only event loops know an order")
	}
	tries := 300
	if n, err := strconv.Atoi(os.Getenv("POSTHOUSE_ORDERS")); err == nil {
		tries = n
	}
	for _, procs := range []int{1, 2, 4} {
		t.Run("GOMAXPROCS="+strconv.Itoa(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			w := serveTCP(t, engineio.Options{}, nil)
			a, b := dialKept(t, w.addr), dialKept(t, w.addr)
			late := 0
			for i := range tries {
				poller, poster := a, b
				if i%2 == 1 {
					poller, poster = b, a
				}
				poller.send("GET", "", "")
				_, open := poller.answer()
				sid := "&sid=" + sidOf(open)
				if i%3 > 0 { // both have carried requests
					poster.send("POST", sid, "4x")
					poster.answer()
					poller.send("GET", sid, "")
					poller.answer()
				}
				<-w.peers
				poller.send("GET", sid, "")
				poster.send("POST", sid, "1")
				if status, body := poller.answer(); status != 200 || body != "6" {
					late++
				}
				if status, body := poster.answer(); status != 200 || body != "ok" {
					t.Fatalf("try %d: the POST got %d %q", i, status, body)
				}
			}
			if late > 0 {
				t.Errorf("the POST was first in %d of %d tries", late, tries)
			}
		})
	}
}

// A request that never reaches its session does not hold up those behind it.
func TestServe_RequestsThatDoNotBeginHoldUpNobody(t *testing.T) {
	if !fastPath() {
		t.Skip("only event loops know an order")
	}
	held := make(chan struct{})
	entered := make(chan struct{}, 1)
	o := engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == "GET" && r.URL.Query().Has("refuse"):
				w.WriteHeader(http.StatusTeapot)
			case r.Method == "GET" && r.URL.Query().Has("hold"):
				entered <- struct{}{}
				<-held
				w.WriteHeader(http.StatusTeapot)
			case r.Method == "GET" && r.URL.Query().Has("panic"):
				panic(http.ErrAbortHandler)
			default:
				next.ServeHTTP(w, r)
			}
		})
	}}}
	w := serveTCP(t, o, nil)
	a, b := dialKept(t, w.addr), dialKept(t, w.addr)
	a.send("GET", "", "")
	_, open := a.answer()
	sid := "&sid=" + sidOf(open)
	post := func(why string) {
		b.send("POST", sid, "4x")
		if status, body := b.answer(); status != 200 || body != "ok" {
			t.Errorf("%s: the POST got %d %q", why, status, body)
		}
	}
	a.send("GET", sid+"&refuse", "")
	post("refused")
	a.answer()
	a.send("GET", sid+"&hold", "")
	<-entered
	post("held by a middleware")
	close(held)
	a.answer()
	a.send("GET", sid+"&panic", "")
	post("panic")
}

// WebSockets that begin on the connections of requests are spread over the loops.
func TestServe_WebSocketsLeaveTheLoopOfRequests(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("one processor has one loop")
	}
	w := serveTCP(t, engineio.Options{}, nil)
	var all []*socket
	for range 20 {
		s, _ := w.websocket()
		all = append(all, s)
	}
	if fastPath() && engineio.RequestConns(w.srv) > 0 {
		eventually(t, "no WebSocket stays", func() bool { return engineio.RequestConns(w.srv) == 0 })
	}
	for _, s := range all {
		s.send("4x")
		s.expect(t, "4x")
		s.conn.Close()
	}
}
