package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// Sessions whose pings are nearly due are pinged together, a little early; their
// deadlines for pongs are their own, and never early.
func TestHeartbeat_PingsThatAreNearlyDueShareAWakeUp(t *testing.T) {
	o := engineio.Options{PingInterval: 16 * time.Second, PingTimeout: 10 * time.Second}
	inWorld(t, o, nil, func(w *world) {
		begin := time.Now()
		a := w.websocket("EIO=4&transport=websocket", nil)
		time.Sleep(900 * time.Millisecond)
		b := w.websocket("EIO=4&transport=websocket", nil)
		time.Sleep(600 * time.Millisecond)
		c := w.websocket("EIO=4&transport=websocket", nil)
		for _, s := range []*socket{a, b, c} {
			s.recv()
		}
		a.expect(t, "2")
		b.expect(t, "2")
		if d := time.Since(begin); d != 16*time.Second {
			t.Errorf("a and b were pinged after %v", d)
		}
		b.send("3")
		c.expect(t, "2")
		if d := time.Since(begin); d != 17500*time.Millisecond {
			t.Errorf("c was pinged after %v", d)
		}
		if a.recv(); time.Since(begin) != 26*time.Second {
			t.Errorf("a was closed after %v", time.Since(begin))
		}
		if c.recv(); time.Since(begin) != 27500*time.Millisecond {
			t.Errorf("c was closed after %v", time.Since(begin))
		}
		b.expect(t, "2")
		if d := time.Since(begin); d != 32*time.Second {
			t.Errorf("b was pinged again after %v", d)
		}
	})
}

// However many sessions come and go, those that stay keep their deadlines.
func TestHeartbeat_DeadlinesOfOthersSurvive(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		begin := time.Now()
		var all []*socket
		for range 9 {
			all = append(all, w.websocket("EIO=4&transport=websocket", nil))
			time.Sleep(time.Second)
		}
		for i, s := range all {
			s.recv()
			if i%3 != 1 { // the first, the last and some between leave
				s.conn.Close()
			}
		}
		synctest.Wait()
		for i, s := range all {
			if i%3 != 1 {
				continue
			}
			s.expect(t, "2")
			if d := time.Since(begin); d != 25*time.Second+time.Duration(i)*time.Second {
				t.Errorf("%d was pinged after %v", i, d)
			}
		}
	})
}
