package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"posthouse/internal/load"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

// The scenarios over TLS and with compression find what they need too.
func TestConventions_TLSAndDeflate(t *testing.T) {
	for _, s := range load.Scenarios() {
		secure, deflate := slices.Contains(s.Env, "BENCH_TLS=1"), slices.Contains(s.Env, "BENCH_DEFLATE=1")
		if !secure && !deflate {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			opts := &socketio.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			if deflate {
				opts.Engine.PerMessageDeflate = &engineio.PerMessageDeflate{}
			}
			srv := socketio.NewServer(opts)
			offer(srv, false)
			hs := httptest.NewUnstartedServer(routes(srv, false))
			hs.Config.ErrorLog = log.New(io.Discard, "", 0)
			prefix := ""
			if secure {
				hs.StartTLS()
				prefix = load.TLS
			} else {
				hs.Start()
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if err := srv.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				hs.Close()
			})
			_, addr, _ := strings.Cut(hs.URL, "://")
			target, err := load.Find(t.Context(), prefix+addr)
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.Run(t.Context(), load.Load{Duration: 50 * time.Millisecond, Connections: 4, Idle: 8, Members: 8}, []*load.Target{target})
			if err != nil || len(m) == 0 {
				t.Fatalf("measured %+v, %v", m, err)
			}
		})
	}
}
