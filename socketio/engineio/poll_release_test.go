package engineio_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"posthouse/socketio/engineio"
)

// A poll that is given back is answered with a noop, and its session lives on.
func TestWithPollRelease_AnswersThePollAndKeepsTheSession(t *testing.T) {
	engine := engineio.NewServer(&engineio.Options{Accept: func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
		return &echoHandler{s}, nil
	}})
	defer func() { _ = engine.Shutdown(context.Background()) }()
	release := make(chan struct{})
	serve := func(method, query, body string, ctx context.Context) string {
		req := httptest.NewRequestWithContext(ctx, method, "/engine.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, req)
		text, _ := io.ReadAll(w.Body)
		return string(text)
	}
	_, rest, _ := strings.Cut(serve("GET", "", "", t.Context()), `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	answer := make(chan string, 1)
	go func() { answer <- serve("GET", "&sid="+sid, "", engineio.WithPollRelease(t.Context(), release)) }()
	close(release)
	if got := <-answer; got != "6" {
		t.Errorf("the poll was answered %q", got)
	}
	if got := serve("POST", "&sid="+sid, "4hi", t.Context()); got != "ok" {
		t.Errorf("POST: %q", got)
	}
	if got := serve("GET", "&sid="+sid, "", engineio.WithPollRelease(t.Context(), release)); got != "4hi" {
		t.Errorf("GET: %q", got)
	}
}

func ExampleWithPollRelease() {
	draining := make(chan struct{}) // closed when polls are to end here and go on elsewhere
	engine := engineio.NewServer(nil)
	http.HandleFunc("/engine.io/", func(w http.ResponseWriter, r *http.Request) {
		engine.ServeHTTP(w, r.WithContext(engineio.WithPollRelease(r.Context(), draining)))
	})
}
