package wxsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ServeOptions configure the simulator as a process of its own.
type ServeOptions struct {
	Host         string   // default 127.0.0.1
	Port         int      // 0: a free one
	Callbacks    []string // where pushes go, in turn
	UnsafeListen bool     // allow a Host that is not loopback
	Output       io.Writer
	Options      Options // the rest; Callbacks and AllowRemote are set from above

	// Ready, when not nil, gets the address once it listens.
	Ready func(addr string)
}

// ErrUnsafeListen refuses an address that others can reach.
var ErrUnsafeListen = errors.New("wxsim: the simulator listens on loopback only; anybody who reaches it can log in as anybody (--unsafe-listen allows it)")

// Serve runs a simulator on its own port until ctx ends, then stops within a
// few seconds. It returns nil after a stop that ctx asked for.
func Serve(ctx context.Context, opts ServeOptions) error {
	host := or(opts.Host, "127.0.0.1")
	if !isLoopback(strings.Trim(host, "[]")) && !opts.UnsafeListen {
		return ErrUnsafeListen
	}
	sim := opts.Options
	sim.Callbacks = opts.Callbacks
	sim.AllowRemote = opts.UnsafeListen
	if opts.Output == nil {
		opts.Output = io.Discard
	}
	if sim.Logger == nil {
		sim.Logger = slog.New(slog.NewTextHandler(opts.Output, nil))
	}
	s, err := New(&sim)
	if err != nil {
		return err
	}
	defer s.Close()

	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(opts.Port)))
	if err != nil {
		return fmt.Errorf("wxsim: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(s.opts.Prefix+"/", s.Handler())
	mux.Handle(s.opts.Prefix, s.Handler())
	mux.Handle("GET /{$}", http.RedirectHandler(s.opts.Prefix, http.StatusFound))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	banner(opts.Output, listener.Addr().String(), s)
	if opts.Ready != nil {
		opts.Ready(listener.Addr().String())
	}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends when the server is shut down below
	select {
	case err = <-failed:
		return fmt.Errorf("wxsim: %w", err)
	case <-ctx.Done():
	}
	s.end() // pushes under way stop, so that the requests that wait for them end
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("wxsim: %w", err)
	}
	return nil
}

// banner says what this is before anybody mistakes it for the real thing.
func banner(w io.Writer, addr string, s *Sim) {
	base := "http://" + addr + s.opts.Prefix
	callbacks := strings.Join(s.callbacks, ", ")
	fmt.Fprintf(w, `
  WeChat SIMULATOR - not the real platform

  phone      %s
  API base   %s
  pushes to  %s
`, base, base, or(callbacks, "nowhere (--callback URL)"))
	for _, a := range s.accounts {
		fmt.Fprintf(w, "  account    %s (%s, %s mode)", a.AppID, a.Kind, a.Mode)
		if len(a.Callbacks) > 0 {
			fmt.Fprintf(w, ", pushes to %s", strings.Join(a.Callbacks, ", "))
		}
		fmt.Fprintln(w)
	}
	if s.opts.AllowRemote {
		fmt.Fprint(w, "  warning    other machines are answered: anybody can log in as anybody\n")
	}
	fmt.Fprintln(w)
}
