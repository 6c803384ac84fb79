package hook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

// No part of a request's URL comes from a client, whatever its event, namespace, address
// or headers say.
func TestClient_URL_TakesNothingFromTheWire(t *testing.T) {
	var mu sync.Mutex
	urls := map[string]bool{}
	b := &backend{answer: func(r *http.Request, _ request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		urls[r.URL.String()+" "+r.Host+" "+r.Method] = true
		return respond(204, ""), nil
	}}
	srv, client := attached(t, b, &hook.Options{Headers: []string{"host", "x-forwarded-host"}})
	client.Attach(srv.OfPattern("/team/{id}"))
	c, err := srv.TryConnect("/team/..%2F@evil.example", obj{"url": "http://evil.example/"}, &sockettest.DialOptions{
		Header: http.Header{"Host": {"evil.example"}, "X-Forwarded-Host": {"evil.example"}}, Query: map[string][]string{"url": {"http://evil.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"/../admin", "?x=1", "@evil.example/", "http://evil.example/", "\r\nHost: evil.example"} {
		c.Call(event, event)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(urls) != 1 || !urls["http://backend.example/hook backend.example POST"] || len(b.got()) != 6 {
		t.Errorf("%v in %d requests", urls, len(b.got()))
	}
}

// The URL of a back end may hold a password or a key: operators see neither.
func TestClient_Log_HoldsNoSecretOfTheURL(t *testing.T) {
	var lines bytes.Buffer
	transport := &backend{answer: func(*http.Request, request) (*http.Response, error) { return nil, errors.New("refused") }}
	client, err := hook.New(&hook.Options{URL: "http://gateway:password@backend.example/hook?key=hidden", Secrets: secrets, Transport: transport, Logger: slog.New(slog.NewJSONHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	srv := sockettest.NewServer(t, &socketio.Options{Logger: slog.New(slog.DiscardHandler)})
	client.Attach(srv.Of("/app"))
	if _, err := srv.TryConnect("/app", nil, nil); err == nil {
		t.Error("let in without the back end")
	}
	if text := lines.String(); !strings.Contains(text, `"url":"http://backend.example/hook"`) || strings.Contains(text, "password") || strings.Contains(text, "hidden") {
		t.Error(text)
	}
	_, err = hook.New(&hook.Options{URL: "ftp://gateway:password@backend.example/?key=hidden", Secrets: secrets})
	if err == nil || strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
	if ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second); client.Shutdown(ctx) != nil {
		cancel()
		t.Error("the client does not end")
	} else {
		cancel()
	}
}
