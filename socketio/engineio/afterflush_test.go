package engineio_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// A function given to AfterFlush runs on a goroutine of the server, which Shutdown
// waits for.
func TestSession_AfterFlush_ShutdownWaitsForTheFunction(t *testing.T) {
	for _, queued := range []bool{false, true} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			sid := w.open("EIO=4&transport=polling")
			release, running := make(chan struct{}), make(chan struct{})
			if queued {
				w.last().s.Send(text("x"))
			}
			w.last().s.AfterFlush(func() { close(running); <-release })
			if queued {
				w.get("EIO=4&transport=polling&sid=" + sid)
			}
			<-running
			ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
			defer cancel()
			if err := w.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("queued %v: Shutdown returned %v while the function ran", queued, err)
			}
			close(release)
		})
	}
}

func TestSession_AfterFlush_PanicEndsTheSessionOnly(t *testing.T) {
	var log bytes.Buffer
	o := engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	inWorld(t, o, nil, func(w *world) {
		w.open("EIO=4&transport=polling")
		w.last().s.AfterFlush(func() { panic("boom") })
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
		if n := strings.Count(log.String(), "boom"); n != 1 {
			t.Errorf("the panic was logged %d times", n)
		}
	})
}
