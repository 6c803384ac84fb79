package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// server is what every suite's fixture is: a handler that serves and can be shut down.
type server interface {
	http.Handler
	Serve(ln net.Listener, hs *http.Server) error
	Shutdown(ctx context.Context) error
}

// fixture is one suite's server and the path it answers at.
type fixture struct {
	name string
	path string
	make func(m *member, log *slog.Logger) server
}

var fixtures = []fixture{
	{"eio4", "/engine.io/", newEIO4},
	{"eio3", "/engine.io/", newEIO3},
	{"sio5", "/socket.io/", newSIO5},
	{"sioclient", "/socket.io/", newSIOClient},
	{"eioclient", "/engine.io/", newEIOClient},
}

func main() {
	suite := flag.String("suite", "", "serve one suite: eio4, eio3, sio5, sioclient or eioclient; default all, on consecutive ports")
	where := place{port: os.Getenv("PORT")}
	flag.StringVar(&where.redis, "redis", "", "redis:// URL: be one of several processes, of which any serves any request")
	flag.StringVar(&where.replica, "replica", "", "this process's tag in the cluster: 2 to 16 letters and digits")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *suite, where); err != nil {
		slog.Error("conformance", "error", err)
		os.Exit(1)
	}
}

// place is where the fixtures listen, and with whom they are a cluster.
type place struct{ port, redis, replica string }

func run(ctx context.Context, suite string, where place) error {
	first, err := strconv.Atoi(cmp.Or(where.port, "3100"))
	if err != nil {
		return fmt.Errorf("PORT: %w", err)
	}
	chosen := fixtures
	if suite != "" {
		if chosen = only(suite); chosen == nil {
			return fmt.Errorf("no suite %q", suite)
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(chosen))
	for i, f := range chosen {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
		if err != nil {
			cancel()
			all.Wait()
			return err
		}
		fmt.Printf("%s: http://%s%s\n", f.name, ln.Addr(), f.path)
		all.Go(func() {
			errs[i] = f.serve(ctx, ln, where, log)
			cancel()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func only(suite string) []fixture {
	for i, f := range fixtures {
		if f.name == suite {
			return fixtures[i : i+1]
		}
	}
	return nil
}

// serve serves the fixture until ctx ends.
func (f fixture) serve(ctx context.Context, ln net.Listener, where place, log *slog.Logger) error {
	var m *member
	if where.redis != "" {
		var err error
		if m, err = joinCluster(where.redis, where.replica, f, ln, log); err != nil {
			return errors.Join(err, ln.Close())
		}
	}
	io := f.make(m, log)
	leave := m.run()
	mux := http.NewServeMux()
	mux.Handle(f.path, m.relay(io))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() { // ends with ctx; serve waits for it
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- errors.Join(leave(), io.Shutdown(ending), srv.Shutdown(ending), m.close())
	}()
	if err := io.Serve(ln, srv); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
