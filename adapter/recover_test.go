package adapter

import (
	"context"
	"log/slog"
	"strings"
	"testing"
)

// A message that makes its reader panic costs itself: the next one is handled.
func TestMessages_PanicInOne_CostsOnlyItself(t *testing.T) {
	var text strings.Builder
	log, st := slog.New(slog.NewTextHandler(&text, nil)), &counters{}

	w := newWorker(st, log)
	ctx, cancel := context.WithCancel(t.Context())
	handled := false
	w.queueTask(func() { panic("a broken request") })
	w.queueTask(func() {
		handled = true
		cancel()
	})
	w.run(ctx)
	if !handled {
		t.Error("the worker does not go on")
	}

	var got []string
	l := &subscription{counters: st, log: log, onMessage: func(_, payload string) {
		if payload == "broken" {
			panic("a broken message")
		}
		got = append(got, payload)
	}}
	l.handOver("channel", "broken")
	l.handOver("channel", "good")
	if len(got) != 1 {
		t.Errorf("delivered %q", got)
	}

	r := &streamReader{log: log}
	r.handOver(brokenListener{}, entryID{}, nil)

	if n := st.snapshot().Malformed; n != 2 {
		t.Errorf("%d messages were counted", n)
	}
	if n := strings.Count(text.String(), "panic while a message from redis was handled"); n != 3 {
		t.Errorf("%d lines", n)
	}
}

type brokenListener struct{ streamListener }

func (brokenListener) receiveEntry(entryID, *clusterMessage, error) { panic("a broken entry") }
