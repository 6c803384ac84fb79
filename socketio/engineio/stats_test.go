package engineio_test

import (
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

func TestServer_Stats_UpgradesByResult(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		upgrade := func(sid string) *socket { return w.websocket("EIO=4&transport=websocket&sid="+sid, nil) }
		// Done.
		sid := w.open("EIO=4&transport=polling")
		s := upgrade(sid)
		s.send("2probe")
		s.expect(t, "3probe")
		s.send("5")
		synctest.Wait()
		if st := w.server.Stats(); st.Sessions["polling"] != 0 || st.Sessions["websocket"] != 1 || st.Opened["polling"] != 1 || st.Opened["websocket"] != 0 {
			t.Errorf("sessions %v, opened %v", st.Sessions, st.Opened)
		}
		// Refused: the session does not poll any more.
		upgrade(sid)
		// Failed: the WebSocket says something else.
		upgrade(w.open("EIO=4&transport=polling")).send("4hello")
		// Timeout: it says nothing.
		upgrade(w.open("EIO=4&transport=polling"))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		want := map[string]uint64{"ok": 1, "refused": 1, "failed": 1, "timeout": 1}
		if got := w.server.Stats().Upgrades; !maps.Equal(got, want) {
			t.Errorf("upgrades %v, want %v", got, want)
		}
		w.get("EIO=4&transport=polling&sid=nobody")
		if got := w.server.Stats().Refused[engineio.CodeUnknownSID]; got != 1 {
			t.Errorf("refused: %d", got)
		}
	})
}

func TestServer_Stats_SlowPeerIsCounted(t *testing.T) {
	inWorld(t, engineio.Options{MaxBacklog: 1 << 20}, nil, func(w *world) {
		w.open("EIO=4&transport=polling")
		p := w.last()
		chunk := text(string(make([]byte, 600_000)))
		_ = p.s.Send(chunk)
		if got := w.server.QueuedBytes(); got < 600_000 {
			t.Errorf("queued: %d", got)
		}
		_ = p.s.Send(chunk)
		synctest.Wait()
		st := w.server.Stats()
		if st.SlowClosed != 1 || st.Closed[engineio.ReasonTransportError] != 1 || st.PacketsOut != 1 || st.BytesOut != 600_000 {
			t.Errorf("%+v", st)
		}
		if got := w.server.QueuedBytes(); got != 0 {
			t.Errorf("queued: %d", got)
		}
	})
}

// A counter that gets less is taken for a new process by what reads it.
func TestServer_Stats_NeverGetLessWhileSessionsEnd(t *testing.T) {
	const sessions, messages = 40, 5
	w := newWorld(t, engineio.Options{}, nil)
	defer w.close()
	var clients sync.WaitGroup
	for range sessions {
		clients.Go(func() {
			sid := w.open("EIO=4&transport=polling")
			for range messages - 2 {
				w.post("EIO=4&transport=polling&sid="+sid, "4hello")
			}
			w.post("EIO=4&transport=polling&sid="+sid, "4hello\x1e4hello\x1e1") // ends it with what is not noted yet
		})
	}
	ended := make(chan struct{})
	go func() { defer close(ended); clients.Wait() }()
	var last engineio.Stats
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		default:
		}
		st := w.server.Stats()
		if st.PacketsIn < last.PacketsIn || st.BytesIn < last.BytesIn {
			t.Fatalf("%d packets, then %d", last.PacketsIn, st.PacketsIn)
		}
		last = st
	}
	if last.PacketsIn != sessions*messages || last.BytesIn != sessions*messages*5 {
		t.Errorf("%d packets, %d bytes", last.PacketsIn, last.BytesIn)
	}
}

func TestOptions_OnFlush_TimesWhatWaits(t *testing.T) {
	var times []time.Duration
	inWorld(t, engineio.Options{OnFlush: func(took time.Duration) { times = append(times, took) }}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		p := w.last()
		for range 16 { // one of so many is timed
			_ = p.s.Send(text("x"))
			time.Sleep(time.Second)
			w.get("EIO=4&transport=polling&sid=" + sid)
			synctest.Wait()
		}
		if len(times) != 1 || times[0] != time.Second {
			t.Errorf("%v", times)
		}
	})
}
