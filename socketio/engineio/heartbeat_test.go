package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// since returns how much fake time f takes.
func since(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}

func TestHeartbeat_PingComesAnIntervalAfterEachPong(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		if d := since(func() { s.expect(t, "2") }); d != 25*time.Second {
			t.Errorf("first ping after %v", d)
		}
		time.Sleep(7 * time.Second)
		s.send("3")
		if d := since(func() { s.expect(t, "2") }); d != 25*time.Second {
			t.Errorf("second ping %v after the pong", d)
		}
	})
}

func TestHeartbeat_PingTimeoutIsExact(t *testing.T) {
	for _, query := range []string{"EIO=4&transport=websocket", "EIO=3&transport=websocket"} {
		inWorld(t, engineio.Options{AllowEIO3: true}, nil, func(w *world) {
			s := w.websocket(query, nil)
			s.recv()
			d := since(func() {
				for s.recv().close == 0 {
				}
			})
			if d != 45*time.Second {
				t.Errorf("%s: closed after %v", query, d)
			}
			synctest.Wait()
			if reason, _ := w.last().end(); reason != engineio.ReasonPingTimeout {
				t.Errorf("%s: reason %q", query, reason)
			}
		})
	}
}

func TestHeartbeat_PingTimeoutWithoutAPoll(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		time.Sleep(45*time.Second - time.Millisecond)
		synctest.Wait()
		if reason, _ := w.last().end(); reason != "" {
			t.Fatalf("closed early: %q", reason)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.status != 400 {
			t.Errorf("status %d", r.status)
		}
	})
}

func TestHeartbeat_UnaskedPongsChangeNothing(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		d := since(func() {
			for range 5 {
				time.Sleep(4 * time.Second)
				s.send("3")
			}
			s.expect(t, "2")
		})
		if d != 25*time.Second {
			t.Errorf("ping after %v", d)
		}
	})
}

func TestHeartbeat_DeadlineIsExtendedOncePerPing(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		for range 2 { // per ping: so a pong allows it again
			s.expect(t, "2")
			time.Sleep(15 * time.Second)
			s.send("4x")
			time.Sleep(15 * time.Second)
			s.send("3")
		}
		s.expect(t, "2")
		d := since(func() {
			time.Sleep(15 * time.Second)
			s.send("4x")
			time.Sleep(15 * time.Second)
			s.send("4y") // too late to count again
			s.recv()
		})
		if d != 35*time.Second {
			t.Errorf("closed %v after the ping", d)
		}
	})
}

func TestHeartbeat_DeadlineRunsOnAfterAnUpgrade(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "2" {
			t.Fatalf("got %q", r.body)
		}
		time.Sleep(10 * time.Second)
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		s.send("5")
		if d := since(func() { s.recv() }); d != 20*time.Second {
			t.Errorf("closed %v after the upgrade", d)
		}
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestHeartbeat_Revision3DeadlineCountsFromTheLastPing(t *testing.T) {
	inWorld(t, engineio.Options{AllowEIO3: true}, nil, func(w *world) {
		s := w.websocket("EIO=3&transport=websocket", nil)
		s.recv()
		time.Sleep(40 * time.Second)
		s.send("2")
		s.expect(t, "3")
		time.Sleep(10 * time.Second)
		s.send("4no ping")
		if d := since(func() { s.recv() }); d != 35*time.Second {
			t.Errorf("closed %v after the message", d)
		}
	})
}
