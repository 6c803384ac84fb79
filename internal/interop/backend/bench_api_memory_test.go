package backend_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/api"
)

// BenchmarkAPI_Memory is what a batch of 100 entries allocates, from its handler to the
// replies of Redis: unlike CPU time it is the same on a busy machine. A thousand requests a
// second may be made with a key.
func BenchmarkAPI_Memory(b *testing.B) {
	addr, _ := testenv.Redis(b)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { rdb.Close() })
	io := socketio.NewServer(&socketio.Options{NewAdapter: adapter.Redis(rdb, nil)})
	b.Cleanup(func() { _ = io.Shutdown(context.Background()) })
	nodes := io.Of("/app").Adapter().(*adapter.Classic)
	var keys string
	for i := range apiKeys {
		keys += apiKey(i) + "\n"
	}
	list, err := api.ParseKeys(keys)
	if err != nil {
		b.Fatal(err)
	}
	handler, err := api.New(io, &api.Options{Keys: list})
	if err != nil {
		b.Fatal(err)
	}
	batch, _ := emitBodies()
	body := bytes.NewReader(batch)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		before := nodes.Stats().Published
		body.Reset(batch)
		r := httptest.NewRequest(http.MethodPost, "/api/batch", body)
		r.Header.Set("Authorization", "Bearer "+apiKey(i))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		for nodes.Stats().Published < before+batchSize {
			runtime.Gosched()
		}
		i++
	}
}
