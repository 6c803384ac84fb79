// Chat is rooms, typing indicators, people online, and connections that come
// back without losing a message: an introduction to package socketio by a page that
// people can use. Read chat.go first.
//
//	go run ./examples/chat
//
// PORT is where it listens (3001). With REDIS_URL any number of replicas are one
// chat.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/engineio"
	"posthouse/socketio/presence"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("PORT"), "3001"), os.Getenv("REDIS_URL")); err != nil {
		log.Fatal(err)
	}
}

// run serves the chat until ctx ends.
func run(ctx context.Context, port, redisURL string) error {
	opts := options()
	var people presence.Store
	if redisURL != "" {
		o, err := redis.ParseURL(redisURL)
		if err != nil {
			return fmt.Errorf("REDIS_URL: %w", err)
		}
		rdb := redis.NewClient(o)
		defer rdb.Close()
		// Of the adapters this one lets a client recover on any replica.
		opts.NewAdapter = adapter.RedisStreams(rdb, nil)
		if people, err = adapter.NewPresence(rdb, nil); err != nil {
			return err
		}
	}
	io, err := socketio.New(opts)
	if err != nil {
		return err
	}
	c := newChat(io, people)
	background, endBackground := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { c.here.Run(background) })
	defer func() { endBackground(); tasks.Wait() }()
	server := &http.Server{Handler: newHandler(c), ReadHeaderTimeout: 5 * time.Second}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	fmt.Printf("chat: http://localhost:%d\n", listener.Addr().(*net.TCPAddr).Port)

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends with Shutdown
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, io.Shutdown(end), server.Shutdown(end)) // sockets first: they are hijacked connections
}

// options are what the chat needs beyond the defaults.
func options() *socketio.Options {
	return &socketio.Options{
		// A client that comes back within two minutes continues with the same socket and gets
		// what was said meanwhile.
		Recovery: &socketio.Recovery{MaxDisconnection: 2 * time.Minute},
		// The page imports the client from /socket.io/socket.io.esm.min.js.
		Bundles: clientdist.FS(),
		Limits:  socketio.Limits{Rooms: maxRooms, EventsPerSecond: 5, EventsBurst: 30},
		// No message needs more, and the lost are noticed within 15 seconds.
		Engine: engineio.Options{MaxPayload: 16 << 10, PingInterval: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// newHandler makes a whole web server of the chat: its page and its sockets.
func newHandler(c *chat) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", c.io) // this line is the mounting
	mux.Handle("/", newPage())
	return mux
}
