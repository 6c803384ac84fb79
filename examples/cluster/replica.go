package main

import (
	"context"
	_ "embed"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
)

//go:embed page.html
var page string

// news is what every replica, and the emitter, tells every client.
type news struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// replica is a Go replica made with the library, in this process; it also serves
// the demo page.
type replica struct {
	rdb    *redis.Client
	io     *socketio.Server
	server *http.Server
	done   chan error
}

// startReplica joins the cluster on redisAddr; places fills in the page's
// addresses. Stop ends it.
func startReplica(addr, redisAddr string, places *strings.Replacer) (*replica, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	rdb := redis.NewClient(&redis.Options{Addr: redisAddr, MaxRetries: -1})
	io := socketio.NewServer(&socketio.Options{
		NewAdapter: adapter.Redis(rdb, nil),
		Bundles:    clientdist.FS(),
	})
	io.OnConnection(func(s *socketio.Socket) {
		s.On("say", func(e *socketio.Event) {
			var text string
			if e.Bind(&text) == nil {
				_ = io.Emit("news", news{From: "the Go replica", Text: text})
			}
		})
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = places.WriteString(w, page)
	})
	r := &replica{rdb: rdb, io: io, done: make(chan error, 1)}
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { r.done <- r.server.Serve(l) }() // stop waits for it
	return r, nil
}

// stop says goodbye to clients and cluster.
func (r *replica) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.Join(r.io.Shutdown(ctx), r.server.Shutdown(ctx), r.server.Close())
	if served := <-r.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, r.rdb.Close())
}
