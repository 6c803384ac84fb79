package engineio_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// The fast path is that of all requests, whatever their path. Shutdown of the engine
// waits for all of them, and net/http goes on.
func TestServe_FastPath_IsThatOfEveryPath(t *testing.T) {
	if !fastPath() {
		t.Skip("there is no fast path here")
	}
	begun, release := make(chan struct{}), make(chan struct{})
	w := serveTCP(t, engineio.Options{}, func(w *served) { w.hs.Handler = slowHandler(begun, release) })
	l := w.line()
	const quick = "POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
	for range 3 {
		l.send(quick)
		if r := l.answer(); r.body != "/quick" {
			t.Fatalf("%+v", r)
		}
	}
	if n := w.fastRequests(); n != 3 {
		t.Errorf("%d of 3 took the fast path", n)
	}
	l.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-begun
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.shutdown()
	}()
	select {
	case <-ended:
		t.Error("Shutdown did not wait for the request")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if r := l.answer(); r.body != "/slow" {
		t.Errorf("%+v", r)
	}
	<-ended
	l.send(quick) // from here on net/http answers
	if r := l.answer(); r.body != "/quick" {
		t.Errorf("after Shutdown: %+v", r)
	}
	if n := w.fastRequests(); n != 4 {
		t.Errorf("%d took the fast path", n)
	}
}

// slowHandler answers with the path; for "/slow" it closes begun, and waits for
// release before.
func slowHandler(begun, release chan struct{}) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
		}
		io.WriteString(rw, r.URL.Path)
	}
}
