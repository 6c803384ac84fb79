package hook

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The bounds of a connection to a back end.
const (
	dialTimeout     = 10 * time.Second
	idleConnTimeout = 90 * time.Second
	maxAnswerHead   = 64 << 10
	maxInformations = 5 // answers of status 1xx before the real one
)

// newTransport returns the default of Options.Transport: what goes to a back end in the
// clear and without a proxy is written and read by the goroutine that asks, all else by
// net/http's Transport. That one hands each request to two goroutines of the connection,
// which is half of what a hook costs (BenchmarkHook_Event).
func newTransport(connections int) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = connections, maxAnswerHead
	if !looksForEnd {
		return t
	}
	return &transport{general: t, maxIdle: connections}
}

// transport is an http.RoundTripper for one address; see newTransport.
type transport struct {
	general *http.Transport
	maxIdle int

	mu   sync.Mutex // guards what follows, and backendConn.idleTimer
	idle []*backendConn
}

// backendConn is a connection that one request uses at a time.
type backendConn struct {
	net.Conn
	limit     io.LimitedReader // of the head of an answer
	reader    *bufio.Reader
	writer    *bufio.Writer
	idleTimer *time.Timer
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" {
		return t.general.RoundTrip(r)
	}
	if proxy, err := http.ProxyFromEnvironment(r); proxy != nil || err != nil {
		return t.general.RoundTrip(r)
	}
	conn, err := t.connection(r)
	if err != nil {
		return nil, err
	}
	// Past the deadline every read and write returns.
	stop := context.AfterFunc(r.Context(), func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	w, err := conn.exchange(r)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, cmp.Or(r.Context().Err(), err)
	}
	w.Body = &answerBody{ReadCloser: w.Body, t: t, conn: conn, stop: stop, keep: !w.Close}
	return w, nil
}

// exchange writes a request and reads the head of its answer.
func (c *backendConn) exchange(r *http.Request) (*http.Response, error) {
	if err := errors.Join(r.Write(c.writer), c.writer.Flush()); err != nil {
		return nil, err
	}
	for range maxInformations {
		c.limit.N = maxAnswerHead
		w, err := http.ReadResponse(c.reader, r)
		switch {
		case err != nil && c.limit.N <= 0:
			return nil, errors.New("the head of the answer is longer than 64 KiB")
		case err != nil:
			return nil, err
		case w.StatusCode >= http.StatusOK:
			c.limit.N = math.MaxInt64
			return w, nil
		}
	}
	return nil, errors.New("the answer does not come to an end")
}

// connection returns one that is idle, or a new one.
func (t *transport) connection(r *http.Request) (*backendConn, error) {
	for conn := t.takeIdle(); conn != nil; conn = t.takeIdle() {
		if conn.reader.Buffered() == 0 && isQuiet(conn.Conn) {
			return conn, nil
		}
		_ = conn.Close()
	}
	host := r.URL.Host
	if r.URL.Port() == "" {
		host = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	nc, err := dialer.DialContext(r.Context(), "tcp", host)
	if err != nil {
		return nil, err
	}
	conn := &backendConn{Conn: nc, limit: io.LimitedReader{R: nc}, writer: bufio.NewWriter(nc)}
	conn.reader = bufio.NewReader(&conn.limit)
	return conn, nil
}

func (t *transport) takeIdle() *backendConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.idle) - 1
	if last < 0 {
		return nil
	}
	conn := t.idle[last]
	t.idle = t.idle[:last]
	conn.idleTimer.Stop()
	return conn
}

// putIdle keeps a connection for the next request.
func (t *transport) putIdle(conn *backendConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) >= t.maxIdle {
		_ = conn.Close()
		return
	}
	t.idle = append(t.idle, conn)
	if conn.idleTimer == nil {
		conn.idleTimer = time.AfterFunc(idleConnTimeout, func() { t.expire(conn) })
	} else {
		conn.idleTimer.Reset(idleConnTimeout)
	}
}

// expire closes a connection that has been idle for long.
func (t *transport) expire(conn *backendConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.idle, conn); i >= 0 {
		t.idle = slices.Delete(t.idle, i, i+1)
		_ = conn.Close()
	}
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	t.general.CloseIdleConnections()
	for conn := t.takeIdle(); conn != nil; conn = t.takeIdle() {
		_ = conn.Close()
	}
}

// answerBody gives the connection back when the answer was read to its end.
type answerBody struct {
	io.ReadCloser
	t     *transport
	conn  *backendConn
	stop  func() bool
	keep  bool // the back end keeps the connection
	ended bool // nothing is left to read
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended = true
	}
	return n, err
}

func (b *answerBody) Close() error {
	if b.conn == nil {
		return nil
	}
	conn := b.conn
	b.conn = nil
	// A deadline that the end of the context has set, or sets now, is for this request.
	if b.stop() && b.ended && b.keep {
		b.t.putIdle(conn)
		return nil
	}
	return conn.Close()
}
