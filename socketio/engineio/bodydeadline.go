package engineio

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// The time a request's body has (docs/reliability.md §4 row 3).
const (
	// bodyStall is how long no byte may come.
	bodyStall = 10 * time.Second
	// After bodyGrace the sender must have kept up bodyRate bytes per second on
	// average. Only the time in which the server waited for the sender counts.
	bodyGrace = 2 * time.Second
	bodyRate  = 1024
)

// BodyDeadline is a middleware that puts a deadline on the body of every request:
// 10 s without a byte, or less than 1 KB/s on average after the first 2 s, end it.
// Each byte that comes moves the deadline, so that a slow upload that does move is
// not cut. A body that next does not read has 2 s at first, and again when next has
// returned. Then, or when next meets the error (an os.ErrDeadlineExceeded), net/http
// closes the connection behind the answer.
//
// A handler that sets a read deadline of its own, by http.ResponseController, or an
// http.Server with a ReadTimeout, gets the earlier one. Requests without a body, and those of which all bytes are there,
// pass as they are. A Server does this by itself for its own requests; the
// middleware is for the other routes of the same http.Server.
func BodyDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !mayStall(r) {
			next.ServeHTTP(w, r)
			return
		}
		var own time.Time
		if hs, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && hs.ReadTimeout > 0 {
			own = time.Now().Add(hs.ReadTimeout) // net/http has just set it
		}
		serveTimed(next, w, r, bodyStall, own)
	})
}

// serveTimed calls next with a timed body; own is a deadline that stands already.
func serveTimed(next http.Handler, w http.ResponseWriter, r *http.Request, stall time.Duration, own time.Time) {
	original := r.Body
	b := &timedBody{ReadCloser: original, controller: http.NewResponseController(w), stallLimit: stall, handlerDeadline: own}
	b.arm(time.Now().Add(min(bodyGrace, stall)))
	// net/http looks at the body it made to decide what to do with the rest of it.
	r.Body = b
	defer func() {
		r.Body = original
		b.leave()
	}()
	next.ServeHTTP(&timedWriter{w, b}, r)
}

// mayStall reports whether bytes of r's body may still have to come.
func mayStall(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return false
	}
	switch r.Body.(type) {
	case *timedBody, interface{ Complete() }: // see fasthttp1.Body
		return false
	}
	return true
}

// timedBody is a body whose sender has to keep up a rate.
type timedBody struct {
	io.ReadCloser
	controller *http.ResponseController
	stallLimit time.Duration

	// Of the goroutine that reads:
	waitedSoFar time.Duration // for the sender
	bytesRead   int64         // bytes that came
	readErr     error

	mu              sync.Mutex // guards what follows and the order of the deadlines; a leaf
	handlerDeadline time.Time  // the handler's; zero: none
	bodyEnded       bool       // there is nothing to wait for any more
	handlerReturned bool       // the handler has returned
}

// errSlowBody is for senders that do come, but too slowly.
var errSlowBody = fmt.Errorf("engineio: body slower than %d bytes per second: %w", bodyRate, os.ErrDeadlineExceeded)

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	if b.readErr != nil {
		return 0, b.readErr
	}
	begin := time.Now()
	b.arm(begin.Add(b.stallLimit))
	n, err := b.ReadCloser.Read(p)
	b.waitedSoFar += time.Since(begin)
	b.bytesRead += int64(n)
	switch late := b.waitedSoFar - bodyGrace; {
	case err == io.EOF: // net/http watches the connection from here on
		b.finish()
	case err != nil:
		b.readErr = err
	case late > 0 && float64(b.bytesRead) < late.Seconds()*bodyRate:
		b.readErr = errSlowBody
		b.arm(longAgo)
		return n, b.readErr
	}
	return n, err
}

// arm sets the deadline, or the handler's own if that is earlier. An error means
// that there are no deadlines here: then only the rate is looked at.
func (b *timedBody) arm(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bodyEnded {
		return
	}
	if !b.handlerDeadline.IsZero() && b.handlerDeadline.Before(t) {
		t = b.handlerDeadline
	}
	b.controller.SetReadDeadline(t) //nolint:errcheck // see above
}

// finish leaves the handler's own deadline alone, if any.
func (b *timedBody) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.bodyEnded {
		b.bodyEnded = true
		b.controller.SetReadDeadline(b.handlerDeadline) //nolint:errcheck // likewise
	}
}

// leave is called when the handler has returned: net/http reads some of a body that
// was left. After an error it shall not.
func (b *timedBody) leave() {
	if b.readErr == nil {
		b.arm(time.Now().Add(min(bodyGrace, b.stallLimit)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlerReturned = true
}

// limit sets the handler's own deadline.
func (b *timedBody) limit(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handlerReturned {
		return http.ErrNotSupported
	}
	b.handlerDeadline = t
	if !b.bodyEnded && (t.IsZero() || time.Until(t) > b.stallLimit) {
		t = time.Now().Add(b.stallLimit)
	}
	return b.controller.SetReadDeadline(t)
}

// timedWriter makes the handler's read deadlines known to the body.
type timedWriter struct {
	http.ResponseWriter
	body *timedBody
}

// Unwrap is for http.ResponseController.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline is for http.ResponseController.
func (w *timedWriter) SetReadDeadline(t time.Time) error { return w.body.limit(t) }

// Flush implements http.Flusher.
func (w *timedWriter) Flush() { w.body.controller.Flush() } //nolint:errcheck // as http.Flusher

// Hijack implements http.Hijacker.
func (w *timedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.body.controller.Hijack()
	if err == nil { // the deadlines are the handler's alone
		w.body.mu.Lock()
		defer w.body.mu.Unlock()
		w.body.bodyEnded, w.body.handlerReturned = true, true
	}
	return conn, rw, err
}
