package hook_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

// BenchmarkHook_Event is an event through a hook and its acknowledgement back, beside a
// bare HTTP round trip with a body of that size to the same back end: docs/realtime.md
// §4 asks for little more.
func BenchmarkHook_Event(b *testing.B) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ack":[{"ok":true}]}`)
	}))
	defer backend.Close()
	b.Run("bare", func(b *testing.B) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		body := bytes.Repeat([]byte("x"), 350)
		for b.Loop() {
			w, err := client.Post(backend.URL, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, w.Body)
			_ = w.Body.Close()
		}
	})
	b.Run("hook", func(b *testing.B) {
		client, err := hook.New(&hook.Options{URL: backend.URL, Secrets: secrets, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		srv := sockettest.NewServer(b, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: -1}})
		client.Attach(srv.Of("/app"))
		c := srv.Connect("/app", nil)
		for b.Loop() {
			c.Call("say", "hello", 7)
		}
		b.StopTimer()
		_ = client.Shutdown(b.Context())
	})
}
