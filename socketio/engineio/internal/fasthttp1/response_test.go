package fasthttp1_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"

	"posthouse/socketio/engineio/internal/fasthttp1"
	"posthouse/socketio/engineio/internal/netpoll"
)

// fakeConn keeps what is written to it.
type fakeConn struct {
	out    bytes.Buffer
	writes int
	fail   error
	late   time.Time
	peer   net.Conn // what Hijack gives
	early  []byte
}

func (c *fakeConn) WriteAll(b []byte) error {
	c.writes++
	if c.fail != nil {
		return c.fail
	}
	c.out.Write(b)
	return nil
}

func (c *fakeConn) SetWriteDeadline(t time.Time) error { c.late = t; return nil }

func (c *fakeConn) Upgrade(s netpoll.Successor) { s.TakeOver(1, nil, c.early) }

func (c *fakeConn) Hijack() (net.Conn, []byte, error) {
	if c.peer == nil {
		return nil, nil, errors.New("no descriptor left")
	}
	return c.peer, c.early, nil
}

// serve runs a handler as a Conn does; keep is false when it panicked.
func serve(c fasthttp1.ResponseConn, h http.HandlerFunc) (keep bool) {
	w := fasthttp1.NewResponse(c, false)
	defer w.Release()
	defer func() { _ = recover() }()
	r, _ := http.NewRequestWithContext(context.Background(), "GET", "/", nil)
	h(w, r)
	return w.Finish()
}

// unwrapper is what many middlewares put around a ResponseWriter.
type unwrapper struct{ http.ResponseWriter }

func (u unwrapper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

var big = strings.Repeat("0123456789abcdef", 20_000)

// answers are handlers, of whose answers the peer must not be able to tell which
// package wrote them.
var answers = map[string]http.HandlerFunc{
	"nothing":         func(w http.ResponseWriter, r *http.Request) {},
	"text":            func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
	"html":            func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html><body>")) },
	"html in pieces":  func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<ht")); w.Write([]byte("ml><body>")) },
	"empty writes":    func(w http.ResponseWriter, r *http.Request) { w.Write(nil); w.Write([]byte("x")); w.Write(nil) },
	"status":          func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusTeapot) },
	"status twice":    func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
	"status too late": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")); w.WriteHeader(404) },
	"unknown status":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(599); w.Write([]byte("x")) },
	"status 999":      func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(999) },
	"invalid status":  func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(1000) },
	"status 0":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(0) },
	"204":             func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) },
	"204 with a body": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); must(w.Write([]byte("x"))) },
	"204 with fields": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", "0", "Content-Type", "a/b")
		w.WriteHeader(204)
	},
	"304":             func(w http.ResponseWriter, r *http.Request) { set(w, "Etag", `"x"`); w.WriteHeader(304) },
	"304 with a body": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304); must(w.Write([]byte("x"))) },
	"304 with fields": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", "5", "Content-Type", "a/b")
		w.WriteHeader(304)
	},
	"length":          func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "2"); w.Write([]byte("ok")) },
	"length too long": func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "5"); w.Write([]byte("ok")) },
	"length too short": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", "2")
		w.Write([]byte("ok"))
		must(w.Write([]byte("more")))
	},
	"length, no body": func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "5") },
	"length 0":        func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "0") },
	"length negative": func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "-1"); w.Write([]byte("ok")) },
	"length of words": func(w http.ResponseWriter, r *http.Request) { set(w, "Content-Length", "two"); w.Write([]byte("ok")) },
	"big":             func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, big) },
	"big, in pieces": func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(big); i += 1000 {
			io.WriteString(w, big[i:i+1000])
		}
	},
	"big, with length": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", fmt.Sprint(len(big)))
		io.WriteString(w, big)
	},
	"flush":       func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("a")); flush(w); w.Write([]byte("b")) },
	"flush first": func(w http.ResponseWriter, r *http.Request) { flush(w); w.Write([]byte("b")) },
	"flush last":  func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("a")); flush(w) },
	"flush only":  func(w http.ResponseWriter, r *http.Request) { flush(w) },
	"flush twice": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("a")); flush(w); flush(w) },
	"flush of a length": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", "2")
		w.Write([]byte("a"))
		flush(w)
		w.Write([]byte("b"))
	},
	"flush of 204": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); flush(w) },
	"header after status": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		set(w, "X-Late", "1")
		w.Write([]byte("x"))
	},
	"header after a write": func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("x"))
		set(w, "X-Late", "1")
		w.Header().Del("Content-Type")
	},
	"header after a flush":   func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")); flush(w); set(w, "X-Late", "1") },
	"header without a write": func(w http.ResponseWriter, r *http.Request) { set(w, "X-In-Time", "1") },
	"type after status": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		set(w, "Content-Type", "a/b")
		w.Write([]byte("x"))
	},
	"several values": func(w http.ResponseWriter, r *http.Request) { w.Header()["Set-Cookie"] = []string{"a=b", "c=d"} },
	"no date":        func(w http.ResponseWriter, r *http.Request) { w.Header()["Date"] = nil },
	"a date":         func(w http.ResponseWriter, r *http.Request) { set(w, "Date", "yesterday") },
	"no type": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Write([]byte("<html>"))
	},
	"encoded": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Encoding", "gzip")
		w.Write([]byte("\x1f\x8b\x08"))
	},
	"line break in a value": func(w http.ResponseWriter, r *http.Request) { set(w, "X", "a\r\nSet-Cookie: evil=1\n\r") },
	"line break in a name":  func(w http.ResponseWriter, r *http.Request) { w.Header()["X\r\nY"] = []string{"a"}; set(w, "Z", "a") },
	"invalid name": func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X Y"] = []string{"a"}
		w.Header()[""] = []string{"a"}
	},
	"spaces around":          func(w http.ResponseWriter, r *http.Request) { set(w, "X", " \t a ") },
	"Connection: close":      func(w http.ResponseWriter, r *http.Request) { set(w, "Connection", "close"); w.Write([]byte("x")) },
	"Connection: keep-alive": func(w http.ResponseWriter, r *http.Request) { set(w, "Connection", "keep-alive"); w.Write([]byte("x")) },
	"upgrade required": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Connection", "upgrade", "Upgrade", "websocket")
		w.WriteHeader(426)
	},
	"Transfer-Encoding": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Transfer-Encoding", "chunked")
		w.Write([]byte("x"))
		flush(w)
	},
	"panic":               func(w http.ResponseWriter, r *http.Request) { panic("oops") },
	"panic after a write": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")); panic("oops") },
	"abort":               func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	"abort after a flush": func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("x"))
		flush(w)
		panic(http.ErrAbortHandler)
	},
	"controller": func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(unwrapper{unwrapper{w}})
		fmt.Fprint(w, rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex(), rc.Flush())
	},
	"file": func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.css", time.Unix(1e9, 0), strings.NewReader("a{}"))
	},
	"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) },
	"hijack": func(w http.ResponseWriter, r *http.Request) {
		conn, rw, _ := http.NewResponseController(unwrapper{w}).Hijack()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
		rw.WriteString("x")
		rw.Flush()
		if _, err := w.Write([]byte("y")); !errors.Is(err, http.ErrHijacked) {
			panic("written")
		}
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrHijacked) {
			panic("hijacked twice")
		}
		conn.Close()
	},
	"hijack after 101": func(w http.ResponseWriter, r *http.Request) { // as github.com/coder/websocket does
		set(w, "Connection", "Upgrade", "Upgrade", "other")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(conn, "behind")
		conn.Close()
	},
	"hijack after a flush": func(w http.ResponseWriter, r *http.Request) {
		set(w, "Content-Length", "2")
		w.Write([]byte("a"))
		flush(w)
		conn, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(conn, "b")
		conn.Close()
	},
}

func set(w http.ResponseWriter, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		w.Header().Set(pairs[i], pairs[i+1])
	}
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// must is for what must fail.
func must(n int, err error) {
	if n != 0 || err == nil {
		panic("that was taken")
	}
}

// answer is what a peer makes of what it got.
type answer struct {
	Status string
	Header http.Header
	Body   string
	Broken bool // the body is not whole
	Keep   bool // another request is answered
}

func parseAnswer(t *testing.T, wire []byte) (a answer, rest string) {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(wire))
	res, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil {
		return answer{Status: "none"}, ""
	}
	a = answer{Status: res.Status, Header: res.Header, Keep: !res.Close}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(res.Body)
		a.Body, a.Broken = string(body), err != nil
	}
	// Of these there are several right ones.
	if date := a.Header["Date"]; len(date) == 1 && strings.HasSuffix(date[0], " GMT") {
		a.Header["Date"] = []string{"now"}
	}
	if res.StatusCode >= 200 {
		a.Header.Del("Content-Length")
		a.Header.Del("Connection")
	}
	b, _ := io.ReadAll(br)
	return a, string(b)
}

func TestResponse_AnswersAreThoseOfNetHTTP(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		t.Run(name, func(t *testing.T) {
			h := answers[name]
			client, server := net.Pipe()
			hs := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					h(w, r)
				}
			})}
			go hs.Serve(&oneConn{conn: server}) // ends with the connection
			go io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			wire, _ := io.ReadAll(client)
			hs.Close()
			want, rest := parseAnswer(t, wire)
			want.Keep = strings.HasPrefix(rest, "HTTP/1.1 200 OK")

			near, far := net.Pipe()
			hijacked := make(chan []byte, 1)
			go func() { // ends with near
				b, _ := io.ReadAll(far)
				hijacked <- b
			}()
			c := &fakeConn{peer: near}
			keep := serve(c, h)
			near.Close()
			got, _ := parseAnswer(t, append(c.out.Bytes(), <-hijacked...))
			got.Keep = keep
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+.600v\nwant %+.600v", got, want)
			}
		})
	}
}

func TestResponse_Last_SaysConnectionClose(t *testing.T) {
	c := &fakeConn{}
	w := fasthttp1.NewResponse(c, true)
	defer w.Release()
	if io.WriteString(w, "bye"); w.Finish() {
		t.Error("the connection is kept")
	}
	if !strings.Contains(c.out.String(), "\r\nConnection: close\r\n") {
		t.Errorf("%q", c.out.String())
	}
}

func TestResponse_Finish_IsOneWrite(t *testing.T) {
	for _, size := range []int{0, 1, 60_000} {
		c := &fakeConn{}
		serve(c, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(big[:size])) })
		if c.writes != 1 {
			t.Errorf("%d bytes: %d writes", size, c.writes)
		}
	}
}

func TestResponse_Write_FailsWhenThePeerIsGone(t *testing.T) {
	c := &fakeConn{fail: io.ErrClosedPipe}
	keep := serve(c, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("x"))
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("flush: %v", err)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write: %v", err)
		}
	})
	if keep || c.writes != 1 {
		t.Errorf("keep %v after %d writes", keep, c.writes)
	}
}

func TestResponse_Hijack_FailureLeavesTheAnswer(t *testing.T) {
	c := &fakeConn{}
	keep := serve(c, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err == nil {
			t.Error("no error")
		}
		http.Error(w, "sorry", http.StatusInternalServerError)
	})
	if a, _ := parseAnswer(t, c.out.Bytes()); !keep || a.Body != "sorry\n" {
		t.Errorf("keep %v, %+v", keep, a)
	}
}

func TestResponse_Hijack_GivesTheBytesBehindTheRequest(t *testing.T) {
	near, far := net.Pipe()
	go func() { // ends with the write
		io.WriteString(far, " and later")
		far.Close()
	}()
	serve(&fakeConn{peer: near, early: []byte("early")}, func(w http.ResponseWriter, r *http.Request) {
		_, rw, _ := w.(http.Hijacker).Hijack()
		if rw.Reader.Buffered() != 5 {
			t.Errorf("%d bytes are buffered", rw.Reader.Buffered())
		}
		if b, _ := io.ReadAll(rw); string(b) != "early and later" {
			t.Errorf("got %q", b)
		}
	})
}

func TestResponse_WriteHeader_LeavesOutInformationalAnswers(t *testing.T) {
	c := &fakeConn{}
	serve(c, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "x")
	})
	if a, _ := parseAnswer(t, c.out.Bytes()); a.Status != "200 OK" || a.Body != "x" {
		t.Errorf("%+v", a)
	}
}

func TestResponse_Take_IsTooLateOnceItIsWritten(t *testing.T) {
	w := fasthttp1.NewResponse(&fakeConn{}, false)
	defer w.Release()
	if !w.Take() || w.Take() || !w.Hijacked() || w.Finish() {
		t.Error("it can be taken once, and is over then")
	}
	if err := w.FlushError(); !errors.Is(err, http.ErrHijacked) {
		t.Errorf("flush: %v", err)
	}
	begun := fasthttp1.NewResponse(&fakeConn{}, false)
	defer begun.Release()
	if begun.WriteHeader(200); begun.Take() {
		t.Error("an answer has begun")
	}
}

// successor notes what it takes over.
type successor struct{ early string }

func (s *successor) TakeOver(_ int, _ *netpoll.Loop, early []byte) netpoll.Handler {
	s.early = string(early)
	return nil
}

func TestResponse_Upgrade_ReachesTheSuccessor(t *testing.T) {
	w := fasthttp1.NewResponse(&fakeConn{early: []byte("early")}, false)
	defer w.Release()
	var s successor
	if !w.Take() {
		t.Fatal("it is too late")
	}
	if w.Upgrade(&s); s.early != "early" || !w.Hijacked() {
		t.Errorf("got %q", s.early)
	}
}

func TestResponse_SetWriteDeadline_ReachesTheConnection(t *testing.T) {
	c := &fakeConn{}
	late := time.Unix(1, 0)
	serve(c, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(late); err != nil {
			t.Error(err)
		}
	})
	if !c.late.Equal(late) {
		t.Error("it was not")
	}
}

// Leftovers of one request must not come with the next one's answer.
func TestResponse_Release_LeavesNothing(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		near, far := net.Pipe()
		far.Close()
		serve(&fakeConn{peer: near}, answers[name])
		c := &fakeConn{}
		serve(c, answers["text"])
		want := answer{Status: "200 OK", Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Date": {"now"}}, Body: "hello", Keep: true}
		if got, rest := parseAnswer(t, c.out.Bytes()); !reflect.DeepEqual(got, want) || rest != "" {
			t.Errorf("after %q: %+v", name, got)
		}
	}
}

func TestResponse_Allocations(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	body, length, plain := []byte("ok"), []string{"2"}, []string{"text/plain"}
	c := &fakeConn{}
	n := testing.AllocsPerRun(100, func() {
		c.out.Reset()
		w := fasthttp1.NewResponse(c, false)
		w.Header()["Content-Type"], w.Header()["Content-Length"] = plain, length
		w.Write(body)
		w.Finish()
		w.Release()
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
