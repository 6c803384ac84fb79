package engineio_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// onPipe runs f in a synctest bubble with a connection to hs.
func onPipe(t *testing.T, hs *http.Server, f func(t *testing.T, conn net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		lis := newPipeListener()
		hs.ErrorLog = log.New(io.Discard, "", 0)
		served := make(chan error, 1)
		go func() { served <- hs.Serve(lis) }()
		conn := lis.dial()
		f(t, conn)
		conn.Close()
		hs.Close()
		<-served
	})
}

// feed writes n times what comes every period, until the server has enough.
func feed(conn net.Conn, what string, n int, period time.Duration) {
	for range n {
		if _, err := io.WriteString(conn, what); err != nil {
			return
		}
		time.Sleep(period) // of the bubble
	}
}

// answerAndEnd returns the answer and when the connection ended behind it.
func answerAndEnd(conn net.Conn) (status int, end time.Duration) {
	begin := time.Now()
	br := bufio.NewReader(conn)
	if res, err := http.ReadResponse(br, nil); err == nil {
		status = res.StatusCode
	}
	io.Copy(io.Discard, br)
	return status, time.Since(begin)
}

// readAll is a handler that wants the body.
func readAll(w http.ResponseWriter, r *http.Request) {
	switch b, err := io.ReadAll(r.Body); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.WriteHeader(http.StatusRequestTimeout)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	default:
		fmt.Fprintf(w, "%d", len(b))
	}
}

func ignoreBody(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) }

func TestBodyDeadline_SlowBody_EndsTheConnection(t *testing.T) {
	const post, chunks = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, test := range []struct {
		name, head, piece string
		period            time.Duration
		handler           http.HandlerFunc
		status            int
		end               time.Duration // at the latest
	}{
		{"nothing, read", post, "", time.Hour, readAll, 408, 10 * time.Second},
		{"nothing, not read", post, "", time.Hour, ignoreBody, 404, 2 * time.Second},
		{"1 B/s, read", post, "x", time.Second, readAll, 408, 3 * time.Second},
		{"1 B/s, not read", post, "x", time.Second, ignoreBody, 404, 2 * time.Second},
		{"900 B/s, read", post, strings.Repeat("x", 900), time.Second, readAll, 408, 25 * time.Second},
		{"chunks without end, read", chunks, "1\r\nx\r\n", time.Second, readAll, 408, 3 * time.Second},
		{"chunks without end, not read", chunks, "1\r\nx\r\n", time.Second, ignoreBody, 404, 2 * time.Second},
		{"GET with a body", strings.Replace(post, "POST", "GET", 1), "x", time.Second, ignoreBody, 404, 2 * time.Second},
		{"fast, then nothing", post, strings.Repeat("x", 99_000), time.Hour, readAll, 408, 10 * time.Second},
		{"an answer before the body", post, "x", time.Second, func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, 10_000))
		}, 200, 4 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			onPipe(t, &http.Server{Handler: engineio.BodyDeadline(test.handler)}, func(t *testing.T, conn net.Conn) {
				go func() { // ends with the connection
					io.WriteString(conn, test.head)
					feed(conn, test.piece, 1000, test.period)
				}()
				// net/http waits half a second behind its last word.
				if status, end := answerAndEnd(conn); status != test.status || end > test.end+600*time.Millisecond {
					t.Errorf("%d, ended after %v", status, end)
				}
				conn.Close()
				time.Sleep(2 * time.Hour) // of the bubble: the feeder ends
			})
		})
	}
}

func TestBodyDeadline_SteadyUpload_IsNotCut(t *testing.T) {
	for name, test := range map[string]struct {
		piece  int
		period time.Duration
		n      int
	}{
		"20 kB/s for 15 s":         {2000, 100 * time.Millisecond, 150},
		"just above 1 KB/s, 100 s": {1100, time.Second, 100},
		"a pause of 9 s each time": {10_000, 9 * time.Second, 5},
	} {
		t.Run(name, func(t *testing.T) {
			onPipe(t, &http.Server{Handler: engineio.BodyDeadline(http.HandlerFunc(readAll))}, func(t *testing.T, conn net.Conn) {
				go func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", test.n*test.piece)
					feed(conn, strings.Repeat("x", test.piece), test.n, test.period)
				}()
				br := bufio.NewReader(conn)
				for range 2 { // the connection lives on
					res, err := http.ReadResponse(br, nil)
					if err != nil || res.StatusCode != 200 {
						t.Fatalf("%+v, %v", res, err)
					}
					if b, _ := io.ReadAll(res.Body); string(b) != fmt.Sprint(test.n*test.piece) && string(b) != "2" {
						t.Errorf("%s bytes arrived", b)
					}
					time.Sleep(time.Minute) // no deadline is left
					go io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
				}
			})
		})
	}
}

// The deadline is not there while a handler works, nor does a slow handler count
// against the sender.
func TestBodyDeadline_SlowHandler_IsNotTheSendersFault(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		var b [10]byte
		for range 3 {
			time.Sleep(time.Minute)
			if _, err := io.ReadFull(r.Body, b[:]); err != nil {
				t.Error(err)
			}
		}
		if _, err := r.Body.Read(b[:]); err != io.EOF {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if err := r.Context().Err(); err != nil {
			t.Error(err)
		}
	}
	onPipe(t, &http.Server{Handler: engineio.BodyDeadline(http.HandlerFunc(handler))}, func(t *testing.T, conn net.Conn) {
		go func() {
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30\r\n\r\n"+strings.Repeat("x", 30))
		}()
		if status, _ := answerAndEnd(conn); status != 200 {
			t.Errorf("status %d", status)
		}
	})
}

func TestBodyDeadline_EarlierDeadline_Holds(t *testing.T) {
	own := func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(3 * time.Second))
		readAll(w, r)
	}
	for name, hs := range map[string]*http.Server{
		"of the handler": {Handler: engineio.BodyDeadline(http.HandlerFunc(own))},
		"of the server":  {Handler: engineio.BodyDeadline(http.HandlerFunc(readAll)), ReadTimeout: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			onPipe(t, hs, func(t *testing.T, conn net.Conn) {
				go func() { // 10 kB/s
					io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
					feed(conn, strings.Repeat("x", 1000), 1000, 100*time.Millisecond)
				}()
				if status, end := answerAndEnd(conn); status != 408 || end > 4*time.Second {
					t.Errorf("%d, ended after %v", status, end)
				}
				conn.Close()
				time.Sleep(time.Minute) // of the bubble: the feeder ends
			})
		})
	}
}

// Every request of an engine has the deadline, also those that are refused.
func TestServer_SlowBody_EndsTheConnection(t *testing.T) {
	const length, chunked = "Content-Length: 1000\r\n\r\n4", "Transfer-Encoding: chunked\r\n\r\n"
	requests := map[string]string{
		"unknown sid":       "POST /engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: x\r\n" + length,
		"unknown, chunked":  "POST /engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: x\r\n" + chunked,
		"handshake by POST": "POST /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n" + length,
		"handshake":         "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n" + length,
		"upgrade":           "GET /engine.io/?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: x\r\n" + upgradeHead + length,
		"foreign origin":    "POST /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n" + chunked,
		"unknown path":      "POST /elsewhere HTTP/1.1\r\nHost: x\r\n" + length,
		"other method":      "PUT /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n" + chunked,
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, engineio.Options{}, nil, func(w *world) {
				conn := w.dial()
				go func() {
					io.WriteString(conn, request)
					feed(conn, "1", 100, time.Second)
				}()
				if _, end := answerAndEnd(conn); end > 5*time.Second {
					t.Errorf("ended after %v", end)
				}
				conn.Close()
				time.Sleep(2 * time.Minute) // of the bubble: the feeder and the session end
			})
		})
	}
	w := serveTCP(t, engineio.Options{BodyTimeout: 20 * time.Millisecond}, nil)
	var lines []*line
	for _, request := range requests {
		l := w.line()
		io.WriteString(l.conn, request)
		lines = append(lines, l)
	}
	for _, l := range lines {
		if _, err := io.Copy(io.Discard, l.br); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("still open: %v", err)
		}
	}
}

// A phone that uploads slowly, but does.
func TestServer_SlowUpload_IsTaken(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		conn := w.dial()
		go func() { // 20 kB/s
			io.WriteString(conn, "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n4")
			feed(conn, strings.Repeat("x", 1000), 299, 50*time.Millisecond)
			feed(conn, strings.Repeat("x", 999), 1, 0)
		}()
		if status, end := answerAndEnd(conn); status != 200 || end < 14*time.Second {
			t.Errorf("%d after %v", status, end)
		}
		if m := w.last().messages(); len(m) != 1 || len(m[0]) != 299_999 {
			t.Errorf("%d messages", len(m))
		}
	})
}
