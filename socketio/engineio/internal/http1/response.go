package http1

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is the connection below a response.
type Conn interface {
	// WriteAll writes all of b; it may wait for a peer that reads slowly.
	WriteAll(b []byte) error
	// Hijack takes the connection out of HTTP, with what came behind the request.
	Hijack() (net.Conn, []byte, error)
}

// Response is the http.ResponseWriter of a plain request. What a handler writes is
// gathered, and leaves with the head in one write when the handler returns; a
// handler that flushes, or writes much, gets chunks. Belongs to the goroutine that
// serves the request.
type Response struct {
	Conn Conn

	header   http.Header
	keys     []string // for sorting
	status   int      // 0: no header was written
	out      []byte   // to be written
	body     int      // where the body begins in out; valid once there is a status
	headSent bool
	chunked  bool
	length   int64 // what the handler declared; -1: nothing
	written  int64 // of the body
	closing  bool  // the connection ends with this answer
	hijacked bool
	err      error // the peer is gone
}

var responses = sync.Pool{New: func() any { return &Response{header: make(http.Header, 8)} }}

// NewResponse returns a response on c, from a pool that Release gives it back to.
func NewResponse(c Conn) *Response {
	r := responses.Get().(*Response)
	r.Conn = c
	return r
}

// keepBytes is how large a buffer the pool keeps.
const keepBytes = 64 << 10

// Release gives the response back. Nobody may use it afterwards.
func (r *Response) Release() {
	if cap(r.out) > keepBytes {
		r.out = nil
	}
	clear(r.header)
	*r = Response{header: r.header, keys: r.keys[:0], out: r.out[:0]}
	responses.Put(r)
}

// Header implements http.ResponseWriter.
func (r *Response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter. Informational answers are left out.
func (r *Response) WriteHeader(status int) {
	if r.status != 0 || r.hijacked || status < 200 {
		return
	}
	r.status = status
	r.length = -1
	if v := r.header["Content-Length"]; len(v) == 1 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			r.length = n
		}
	}
	for _, v := range r.header["Connection"] {
		if strings.EqualFold(v, "close") {
			r.closing = true
		}
	}
}

func (r *Response) bodyAllowed() bool {
	return r.status >= 200 && r.status != http.StatusNoContent && r.status != http.StatusNotModified
}

// flushAbove is how much is gathered before it is sent.
const flushAbove = 64 << 10

// Write implements http.ResponseWriter.
func (r *Response) Write(p []byte) (int, error) {
	switch {
	case r.hijacked:
		return 0, http.ErrHijacked
	case r.err != nil:
		return 0, r.err
	}
	r.WriteHeader(http.StatusOK)
	if !r.bodyAllowed() {
		return 0, http.ErrBodyNotAllowed
	}
	if r.length >= 0 && r.written+int64(len(p)) > r.length {
		return 0, http.ErrContentLength
	}
	if !r.headSent && r.written == 0 && len(p) > 0 {
		if _, set := r.header["Content-Type"]; !set {
			r.header["Content-Type"] = []string{http.DetectContentType(p)}
		}
	}
	r.written += int64(len(p))
	if r.headSent && r.chunked && len(p) > 0 {
		r.out = append(strconv.AppendInt(r.out, int64(len(p)), 16), "\r\n"...)
		r.out = append(append(r.out, p...), "\r\n"...)
	} else {
		r.out = append(r.out, p...)
	}
	if len(r.out) >= flushAbove {
		return len(p), r.FlushError()
	}
	return len(p), nil
}

// WriteString is Write.
func (r *Response) WriteString(s string) (int, error) { return r.Write([]byte(s)) }

// Flush implements http.Flusher.
func (r *Response) Flush() { _ = r.FlushError() }

// FlushError sends what was written so far, and tells whether the peer took it.
func (r *Response) FlushError() error {
	if r.hijacked {
		return http.ErrHijacked
	}
	r.WriteHeader(http.StatusOK)
	if !r.headSent {
		r.chunked = r.length < 0 && r.bodyAllowed()
		r.putHead(false)
	}
	r.send()
	return r.err
}

func (r *Response) send() {
	if r.err == nil && len(r.out) > 0 {
		r.err = r.Conn.WriteAll(r.out)
	}
	r.out = r.out[:0]
}

// putHead puts the head in front of the body that was gathered. complete says that
// this is all of it.
func (r *Response) putHead(complete bool) {
	r.headSent = true
	body := r.out
	head := heads.Get().(*[]byte)
	b := r.appendHead((*head)[:0], complete, len(body))
	if r.chunked && len(body) > 0 {
		b = append(strconv.AppendInt(b, int64(len(body)), 16), "\r\n"...)
		b = append(append(b, body...), "\r\n"...)
	} else {
		b = append(b, body...)
	}
	*head, r.out = body, b
	if cap(body) <= keepBytes {
		heads.Put(head)
	}
}

var heads = sync.Pool{New: func() any { return new([]byte) }}

func (r *Response) appendHead(b []byte, complete bool, body int) []byte {
	if r.status == http.StatusOK {
		b = append(b, "HTTP/1.1 200 OK\r\n"...)
	} else {
		b = append(b, "HTTP/1.1 "...)
		b = strconv.AppendInt(b, int64(r.status), 10)
		b = append(append(append(b, ' '), http.StatusText(r.status)...), "\r\n"...)
	}
	r.keys = r.keys[:0]
	for key := range r.header {
		switch key {
		case "Connection", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // ours to say
		}
		if isToken(key) {
			r.keys = append(r.keys, key)
		}
	}
	slices.Sort(r.keys)
	for _, key := range r.keys {
		for _, value := range r.header[key] {
			b = append(append(b, key...), ": "...)
			b = append(appendValue(b, value), "\r\n"...)
		}
	}
	if _, set := r.header["Date"]; !set {
		b = append(append(append(b, "Date: "...), date()...), "\r\n"...)
	}
	if r.closing {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case !r.bodyAllowed():
	case r.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		n := r.length
		if n < 0 && complete {
			n = int64(body)
		}
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, n, 10), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendValue keeps a value from ending its line.
func appendValue(b []byte, value string) []byte {
	if !strings.ContainsAny(value, "\r\n") {
		return append(b, value...)
	}
	for i := range len(value) {
		c := value[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// stamp is the Date field of one second.
type stamp struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[stamp]

func date() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &stamp{now.Unix(), now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}

// Finish sends what is left after the handler has returned. keep says that the
// connection may carry another request.
func (r *Response) Finish() (keep bool) {
	if r.hijacked {
		return false
	}
	r.WriteHeader(http.StatusOK)
	if r.length >= 0 && r.written < r.length && r.bodyAllowed() {
		r.closing = true // the peer waits for bytes that do not come
	}
	if !r.headSent {
		r.putHead(true)
	} else if r.chunked {
		r.out = append(r.out, "0\r\n\r\n"...)
	}
	r.send()
	return r.err == nil && !r.closing
}

// errHijackLate is for handlers that have answered.
var errHijackLate = errors.New("http1: hijack after the answer has begun")

// Hijack implements http.Hijacker.
func (r *Response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if r.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if r.headSent {
		return nil, nil, errHijackLate
	}
	conn, early, err := r.Conn.Hijack()
	if err != nil {
		return nil, nil, err
	}
	r.hijacked = true
	br := bufio.NewReaderSize(&replay{conn, early}, max(len(early), 16))
	_, _ = br.Peek(len(early)) // they are there
	return conn, bufio.NewReadWriter(br, bufio.NewWriter(conn)), nil
}

// Taken marks the connection as taken over by the layer below.
func (r *Response) Taken() { r.hijacked = true }

// Hijacked reports whether somebody took the connection over.
func (r *Response) Hijacked() bool { return r.hijacked }

// replay gives bytes that were read already, and then those of the connection.
type replay struct {
	net.Conn
	early []byte
}

func (c *replay) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// SetReadDeadline is for http.ResponseController: the request is there, all of it.
func (r *Response) SetReadDeadline(time.Time) error { return nil }

// EnableFullDuplex is for http.ResponseController: it always is.
func (r *Response) EnableFullDuplex() error { return nil }
