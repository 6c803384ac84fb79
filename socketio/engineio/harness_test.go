package engineio_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// pipeListener is a network in memory, so that tests run in fake time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
	case <-l.done:
		server.Close()
	}
	return client
}

// world is a server with its network.
type world struct {
	t      *testing.T
	server *engineio.Server
	http   *http.Server
	dialer func() net.Conn
	serve  bool // through Server.Serve: real connections, which live on after an answer

	mu       sync.Mutex
	sessions []*peer
	dialed   []net.Conn
}

// peer is the layer above one session: it records, and answers when told how.
type peer struct {
	s       *engineio.Session
	receive func(m engineio.Message) error

	mu       sync.Mutex
	got      []string
	upgraded []string
	closed   int
	reason   engineio.Reason
	err      error
}

func (p *peer) Receive(m engineio.Message) error {
	p.mu.Lock()
	if p.closed > 0 {
		panic("message after Closed")
	}
	text := string(m.Data)
	if m.Binary {
		text = "binary:" + text
	}
	p.got = append(p.got, text)
	p.mu.Unlock()
	if p.receive != nil {
		return p.receive(m)
	}
	return nil
}

func (p *peer) Upgraded(transport string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upgraded = append(p.upgraded, transport)
}

func (p *peer) Closed(reason engineio.Reason, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	p.reason, p.err = reason, err
}

func (p *peer) messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

func (p *peer) end() (engineio.Reason, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed > 1 {
		panic("Closed twice")
	}
	return p.reason, p.err
}

// echo makes peers send back what they receive.
func echo(p *peer) { p.receive = func(m engineio.Message) error { return p.s.SendMessages(m) } }

// inWorld runs f in a synctest bubble around a server.
func inWorld(t *testing.T, o engineio.Options, setup func(p *peer), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, o, setup)
		defer w.close()
		f(w)
	})
}

// inServedWorld runs f around a server that Server.Serve serves, in real time.
func inServedWorld(t *testing.T, o engineio.Options, setup func(p *peer), f func(w *world)) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := makeWorld(t, o, setup)
	w.serve = true
	w.dialer = func() net.Conn {
		c, err := net.Dial("tcp", lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(lis, w.http) }() // ends with close
	defer func() {
		w.close()
		if err := <-served; err != http.ErrServerClosed { //nolint:errorlint // the very value
			t.Errorf("Serve: %v", err)
		}
	}()
	f(w)
}

func newWorld(t *testing.T, o engineio.Options, setup func(p *peer)) *world {
	w, lis := makeWorld(t, o, setup), newPipeListener()
	w.dialer = lis.dial
	go w.http.Serve(lis)
	return w
}

func makeWorld(t *testing.T, o engineio.Options, setup func(p *peer)) *world {
	w := &world{t: t}
	if o.Accept == nil {
		o.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			p := &peer{s: s}
			w.mu.Lock()
			w.sessions = append(w.sessions, p)
			w.mu.Unlock()
			if setup != nil {
				setup(p)
			}
			return p, nil
		}
	}
	w.server = engineio.NewServer(&o)
	w.http = &http.Server{Handler: w.server, ErrorLog: log.New(io.Discard, "", 0)}
	return w
}

func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.t.Errorf("shutdown: %v", err)
	}
	w.http.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.dialed {
		c.Close()
	}
	for _, p := range w.sessions {
		p.mu.Lock()
		if p.closed != 1 {
			w.t.Errorf("Closed was called %d times", p.closed)
		}
		p.mu.Unlock()
	}
}

func (w *world) dial() net.Conn {
	c := w.dialer()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialed = append(w.dialed, c)
	return c
}

// last returns the newest session.
func (w *world) last() *peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[len(w.sessions)-1]
}

// response is an answer, or that there was none.
type response struct {
	status int
	header http.Header
	body   string
	lost   bool
}

// call is a request under way.
type call struct {
	conn net.Conn
	done chan response
}

func (c *call) wait() response { return <-c.done }

// raw sends head and body as they are, on a connection of their own; each in a
// write of its own, or what is served at once at once.
func (w *world) raw(method, head string, body ...[]byte) *call {
	c := &call{conn: w.dial(), done: make(chan response, 1)}
	if w.serve {
		head += string(bytes.Join(body, nil))
		body = nil
	}
	go func() {
		c.conn.Write([]byte(head))
		for _, b := range body {
			c.conn.Write(b)
		}
	}()
	go func() {
		res, err := http.ReadResponse(bufio.NewReader(c.conn), &http.Request{Method: method})
		if err != nil {
			c.done <- response{lost: true}
			return
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			c.done <- response{lost: true}
			return
		}
		c.done <- response{status: res.StatusCode, header: res.Header, body: string(b)}
	}()
	return c
}

// onlyOne is the field of a connection's last request.
func (w *world) onlyOne() string {
	if w.serve {
		return "" // or else net/http would get it
	}
	return "Connection: close\r\n"
}

func (w *world) start(method, query string, header map[string]string, body string) *call {
	var b strings.Builder
	b.WriteString(method + " /engine.io/?" + query + " HTTP/1.1\r\nHost: example.test\r\n" + w.onlyOne())
	for k, v := range header {
		b.WriteString(k + ": " + v + "\r\n")
	}
	if method == http.MethodPost {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	return w.raw(method, b.String()+"\r\n", []byte(body))
}

func (w *world) get(query string) response { return w.start("GET", query, nil, "").wait() }
func (w *world) post(query, body string) response {
	return w.start("POST", query, nil, body).wait()
}

// open opens a polling session and returns its id.
func (w *world) open(query string) string {
	w.t.Helper()
	r := w.get(query)
	if r.status != 200 {
		w.t.Fatalf("handshake: %d %s", r.status, r.body)
	}
	return sidOf(r.body)
}

func sidOf(s string) string {
	_, rest, ok := strings.Cut(s, `sid":"`)
	if !ok {
		_, rest, _ = strings.Cut(s, `sid\":\"`)
	}
	if len(rest) < 20 {
		return ""
	}
	return rest[:20]
}
