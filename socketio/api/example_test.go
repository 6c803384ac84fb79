package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/api"
	"posthouse/socketio/presence"
)

func Example() {
	keys, err := api.ParseKeys("a-key-of-the-back-end namespaces=/app scopes=emit,read") // from a file
	if err != nil {
		panic(err)
	}
	io := socketio.NewServer(nil)
	defer io.Shutdown(context.Background())
	io.Of("/app")
	handler, err := api.New(io, &api.Options{Keys: keys})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", handler)

	r := httptest.NewRequest("POST", "/api/emit", strings.NewReader(`{"namespace":"/app","to":["news"],"event":"headline","args":["hello"]}`))
	r.Header.Set("Authorization", "Bearer a-key-of-the-back-end")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 {}
}

func ExampleParseKeys() {
	_, err := api.ParseKeys("too short")
	fmt.Println(errors.Is(err, api.ErrKey), err)
	// Output: true api: unsuitable key: line 1: a key has 16 characters or more
}

func ExampleHandler() {
	var handler *api.Handler // of New
	var _ http.Handler = handler
	for _, body := range []any{api.EmitRequest{Ack: &api.AckRequest{Timeout: 2}}, api.RoomsRequest{}, api.DisconnectRequest{}} {
		fmt.Printf("%T ", body)
	}
	for _, answer := range []any{api.EmitResult{}, api.SocketList{Sockets: []api.SocketInfo{}}, api.RoomList{}} {
		fmt.Printf("%T ", answer)
	}
	// Output: api.EmitRequest api.RoomsRequest api.DisconnectRequest api.EmitResult api.SocketList api.RoomList
}

func ExampleScope() {
	fmt.Println(api.ScopeEmit, api.ScopeRead, api.ScopeManage)
	var key api.Key // of ParseKeys
	_ = key
	// Output: emit read manage
}

func ExampleNewMemoryIdempotency() {
	var store api.IdempotencyStore = api.NewMemoryIdempotency()
	ctx := context.Background()
	first, err := store.Begin(ctx, "id", "fingerprint", 10*time.Minute)
	fmt.Println(first == nil, err)
	_, err = store.Begin(ctx, "id", "fingerprint", 10*time.Minute)
	fmt.Println(errors.Is(err, api.ErrInProgress))
	_, err = store.Begin(ctx, "id", "another", 10*time.Minute)
	fmt.Println(errors.Is(err, api.ErrOtherBody))
	_ = store.Finish(ctx, "id", "fingerprint", &api.StoredAnswer{Status: 200}, 10*time.Minute)
	first, _ = store.Begin(ctx, "id", "fingerprint", 10*time.Minute)
	fmt.Println(first.Status)
	// Output:
	// true <nil>
	// true
	// true
	// 200
}

func ExampleOptions_presence() {
	here, err := presence.New(&presence.Options{Rooms: func(room string) bool { return room == "news" }})
	if err != nil {
		panic(err)
	}
	o := api.Options{Presence: func(n *socketio.Namespace) *presence.Presence {
		if n.Name() == "/app" {
			return here
		}
		return nil
	}}
	fmt.Println(o.Presence != nil)
	// Output: true
}
