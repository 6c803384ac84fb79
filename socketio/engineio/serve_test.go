package engineio_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// line is a connection on which requests are sent as they are.
type line struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
}

func newLine(t testing.TB, conn net.Conn) *line {
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &line{t, conn, bufio.NewReader(conn)}
}

func (w *tcp) line() *line { return newLine(w.t, w.dial()) }

func (l *line) send(text string) {
	l.t.Helper()
	if _, err := io.WriteString(l.conn, text); err != nil {
		l.t.Fatal(err)
	}
}

// answer reads one; lost says that there was none.
func (l *line) answer() response {
	res, err := http.ReadResponse(l.br, &http.Request{Method: "GET"})
	if err != nil {
		return response{lost: true}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return response{lost: true}
	}
	return response{status: res.StatusCode, header: res.Header, body: string(b)}
}

// ended waits for the end of the connection, and reports whether nothing came before.
func (l *line) ended() bool {
	n, err := io.Copy(io.Discard, l.br)
	if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // net.Conn returns it as it is
		l.t.Fatal("the connection stays open")
	}
	return n == 0
}

// get and post are requests of a session; without an id, the handshake.
func get(sid string) string {
	return "GET /engine.io/?EIO=4&transport=polling" + with(sid) + " HTTP/1.1\r\nHost: x\r\n\r\n"
}

func post(sid, body string) string {
	return fmt.Sprintf("POST /engine.io/?EIO=4&transport=polling%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", with(sid), len(body), body)
}

func with(sid string) string {
	if sid == "" {
		return ""
	}
	return "&sid=" + sid
}

// open opens a polling session.
func (l *line) open() (sid string) {
	l.t.Helper()
	l.send(get(""))
	r := l.answer()
	if r.status != 200 {
		l.t.Fatalf("handshake: %+v", r)
	}
	return sidOf(r.body)
}

func TestServe_RequestsThatComeTogether(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		l := w.line()
		sid := l.open()
		for range 20 {
			l.send(post(sid, "4a") + post(sid, "4b") + get(sid) + post(sid, "4c") + get(sid))
			for _, want := range []string{"ok", "ok", "4a\x1e4b", "ok", "4c"} {
				if r := l.answer(); r.body != want {
					t.Fatalf("got %+v, want %q", r, want)
				}
			}
		}
	})
}

// A loop that waits is woken for every connection that a request has closed: as
// often as it takes.
func TestServe_WaitingLoop_IsWokenAnyNumberOfTimes(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		for range 8 { // so that no loop ends meanwhile
			w.line().open()
		}
		for range 2000 {
			l := w.line()
			l.send(strings.Replace(get("unknown"), "Host: x", "Host: x\r\nConnection: close", 1))
			if r := l.answer(); r.status != 400 {
				t.Fatalf("%+v", r)
			}
			if !l.ended() {
				t.Fatal("something follows the last answer")
			}
			l.conn.Close()
		}
	})
}

// A thousand requests in the connection before the first answer is read.
func TestServe_LongPipeline(t *testing.T) {
	overTCP(t, engineio.Options{MaxControl: -1}, nil, func(t *testing.T, w *tcp) {
		l := w.line()
		sid := l.open()
		p := <-w.peers
		go io.WriteString(l.conn, strings.Repeat(post(sid, "4a"), 1000)+get("none")) // ends with the test
		for i := range 1000 {
			if r := l.answer(); r.body != "ok" {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		if r := l.answer(); r.status != 400 || len(p.messages()) != 1000 {
			t.Errorf("got %+v and %d messages", r, len(p.messages()))
		}
	})
}

// Wherever a request is cut in two, the answer is the same.
func TestServe_RequestInTwoPieces(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		other := w.line()
		sid := other.open()
		p := <-w.peers
		text := post(sid, "4abc")
		for i := 1; i < len(text); i++ {
			l := newLine(t, w.dial())
			l.send(text[:i])
			other.send(get("none")) // takes about as long as the first piece
			other.answer()
			l.send(text[i:])
			if r := l.answer(); r.body != "ok" {
				t.Fatalf("cut at %d: %+v", i, r)
			}
			l.send(get(sid)) // the connection goes on
			if r := l.answer(); r.body != "4abc" {
				t.Fatalf("behind a cut at %d: %+v", i, r)
			}
			l.conn.Close()
		}
		if n := len(p.messages()); n != len(text)-1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestServe_PollWhoseClientLeaves_EndsTheSession(t *testing.T) {
	ways := map[string]func(c *net.TCPConn){
		"FIN": func(c *net.TCPConn) { c.Close() }, "half closed": func(c *net.TCPConn) { c.CloseWrite() },
		"RST": func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
	}
	overTCP(t, engineio.Options{}, nil, func(t *testing.T, w *tcp) {
		for name, leave := range ways {
			l := w.line()
			sid := l.open()
			p := <-w.peers
			l.send(get(sid))
			eventually(t, "the poll waits", func() bool { return p.s.SendVolatile(text("x")) })
			l.answer()
			l.send(get(sid))
			leave(plainTCP(l.conn))
			eventually(t, name+": closed", p.ended)
			if reason, _ := p.end(); reason != engineio.ReasonTransportError {
				t.Errorf("%s: %q", name, reason)
			}
		}
	})
}

// A peer that has said its last word still gets the answers to what it said.
func TestServe_HalfClosedPeer(t *testing.T) {
	overTCP(t, engineio.Options{}, nil, func(t *testing.T, w *tcp) {
		l := w.line()
		l.send(get("") + get("none") + get(""))
		plainTCP(l.conn).CloseWrite()
		for i, status := range []int{200, 400, 200} {
			if r := l.answer(); r.status != status {
				t.Errorf("answer %d: %+v", i, r)
			}
		}
		if !l.ended() {
			t.Error("there is more")
		}
		l = w.line()
		l.send(get(""))
		plainTCP(l.conn).CloseWrite()
		if r := l.answer(); r.status != 200 || !l.ended() {
			t.Errorf("one request: %+v", r)
		}
	})
}

// The last request may come, with the end of the stream, while another is served.
func TestServe_LastRequestBehindOneThatIsServed(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) {
		w.hs.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			io.WriteString(rw, r.URL.RawQuery)
		})
	})
	l := w.line()
	l.send("GET /engine.io/?first HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	l.send("GET /engine.io/?last HTTP/1.1\r\nHost: x\r\n\r\n")
	plainTCP(l.conn).CloseWrite()
	release <- struct{}{}
	<-entered
	release <- struct{}{}
	for _, want := range []string{"first", "last"} {
		if r := l.answer(); r.body != want {
			t.Errorf("got %+v, want %s", r, want)
		}
	}
}

func TestServe_PostBehindAWaitingPoll(t *testing.T) {
	overTCP(t, engineio.Options{}, nil, func(t *testing.T, w *tcp) {
		for _, together := range []bool{true, false} {
			l := w.line()
			sid := l.open()
			p := <-w.peers
			if together {
				l.send(get(sid) + post(sid, "4x"))
			} else {
				l.send(get(sid))
			}
			eventually(t, "the poll waits", func() bool { return p.s.SendVolatile(text("a")) })
			if r := l.answer(); r.body != "4a" {
				t.Fatalf("the poll got %+v", r)
			}
			if !together {
				l.send(get(sid))
				l.send(post(sid, "4x"))
				eventually(t, "the poll waits", func() bool { return p.s.SendVolatile(text("b")) })
				if r := l.answer(); r.body != "4b" {
					t.Fatalf("the poll got %+v", r)
				}
			}
			if r := l.answer(); r.body != "ok" || len(p.messages()) != 1 {
				t.Errorf("the POST got %+v", r)
			}
		}
	})
}

func TestServe_CompressedFrameBehindTheHandshake(t *testing.T) {
	overTCP(t, engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{}}, echo, func(t *testing.T, w *tcp) {
		c := w.dial()
		head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" + upgradeHead + "\r\n"
		c.Write(append([]byte(head), deflatedFrame("4early")...))
		s := readSocket(t, c)
		s.recv()
		s.expect(t, "4early")
	})
}

// Handshakes that are too odd for the fast path end in the same place.
func TestServe_UnusualWebSocketHandshake_IsNetHTTPs(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		for name, field := range map[string]string{
			"odd connection": "Connection: te\r\n", "large": "Cookie: " + strings.Repeat("c", 9000) + "\r\n", "close": "Connection: close\r\n",
		} {
			c := w.dial()
			head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + field + upgradeHead + "\r\n"
			c.Write(appendMasked([]byte(head), "4early"))
			s := readSocket(t, c)
			s.recv()
			s.expect(t, "4early")
			s.send("4later")
			if s.expect(t, "4later"); t.Failed() {
				t.Fatal(name)
			}
		}
	})
}

// The probe comes on a connection that has polled before.
func TestServe_UpgradeOnAUsedConnection(t *testing.T) {
	overTCP(t, engineio.Options{}, echo, func(t *testing.T, w *tcp) {
		l := w.line()
		sid := l.open()
		head := "GET /engine.io/?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"
		l.send(string(appendMasked(appendMasked(appendMasked([]byte(head), "2probe"), "5"), "4x")))
		s := readSocket(t, l.conn)
		s.expect(t, "3probe", "4x")
		p := <-w.peers
		if p.s.Transport() != "websocket" {
			t.Error("not upgraded")
		}
	})
}

func TestServe_AnswerThatIsNotRead_EndsTheSession(t *testing.T) {
	if !fastPath() {
		t.Skip("with net/http it is http.Server.WriteTimeout that bounds this")
	}
	o := engineio.Options{MaxBuffered: 64 << 20, WriteTimeout: 100 * time.Millisecond, HTTPCompression: &engineio.HTTPCompression{Disabled: true}}
	w := serveTCP(t, o, nil)
	l := w.line()
	sid := l.open()
	p := <-w.peers
	p.s.Send(text(strings.Repeat("z", 16<<20)))
	l.send(get(sid))
	eventually(t, "closed", p.ended)
	if reason, _ := p.end(); reason != engineio.ReasonTransportError {
		t.Errorf("reason %q", reason)
	}
	if r := l.answer(); !r.lost {
		t.Error("the answer is whole")
	}
}

func TestServe_AnswerLargerThanTheSocketTakes(t *testing.T) {
	o := engineio.Options{MaxBuffered: 64 << 20, HTTPCompression: &engineio.HTTPCompression{Disabled: true}}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) {
		l := w.line()
		sid := l.open()
		p := <-w.peers
		p.s.Send(text(strings.Repeat("z", 16<<20)))
		l.send(get(sid))
		if r := l.answer(); len(r.body) != 16<<20+1 {
			t.Errorf("got %d bytes", len(r.body))
		}
		l.send(post(sid, "4x")) // nothing is out of step
		if r := l.answer(); r.body != "ok" {
			t.Errorf("got %+v", r)
		}
	})
}
