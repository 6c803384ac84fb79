package engineio_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// echoBodies answers with the body of the request.
func echoBodies(w *served) {
	w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = []byte(err.Error())
		}
		_, _ = rw.Write(body)
	})
}

func postOf(body string) string {
	return fmt.Sprintf("POST /hooks/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// parts cuts text before its last bytes.
func parts(text string) (begin, rest string) { return text[:len(text)-3], text[len(text)-3:] }

// sendTaken sends text and returns when the server has read it.
func (l *line) sendTaken(text string) {
	l.t.Helper()
	l.send(text)
	eventually(l.t.(*testing.T), "the server to read", func() bool { return waiting(l.t, l.conn) == 0 })
}

// waiting is how many bytes lie between here and the reader of the other end of conn, both
// on this machine.
func waiting(t testing.TB, conn net.Conn) (n int64) {
	t.Helper()
	all, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0 // no Linux: net/http reads everything
	}
	port := func(a net.Addr) string { return fmt.Sprintf("0100007F:%04X", a.(*net.TCPAddr).Port) }
	ours, theirs := port(conn.LocalAddr()), port(conn.RemoteAddr())
	for line := range strings.Lines(string(all)) {
		f := strings.Fields(line)
		sending, received, ok := strings.Cut(f[4], ":")
		switch {
		case !ok:
			continue
		case f[1] == ours && f[2] == theirs:
			n += hex(t, sending)
		case f[1] == theirs && f[2] == ours:
			n += hex(t, received)
		}
	}
	return n
}

func hex(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestServe_BodyInPieces_TakesTheFastPath(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, echoBodies)
	l := w.line()
	requests := 0
	expect := func(body string) {
		t.Helper()
		requests++
		if r := l.answer(); r.status != 200 || r.body != body {
			t.Fatalf("got %d %.40q, want %.40q", r.status, r.body, body)
		}
	}
	large := strings.Repeat("0123456789abcdef", 60<<10/16)
	for _, body := range []string{"ab", large} {
		text := postOf(body)
		head := len(text) - len(body)
		for _, cuts := range [][]int{{head}, {head + 1}, {len(text) - 1}, {head, head + len(body)/2, len(text) - 1}} {
			from := 0
			for _, cut := range cuts {
				l.sendTaken(text[from:cut])
				from = cut
			}
			l.send(text[from:])
			expect(body)
		}
	}
	// Behind another request, whose answer the client has not waited for.
	second, restOfSecond := parts(postOf("second"))
	l.send(postOf("first") + second)
	expect("first")
	l.send(restOfSecond)
	expect("second")
	// The next one behind the rest of a body.
	third, restOfThird := parts(postOf("third"))
	fourth, restOfFourth := parts(postOf("fourth"))
	l.sendTaken(third)
	l.send(restOfThird + fourth)
	expect("third")
	l.send(restOfFourth + get(""))
	expect("fourth")
	expect("")
	if fast := w.fastRequests(); fastPath() && fast != requests {
		t.Errorf("%d of %d requests took the fast path", fast, requests)
	}
}

// The rest comes while the request before is served: no event tells of it afterwards.
func TestServe_RestOfABodyDuringTheRequestBefore(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		echoBodies(w)
		next := w.hs.Handler
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.ContentLength == int64(len("first")) {
				entered <- struct{}{}
				<-release
			}
			next.ServeHTTP(rw, r)
		})
	})
	l, other := w.line(), w.line()
	begin, rest := parts(postOf("second"))
	l.send(postOf("first") + begin)
	<-entered
	l.send(rest)
	other.send(postOf("the loop has seen the rest"))
	other.answer()
	close(release)
	for _, body := range []string{"first", "second"} {
		if r := l.answer(); r.body != body {
			t.Errorf("%+v, want %q", r, body)
		}
	}
	if n := w.fastRequests(); fastPath() && n != 3 {
		t.Errorf("%d of 3 took the fast path", n)
	}
}

// net/http goes on with a body that comes slowly, as it would have begun: the handler
// sees the request, and its limits hold.
func TestServe_SlowBody_IsNetHTTPs(t *testing.T) {
	entered := make(chan string, 1)
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			entered <- fmt.Sprintf("%T", rw)
			body, _ := io.ReadAll(r.Body)
			_, _ = rw.Write(body)
		})
	})
	l := w.line()
	begin, rest := parts(postOf("slow body"))
	l.send(begin)
	select {
	case kind := <-entered:
		if kind == fastResponse {
			t.Error("a worker waits for the body")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the handler does not see the request")
	}
	l.send(rest)
	if r := l.answer(); r.body != "slow body" {
		t.Errorf("%+v", r)
	}
}

// A body that does not fit is net/http's at once, like one that waits to be asked for.
func TestServe_PartsThatAreNotHeld_AreNetHTTPs(t *testing.T) {
	begun := make(chan struct{}, 1)
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(rw, n)
		})
	})
	large := strings.Repeat("x", 70<<10)
	l := w.line()
	l.send(postOf(large)[:1000])
	<-begun
	l.send(postOf(large)[1000:])
	if r := l.answer(); r.body != strconv.Itoa(len(large)) {
		t.Errorf("a large one: %+v", r)
	}
	l = w.line()
	l.send("POST /hooks/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	<-begun
	if r := l.answer(); r.status != 100 {
		t.Errorf("asked whether to go on: %+v", r)
	}
	l.send("ab")
	if r := l.answer(); r.body != "2" {
		t.Errorf("told to go on: %+v", r)
	}
	if n := w.fastRequests(); n != 0 {
		t.Errorf("%d took the fast path", n)
	}
}

// As many bodies as there are buffers are held, the others are net/http's; all are answered.
func TestServe_ManyPartsAtOnce_AreAnswered(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, echoBodies)
	lines := make([]*line, 300)
	begin, rest := parts(postOf("a body"))
	for i := range lines {
		lines[i] = w.line()
		lines[i].send(begin)
	}
	w.line().sendTaken(begin)
	for _, l := range lines {
		l.send(rest)
		if r := l.answer(); r.body != "a body" {
			t.Fatalf("%+v", r)
		}
	}
	if n := w.fastRequests(); n > 256 {
		t.Errorf("%d were held at once", n)
	}
	before := w.fastRequests()
	for range 10 { // the buffers are there again
		l := w.line()
		l.sendTaken(begin)
		l.send(rest)
		l.answer()
	}
	if n := w.fastRequests() - before; fastPath() && n != 10 {
		t.Errorf("%d of 10 took the fast path afterwards", n)
	}
}

func TestServe_PeerThatLeavesBeforeTheRestOfABody(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, echoBodies)
	begin, rest := parts(postOf("a body"))
	for i := range 600 { // more than can be held: each gives its place back
		l := w.line()
		l.send(begin)
		if i%2 == 0 {
			_ = l.conn.(*net.TCPConn).SetLinger(0)
		}
		l.conn.Close()
	}
	eventually(t, "a body in pieces to take the fast path again", func() bool {
		l := w.line()
		before := w.fastRequests()
		l.sendTaken(begin)
		l.send(rest)
		return l.answer().body == "a body" && (!fastPath() || w.fastRequests() > before)
	})
}

func TestServe_Shutdown_PartOfARequestIsAnswered(t *testing.T) {
	w := serveTCP(t, engineio.Options{}, echoBodies)
	l := w.line()
	begin, rest := parts(postOf("late"))
	l.sendTaken(begin)
	w.shutdown()
	l.send(rest)
	if r := l.answer(); r.status != 200 || r.body != "late" {
		t.Errorf("after the engine's end: %+v", r)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.hs.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
