package hook_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

// recorded is a back end on a port of its own that notes the signatures of what it gets.
type recorded struct {
	*httptest.Server
	mu         sync.Mutex // guards signatures
	signatures []string
}

func newRecorded(t *testing.T) *recorded {
	t.Helper()
	b := &recorded{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		b.mu.Lock()
		b.signatures = append(b.signatures, r.Header.Get("Webhook-Signature"))
		b.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ack":["`+b.URL+`"]}`)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *recorded) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.signatures)
}

// The next request after an Update goes to the new back end with the new secrets, by a
// transport of that address; a wrong Update changes nothing.
func TestClient_Update_OtherBackEndSecretsAndEvents(t *testing.T) {
	first, second := newRecorded(t), newRecorded(t)
	two, err := hook.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	client, err := hook.New(&hook.Options{URL: first.URL, Secrets: secrets, Events: []string{"say"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	srv := sockettest.NewServer(t, &socketio.Options{Logger: quiet})
	client.Attach(srv.Of("/app"))
	t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	c := srv.Connect("/app", nil)
	ask := func(event, want string) {
		t.Helper()
		if got := c.Call(event).String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
	ask("say", first.URL)
	if err := client.Update(&hook.Options{URL: "nonsense", Secrets: two}); err == nil {
		t.Error("a wrong URL was taken")
	}
	ask("say", first.URL)
	if err := client.Update(&hook.Options{URL: second.URL, Secrets: two, Events: []string{"connect", "disconnect", "say", "whisper"}, Concurrency: 2}); err != nil {
		t.Fatal(err)
	}
	ask("say", second.URL)
	ask("whisper", second.URL)
	late := srv.Connect("/app", nil) // "connect" is posted now
	late.Disconnect()
	if n := len(first.got()); n != 2 {
		t.Errorf("the first back end got %d requests, want 2", n)
	}
	got := second.got()
	if len(got) < 3 {
		t.Fatalf("the second back end got %d requests, want the connect too", len(got))
	}
	for _, signature := range got {
		if strings.Count(signature, "v1,") != 2 {
			t.Errorf("signature %q is not of both secrets", signature)
		}
	}
}
