package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// An entry that is kept for longer keeps none behind it alive, and the oldest of 10 000
// makes room for another one, but for no repeat.
func TestMemoryIdempotency_Bounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := api.NewMemoryIdempotency()
		begin := func(id, fingerprint string, age time.Duration) error {
			_, err := store.Begin(t.Context(), id, fingerprint, age)
			return err
		}
		for i := range 10_000 {
			if err := begin(fmt.Sprint("id", i), "1", time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"id0", "id9999"} {
			if err := begin(id, "2", time.Hour); !errors.Is(err, api.ErrOtherBody) {
				t.Errorf("%s among 10 000: %v", id, err)
			}
		}
		if err := begin("short", "1", time.Minute); err != nil {
			t.Error(err)
		}
		if err := begin("id1", "2", time.Hour); !errors.Is(err, api.ErrOtherBody) {
			t.Errorf("id1 after one more: %v", err)
		}
		if err := begin("id0", "2", time.Hour); err != nil {
			t.Errorf("id0 after one more: %v", err)
		}
		time.Sleep(time.Minute)
		if err := begin("short", "2", time.Minute); err != nil {
			t.Errorf("after its time: %v", err)
		}
	})
}

func TestHandler_IdempotencyKey_IsForPosts(t *testing.T) {
	srv, h := served(t, &api.Options{})
	get := func() string {
		return call(t, h, "GET", "/api/rooms?namespace=/app", full, "", "Idempotency-Key", "k").Body.String()
	}
	before := get()
	srv.Connect("/app", obj{"room": "r"})
	if after := get(); after == before {
		t.Errorf("a GET was answered as before: %s", after)
	}
}

func TestHandler_IdempotencyKey_Bounds(t *testing.T) {
	_, h := served(t, &api.Options{})
	const body = `{"namespace":"/app","event":"x"}`
	for _, test := range []struct {
		key, body string
		status    int
	}{
		{strings.Repeat("k", 255), body, 200}, {strings.Repeat("k", 256), body, 422}, {"k", body + strings.Repeat(" ", 1<<20), 413},
	} {
		if a := call(t, h, "POST", "/api/emit", full, test.body, "Idempotency-Key", test.key); a.Code != test.status {
			t.Errorf("a key of %d, a body of %d: %d", len(test.key), len(test.body), a.Code)
		}
	}
}

// A request that failed, or was cut by a panic, may be made again with its key.
func TestHandler_IdempotencyKey_FailuresMayBeRepeated(t *testing.T) {
	a, h := servedNoting(t)
	emit := func() answer {
		return call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"x"}`, "Idempotency-Key", "k")
	}
	a.fail = errors.New("away")
	if got := emit(); got.Code != 503 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	a.panics = true
	func() {
		defer func() { _ = recover() }()
		emit()
		t.Error("no panic")
	}()
	a.panics, a.fail = false, nil
	if got := emit(); got.Code != 200 || got.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := emit(); got.Code != 200 || got.Header().Get("Idempotent-Replayed") == "" {
		t.Errorf("a repeat: %d %s", got.Code, got.Body)
	}
}

// storeAway is an IdempotencyStore that cannot be reached.
type storeAway struct{ api.IdempotencyStore }

func (storeAway) Begin(context.Context, string, string, time.Duration) (*api.StoredAnswer, error) {
	return nil, errors.New("canary")
}

func TestHandler_IdempotencyKey_StoreAway_DoesNothing(t *testing.T) {
	srv, h := served(t, &api.Options{Idempotency: storeAway{}})
	c := srv.Connect("/app", nil)
	a := call(t, h, "POST", "/api/emit", full, `{"namespace":"/app","event":"x"}`, "Idempotency-Key", "k")
	if a.Code != 503 || a.Header().Get("Retry-After") != "2" || strings.Contains(a.Body.String(), "canary") {
		t.Errorf("%d %v %s", a.Code, a.Header(), a.Body)
	}
	c.Quiet()
}
