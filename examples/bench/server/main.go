// Command server is this module's server under test: it offers the conventions of
// the benchmark (see ../README.md) through the public API only, with every
// default feature on. node.mjs and bun.mjs beside it in ../node are its twins.
//
// Environment: PORT (127.0.0.1; 0 picks one), PING_INTERVAL in milliseconds,
// REDIS_URL for the cluster adapter, BENCH_ADAPTER for which one (classic, sharded or
// streams), BENCH_WITH for what else is on (see addFeature). BENCH_TLS=1 makes it an
// HTTPS server, with the certificate and the key in the files BENCH_TLS_CERT and
// BENCH_TLS_KEY. BENCH_DEFLATE=1 turns permessage-deflate on, BENCH_DEFLATE_LEVEL chooses
// its level, BENCH_CONTEXT how many bytes of context a connection keeps.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("bench server", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	opts := &socketio.Options{Engine: engineio.Options{PingTimeout: 20 * time.Second}}
	if s := os.Getenv("PING_INTERVAL"); s != "" {
		ms, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("PING_INTERVAL: %w", err)
		}
		opts.Engine.PingInterval = time.Duration(ms) * time.Millisecond
	}
	if os.Getenv("BENCH_DEFLATE") != "" {
		level, _ := strconv.Atoi(os.Getenv("BENCH_DEFLATE_LEVEL"))
		kept, _ := strconv.Atoi(os.Getenv("BENCH_CONTEXT"))
		opts.Engine.PerMessageDeflate = &engineio.PerMessageDeflate{Level: level, ContextTakeover: kept}
	}
	with := os.Getenv("BENCH_WITH")
	if s := os.Getenv("REDIS_URL"); s != "" {
		o, err := redis.ParseURL(s)
		if err != nil {
			return fmt.Errorf("REDIS_URL: %w", err)
		}
		rdb := redis.NewClient(o)
		defer rdb.Close()
		if opts.NewAdapter, err = newAdapter(rdb, os.Getenv("BENCH_ADAPTER"), with == "recovery"); err != nil {
			return err
		}
	}
	if with == "recovery" {
		opts.Recovery = &socketio.Recovery{}
	}
	io := socketio.NewServer(opts)
	stop, err := addFeature(io, with)
	if err != nil {
		return err
	}
	defer stop()
	offer(io, with == "history")

	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: routes(io, with == "history"), ReadHeaderTimeout: 10 * time.Second}
	serve := tlsFromEnv(io, os.Getenv)
	fmt.Printf("listening on %s://%s\n", serve.scheme, ln.Addr())
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = io.Shutdown(end)
		_ = srv.Shutdown(end)
	}()
	if err := serve.run(ln, srv); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// to is the room as an operator whose events a history keeps, if there is one.
func to(io *socketio.Server, room string, recorded bool) socketio.BroadcastOperator {
	if recorded {
		return io.To(room).Record()
	}
	return io.To(room)
}

// offer registers the events of the conventions.
func offer(io *socketio.Server, recorded bool) {
	ack := func(e *socketio.Event, args ...any) {
		if e.WantsAck() {
			_ = e.Ack(args...) // the client may be gone
		}
	}
	echo := func(e *socketio.Event) {
		if e.WantsAck() {
			_ = e.AckArgs(e.Args()) // the client may be gone
		}
	}
	main := io.Of("/")
	main.OnEvent("echo", echo)
	main.OnEvent("echo-bin", echo)
	main.OnEvent("join", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil && e.Socket().Join(room) == nil {
			ack(e)
		}
	})
	main.OnEvent("leave", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			e.Socket().Leave(room)
			ack(e)
		}
	})
	io.OfPattern("/n/{id}").OnEvent("echo", echo)
	main.OnEvent("relay", func(e *socketio.Event) {
		var room string
		if e.Bind(&room) == nil {
			_ = to(io, room, recorded).Emit("msg", e.Args().Slice(1))
		}
	})
	io.Of("/login").OnEvent("ticket", func(e *socketio.Event) {
		t := rand.Text()
		if e.Socket().Join(t) == nil {
			ack(e, map[string]string{"ticket": t})
		}
	})
}

// routes are the HTTP requests of the conventions.
func routes(srv *socketio.Server, recorded bool) http.Handler {
	type padded struct {
		I   int    `json:"i"`
		Pad string `json:"pad"`
	}
	pad := strings.Repeat("x", 48)
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s) }
	mux.HandleFunc("GET /bench/pid", func(w http.ResponseWriter, r *http.Request) {
		answer(w, strconv.Itoa(os.Getpid()))
	})
	mux.HandleFunc("POST /bench/gc", func(w http.ResponseWriter, r *http.Request) {
		debug.FreeOSMemory()
		answer(w, "ok")
	})
	mux.HandleFunc("GET /bench/broadcast", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		room := to(srv, r.URL.Query().Get("room"), recorded)
		for i := range n {
			_ = room.Emit("msg", padded{i, pad})
		}
		answer(w, "ok")
	})
	mux.HandleFunc("GET /bench/ask", func(w http.ResponseWriter, r *http.Request) {
		acks, _ := srv.To(r.URL.Query().Get("room")).Timeout(10*time.Second).EmitWithAck(r.Context(), "ask", pad)
		answer(w, strconv.Itoa(len(acks)))
	})
	mux.HandleFunc("GET /bench/gc", func(w http.ResponseWriter, r *http.Request) {
		answer(w, strconv.FormatFloat(gcSeconds(), 'f', 6, 64))
	})
	mux.HandleFunc("POST /bench/callback", func(w http.ResponseWriter, r *http.Request) {
		t := r.URL.Query().Get("ticket")
		login := srv.Of("/login").In(t)
		_ = login.Emit("token", map[string]string{"token": "tok-" + t})
		_ = login.DisconnectSockets(r.Context(), true)
		answer(w, "ok")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/socket.io/") {
			srv.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
