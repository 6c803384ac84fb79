package fasthttp1

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/socketio/engineio/internal/netpoll"
)

// ResponseConn is the connection below a response.
type ResponseConn interface {
	// WriteAll writes all of b; it may wait for a peer that reads slowly.
	WriteAll(b []byte) error
	// SetWriteDeadline bounds the waiting until this answer has left.
	SetWriteDeadline(t time.Time) error
	// Hijack takes the connection out of HTTP, with what came behind the request.
	// After an error it still belongs to the response.
	Hijack() (net.Conn, []byte, error)
	// Upgrade takes the connection out of HTTP and gives it to s, which is called at once.
	Upgrade(s netpoll.Successor)
}

// Response is the http.ResponseWriter of a plain request. What a handler writes is
// gathered, and leaves with the head in one write when the handler returns; a
// handler that flushes, or writes much, gets chunks. Belongs to the goroutine that
// serves the request.
type Response struct {
	conn ResponseConn

	header     http.Header
	keys       []string // for sorting
	status     int      // 0: no header was written
	head       []byte   // the fields, as they were when the status was written
	typed      bool     // there is no need to look what the body is
	dated      bool
	connection []string // what the handler says of it
	out        []byte   // the body, and once headSent what is to be written
	headSent   bool
	chunked    bool
	length     int64 // what the handler declared; -1: nothing
	written    int64 // of the body
	closing    bool  // the connection ends with this answer
	hijacked   bool
	err        error // the peer is gone
}

var responses = sync.Pool{New: func() any { return &Response{header: make(http.Header, 8)} }}

// NewResponse returns a response on c, from a pool that Release gives it back to.
// last says that the connection ends with it.
func NewResponse(c ResponseConn, last bool) *Response {
	r := responses.Get().(*Response)
	r.conn, r.closing = c, last
	return r
}

// keepBytes is how large a buffer the pool keeps.
const keepBytes = 64 << 10

// Release gives the response back to the pool: the last use of it.
func (r *Response) Release() {
	if cap(r.out) > keepBytes {
		r.out = nil
	}
	if cap(r.head) > keepBytes {
		r.head = nil
	}
	clear(r.header)
	*r = Response{header: r.header, keys: r.keys[:0], head: r.head[:0], out: r.out[:0]}
	responses.Put(r)
}

// Header implements http.ResponseWriter.
func (r *Response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter: what the header says later does not
// count. Informational answers are left out.
func (r *Response) WriteHeader(status int) {
	if r.status != 0 || r.hijacked {
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("fasthttp1: invalid status %d", status)) // as with net/http
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	r.status = status
	r.length = -1
	if v := r.header["Content-Length"]; len(v) > 0 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil && n >= 0 {
			r.length = n
		}
	}
	r.connection = r.header["Connection"]
	for _, list := range r.connection {
		for item := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.Trim(item, " \t"), "close") {
				r.closing = true
			}
		}
	}
	_, r.dated = r.header["Date"]
	_, r.typed = r.header["Content-Type"]
	r.typed = r.typed || r.header.Get("Content-Encoding") != "" || r.header.Get("Transfer-Encoding") != ""
	r.appendFields()
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
	switch {
	case len(p) == 0:
		return 0, nil
	case !r.bodyAllowed():
		return 0, http.ErrBodyNotAllowed
	case r.length >= 0 && r.written+int64(len(p)) > r.length:
		r.closing = true
		return 0, http.ErrContentLength
	}
	r.written += int64(len(p))
	if r.headSent && r.chunked {
		r.out = appendChunk(r.out, p)
	} else {
		r.out = append(r.out, p...)
	}
	if len(r.out) >= flushAbove {
		return len(p), r.FlushError()
	}
	return len(p), nil
}

func appendChunk(b, p []byte) []byte {
	b = append(strconv.AppendInt(b, int64(len(p)), 16), "\r\n"...)
	return append(append(b, p...), "\r\n"...)
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
		r.putHead()
	}
	r.send()
	return r.err
}

func (r *Response) send() {
	if r.err == nil && len(r.out) > 0 {
		r.err = r.conn.WriteAll(r.out)
	}
	r.out = r.out[:0]
}

// putHead puts the head in front of the body that was gathered; unless there are
// chunks or a declared length, that is all of it.
func (r *Response) putHead() {
	r.headSent = true
	b, body := r.head, r.out
	if !r.typed && len(body) > 0 {
		b = append(append(append(b, "Content-Type: "...), http.DetectContentType(body)...), "\r\n"...)
	}
	if !r.dated {
		b = append(append(append(b, "Date: "...), date()...), "\r\n"...)
	}
	if r.closing && r.status != http.StatusSwitchingProtocols {
		b = append(b, "Connection: close\r\n"...)
	} else {
		b = appendField(b, "Connection", r.connection)
	}
	switch {
	case !r.bodyAllowed():
	case r.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		n := r.length
		if n < 0 {
			n = int64(len(body))
		}
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), n, 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	if r.chunked && len(body) > 0 {
		b = appendChunk(b, body)
	} else {
		b = append(b, body...)
	}
	r.head, r.out = body[:0], b
}

// appendFields begins the head: the status line, and the fields that the handler
// decides about.
func (r *Response) appendFields() {
	b := r.head
	switch text := http.StatusText(r.status); {
	case r.status == http.StatusOK:
		b = append(b, "HTTP/1.1 200 OK\r\n"...)
	case text != "":
		b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(r.status), 10)
		b = append(append(append(b, ' '), text...), "\r\n"...)
	default:
		b = fmt.Appendf(b, "HTTP/1.1 %d status code %d\r\n", r.status, r.status)
	}
	r.keys = r.keys[:0]
	for key := range r.header {
		switch key {
		case "Connection", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // putHead's to say
		case "Content-Type":
			if r.status == http.StatusNotModified {
				continue // RFC 9110 §15.4.5, as net/http reads it
			}
		}
		if isToken(key) {
			r.keys = append(r.keys, key)
		}
	}
	slices.Sort(r.keys)
	for _, key := range r.keys {
		b = appendField(b, key, r.header[key])
	}
	r.head = b
}

func appendField(b []byte, key string, values []string) []byte {
	for _, value := range values {
		b = append(append(b, key...), ": "...)
		b = append(appendValue(b, value), "\r\n"...)
	}
	return b
}

// appendValue keeps a value from ending its line.
func appendValue(b []byte, value string) []byte {
	value = strings.Trim(value, " \t\r\n")
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
		r.putHead()
	} else if r.chunked {
		r.out = append(r.out, "0\r\n\r\n"...)
	}
	r.send()
	return r.err == nil && !r.closing
}

// Hijack implements http.Hijacker. A head that the handler has written leaves first.
func (r *Response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if r.hijacked {
		return nil, nil, http.ErrHijacked
	}
	if r.status != 0 {
		_ = r.FlushError() // a hijacker notices by itself
	}
	conn, early, err := r.conn.Hijack()
	if err != nil {
		return nil, nil, err
	}
	r.hijacked = true
	br := bufio.NewReaderSize(&replay{conn, early}, max(len(early), 4<<10))
	_, _ = br.Peek(len(early)) // they are there
	return conn, bufio.NewReadWriter(br, bufio.NewWriter(conn)), nil
}

// Upgrade gives the connection to s, after Take. The handler then returns without
// another use of the response.
func (r *Response) Upgrade(s netpoll.Successor) { r.conn.Upgrade(s) }

// Take reserves the connection for Upgrade; false says that it is too late for that.
func (r *Response) Take() bool {
	if r.hijacked || r.status != 0 {
		return false
	}
	r.hijacked = true
	return true
}

// Hijacked reports whether the connection was taken over.
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

// SetWriteDeadline is for http.ResponseController.
func (r *Response) SetWriteDeadline(t time.Time) error { return r.conn.SetWriteDeadline(t) }

// Paced implements answer.Paced: WriteAll ends answers of which the peer takes nothing.
func (r *Response) Paced() {}

// EnableFullDuplex is for http.ResponseController: it always is.
func (r *Response) EnableFullDuplex() error { return nil }
