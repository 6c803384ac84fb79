// Command zishang is github.com/zishang520/socket.io under test: it offers the
// conventions of the benchmark (see ../README.md) with that server, as ../node
// does with Node's. It is a module of its own, so that its dependencies are not
// downloaded with posthouse.
//
// Environment: PORT (127.0.0.1; 0 picks one), PING_INTERVAL in milliseconds. Its
// Redis packages cannot be fetched from the module proxy, so that it has no part
// in the cluster scenario and refuses REDIS_URL.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench server:", err)
		os.Exit(1)
	}
}

func run() error {
	if os.Getenv("REDIS_URL") != "" {
		return fmt.Errorf("no Redis adapter can be had for this server")
	}
	options := socket.DefaultServerOptions()
	options.SetPingTimeout(20 * time.Second)
	if s := os.Getenv("PING_INTERVAL"); s != "" {
		ms, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("PING_INTERVAL: %w", err)
		}
		options.SetPingInterval(time.Duration(ms) * time.Millisecond)
	}
	server := socket.NewServer(nil, nil)
	handler := server.ServeHandler(options)
	offer(server)

	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", ln.Addr())
	return (&http.Server{Handler: routes(server, handler), ReadHeaderTimeout: 10 * time.Second}).Serve(ln)
}

// offer registers the events of the conventions.
func offer(server *socket.Server) {
	must := func(err error) {
		if err != nil {
			panic(err) // the names of events are ours
		}
	}
	must(server.On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		must(s.On("echo", acknowledge))
		must(s.On("echo-bin", acknowledge))
		must(s.On("join", func(args ...any) {
			ack, args := split(args)
			if room, ok := first(args).(string); ok {
				s.Join(socket.Room(room))
				ack(nil)
			}
		}))
		must(s.On("relay", func(args ...any) {
			_, args = split(args)
			if room, ok := first(args).(string); ok {
				_ = server.To(socket.Room(room)).Emit("msg", args[1:]...)
			}
		}))
	}))
	must(server.Of("/login", nil).On("connection", func(args ...any) {
		s := args[0].(*socket.Socket)
		must(s.On("ticket", func(args ...any) {
			ack, _ := split(args)
			ticket := rand.Text()
			s.Join(socket.Room(ticket))
			ack([]any{map[string]any{"ticket": ticket}})
		}))
	}))
}

func acknowledge(args ...any) {
	ack, args := split(args)
	ack(args)
}

// split takes the acknowledgement off the end of an event's arguments; without
// one it returns a function that does nothing.
func split(args []any) (ack func([]any), rest []any) {
	if n := len(args); n > 0 {
		if fn, ok := args[n-1].(socket.Ack); ok {
			return func(answer []any) { fn(answer, nil) }, args[:n-1]
		}
	}
	return func([]any) {}, args
}

func first(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

// routes are the HTTP requests of the conventions.
func routes(server *socket.Server, engine http.Handler) http.Handler {
	pad := strings.Repeat("x", 48)
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s) }
	mux.Handle("/socket.io/", engine)
	mux.HandleFunc("GET /bench/pid", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, strconv.Itoa(os.Getpid()))
	})
	mux.HandleFunc("POST /bench/gc", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		answer(w, "ok")
	})
	mux.HandleFunc("GET /bench/broadcast", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		room := server.To(socket.Room(r.URL.Query().Get("room")))
		for i := range n {
			_ = room.Emit("msg", map[string]any{"i": i, "pad": pad})
		}
		answer(w, "ok")
	})
	mux.HandleFunc("POST /bench/callback", func(w http.ResponseWriter, r *http.Request) {
		ticket := r.URL.Query().Get("ticket")
		login := server.Of("/login", nil)
		_ = login.To(socket.Room(ticket)).Emit("token", map[string]any{"token": "tok-" + ticket})
		login.In(socket.Room(ticket)).DisconnectSockets(true)
		answer(w, "ok")
	})
	return mux
}
