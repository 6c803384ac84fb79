package api_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/api"
)

// A repeat gets the first answer and does nothing again; another body is refused; a
// failure may be tried again; after ten minutes the key is free.
func TestHandler_IdempotencyKey_DoesTheWorkOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, h := served(t, &api.Options{})
		c := srv.Connect("/app", nil)
		const body = `{"namespace":"/app","event":"once"}`
		for range 3 {
			if a := call(t, h, "POST", "/api/emit", full, body, "Idempotency-Key", "k1"); a.Code != 200 || a.Body.String() != "{}\n" {
				t.Errorf("%d %s", a.Code, a.Body)
			}
		}
		c.Expect("once")
		c.Quiet()
		if a := call(t, h, "POST", "/api/emit", full, body+" ", "Idempotency-Key", "k1"); a.Code != 422 {
			t.Errorf("another body: %d", a.Code)
		}
		if a := call(t, h, "POST", "/api/batch", full, body, "Idempotency-Key", "k1"); a.Code != 422 {
			t.Errorf("another route: %d", a.Code)
		}
		call(t, h, "POST", "/api/emit", app, body, "Idempotency-Key", "k1")
		c.Expect("once") // another caller's key is another key
		if a := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app"}`, "Idempotency-Key", "k2"); a.Code != 422 {
			t.Errorf("%d", a.Code)
		}
		if a := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app"}`, "Idempotency-Key", "k2"); a.Code != 422 || a.Header().Get("Idempotent-Replayed") == "" {
			t.Errorf("a refusal is an answer too: %d", a.Code)
		}
		var first answer
		var running sync.WaitGroup
		running.Go(func() {
			first = call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"ask","ack":{"timeout":5}}`, "Idempotency-Key", "k3")
		})
		synctest.Wait()
		if a := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"ask","ack":{"timeout":5}}`, "Idempotency-Key", "k3"); a.Code != 409 {
			t.Errorf("while the first runs: %d", a.Code)
		}
		running.Wait()
		if first.Code != 200 {
			t.Errorf("%d", first.Code)
		}
		time.Sleep(10 * time.Minute)
		call(t, h, "POST", "/api/emit", full, body, "Idempotency-Key", "k1")
		c.Expect("ask")
		c.Expect("once")
	})
}

// An entry that was abandoned keeps none behind it alive, and none lives for longer than
// its time.
func TestMemoryIdempotency_EntriesEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := api.NewMemoryIdempotency()
		begin := func(id, fingerprint string) error {
			_, err := store.Begin(t.Context(), id, fingerprint, 10*time.Minute)
			return err
		}
		for _, id := range []string{"z", "a"} {
			if err := begin(id, "1"); err != nil {
				t.Error(err)
			}
		}
		_ = store.Abandon(t.Context(), "a")
		if err := begin("b", "1"); err != nil {
			t.Error(err)
		}
		time.Sleep(9 * time.Minute)
		if err := begin("a", "1"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Minute)
		if err := begin("b", "2"); err != nil {
			t.Errorf("after its time: %v", err)
		}
	})
}
