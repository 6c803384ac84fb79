package fasthttp1_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio/engineio/internal/fasthttp1"
)

// FuzzParse looks for requests that are not what net/http would make of them: to
// disagree about where one ends is how requests are smuggled.
func FuzzParse(f *testing.F) {
	for _, set := range []map[string]string{plainRequests, unusualRequests} {
		for _, data := range set {
			f.Add([]byte(data))
		}
	}
	f.Fuzz(checkLikeNetHTTP)
}

// seen is what a handler sees of a request.
type seen struct {
	Method, Proto, Host, RequestURI, Body string
	URL                                   url.URL
	Header                                http.Header
	ContentLength                         int64
	TransferEncoding                      []string
	Close                                 bool
}

func look(r *http.Request) seen {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte(err.Error())
	}
	return seen{r.Method, r.Proto, r.Host, r.RequestURI, string(body), *r.URL, r.Header, r.ContentLength, r.TransferEncoding, r.Close}
}

// checkLikeNetHTTP fails when Parse takes data and net/http does not, or sees it
// otherwise.
func checkLikeNetHTTP(t *testing.T, data []byte) {
	head, err := fasthttp1.Parse(data)
	if err == fasthttp1.ErrIncomplete && head.Size-len(data) <= 1<<20 { //nolint:errorlint // the very value
		if head.Size <= len(data) {
			t.Fatalf("%d of %d bytes are not enough", len(data), head.Size)
		}
		data = append(data[:len(data):len(data)], make([]byte, head.Size-len(data))...)
		size := head.Size
		if head, err = fasthttp1.Parse(data); err != nil || head.Size != size {
			t.Fatalf("with what was missing: %v, %d bytes and not %d", err, head.Size, size)
		}
	}
	if err != nil {
		return
	}
	got := look(head.Request(context.Background(), ""))

	br := bufio.NewReaderSize(bytes.NewReader(data), len(data)+1)
	r, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("ReadRequest: %v", err)
	}
	delete(r.Header, "Host") // as the server does
	if want := look(r); !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if n := len(data) - br.Buffered(); n != head.Size {
		t.Fatalf("it has %d bytes, not %d", n, head.Size)
	}
	if want := served(t, data[:head.Size], r.Close); !reflect.DeepEqual(got, want) {
		t.Fatalf("got    %+v\nserver %+v", got, want)
	}
}

// served returns what a handler of an http.Server sees of the request, and fails
// unless the server takes it, and what follows for the next request; nothing may
// follow the last one.
func served(t *testing.T, data []byte, last bool) seen {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	client.SetDeadline(time.Now().Add(10 * time.Second))
	var all []seen
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { all = append(all, look(r)) })}
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		_ = hs.Serve(&oneConn{conn: server})
	}()
	go func() { // ends with the connection
		_, _ = client.Write(data)
		_, _ = io.WriteString(client, "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	}()
	answer, _ := io.ReadAll(client) // until the server closes it
	<-done
	hs.Close()
	n := strings.Count(string(answer), "HTTP/1.1 200 OK\r\n")
	if last && (n != 1 || len(all) != 1) || !last && (n != 2 || len(all) != 2 || all[1].RequestURI != "/next") {
		t.Fatalf("the server answers %q", answer)
	}
	return all[0]
}

// oneConn is a listener with one connection; Accept ends when that is closed.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

type watchedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *watchedConn) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (l *oneConn) Accept() (net.Conn, error) {
	if l.closed == nil {
		l.closed = make(chan struct{})
		return &watchedConn{Conn: l.conn, closed: l.closed}, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
