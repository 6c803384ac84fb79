package main

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"posthouse/internal/load"
	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every scenario finds what it needs, and checks each answer.
func TestConventions(t *testing.T) {
	for _, s := range slices.Concat(load.Scenarios(), load.Growth(), load.Latency()) {
		if s.Extra {
			continue // the others, with more connections
		}
		t.Run(s.Name, func(t *testing.T) {
			opts := &socketio.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			if s.Env != nil {
				opts.Engine = engineio.Options{PingInterval: 100 * time.Millisecond}
			}
			srv := socketio.NewServer(opts)
			offer(srv, false)
			hs := httptest.NewServer(routes(srv, false))
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if err := srv.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				hs.Close()
			})
			addr := strings.TrimPrefix(hs.URL, "http://")
			target, err := load.Find(t.Context(), addr)
			if err != nil || target.PID != os.Getpid() {
				t.Fatalf("%+v, %v", target, err)
			}
			// In memory, a cluster of one node: both ends of a relay are here.
			m, err := s.Run(t.Context(), load.Load{Duration: 50 * time.Millisecond, Connections: 4, Idle: 8, Members: 8}, []*load.Target{target, target})
			if err != nil {
				t.Fatal(err)
			}
			if len(m) == 0 || m[0].Name == "" && m[0].Value <= 0 {
				t.Errorf("measured %+v", m)
			}
		})
	}
}
