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

	"golang.org/x/sys/unix"

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

// witness is an epoll instance of the test that watches the server's ends of connections.
// The kernel puts two sockets into the lists of all epoll instances in one order, which is
// not always the order in which the peer wrote: a segment waits while another processor
// has its socket locked, and the segment of the next socket overtakes it.
type witness struct {
	t  *testing.T
	fd int
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &witness{t, fd}
}

// watch makes the witness tell id for the server's end of k.
func (w *witness) watch(k *keptConn, id int32) {
	w.t.Helper()
	eventually(w.t, "the server has accepted", func() bool {
		fd := otherEnd(w.t, k.c)
		return fd >= 0 && unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET, Fd: id,
		}) == nil
	})
}

// ready returns the ids of the sockets that have become ready since the last call, in
// that order.
func (w *witness) ready() (ids []int32) {
	w.t.Helper()
	var events [8]unix.EpollEvent
	n, err := unix.EpollWait(w.fd, events[:], 0)
	for err == unix.EINTR {
		n, err = unix.EpollWait(w.fd, events[:], 0)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range events[:n] {
		ids = append(ids, e.Fd)
	}
	return ids
}

// otherEnd returns the descriptor of this process whose peer is c; -1: there is none.
func otherEnd(t *testing.T, c net.Conn) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range all {
		fd, _ := strconv.Atoi(entry.Name())
		peer, err := unix.Getpeername(fd)
		if in, ok := peer.(*unix.SockaddrInet4); err == nil && ok && in.Port == c.LocalAddr().(*net.TCPAddr).Port {
			return fd
		}
	}
	return -1
}

// A POST that the kernel reports behind a GET on another connection does not overtake it.
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
			conns := [2]*keptConn{dialKept(t, w.addr), dialKept(t, w.addr)}
			kernel := newWitness(t)
			for i, c := range conns {
				kernel.watch(c, int32(i))
			}
			late, reversed := 0, 0
			for i := range tries {
				poller, poster := conns[i%2], conns[1-i%2]
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
				kernel.ready()
				poller.send("GET", sid, "")
				poster.send("POST", sid, "1")
				status, body := poller.answer()
				postStatus, postBody := poster.answer()
				switch order := kernel.ready(); {
				case len(order) != 2:
					t.Fatalf("try %d: the kernel reported %v", i, order)
				case order[0] != int32(i%2):
					reversed++ // whichever comes first to the session is right
				case status != 200 || body != "6":
					late++
				}
				if postStatus != 200 || postBody != "ok" {
					t.Fatalf("try %d: the POST got %d %q", i, postStatus, postBody)
				}
			}
			t.Logf("the kernel reported the POST first in %d of %d tries", reversed, tries)
			if late > 0 || reversed > tries/20 {
				t.Errorf("the POST overtook the GET in %d tries", late)
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
