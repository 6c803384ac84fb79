package engineio_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// probed opens a session and brings its upgrade to the point where the client
// pauses its polling. The next GET waits: the noops that come at once are used up.
func (w *world) probed(t *testing.T) (sid string, s *socket) {
	sid = w.open("EIO=4&transport=polling")
	s = w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
	s.send("2probe")
	s.expect(t, "3probe")
	for range 3 {
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "6" {
			t.Errorf("the GET got %q", r.body)
		}
	}
	return sid, s
}

// TestSession_Close_DuringUpgrade closes a session whose queue waits for a GET that never
// comes, because the client has begun to upgrade: the WebSocket carries the rest.
func TestSession_Close_DuringUpgrade(t *testing.T) {
	for _, queued := range [][]string{nil, {"a", "b", "c"}} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			_, s := w.probed(t)
			for _, m := range queued {
				if err := w.last().s.SendMessages(engineio.Message{Data: []byte(m)}); err != nil {
					t.Error(err)
				}
			}
			w.last().s.Close()
			s.send("5")
			var got []string
			e := s.recv()
			for ; e.close == 0; e = s.recv() {
				got = append(got, e.text[1:])
			}
			if !slices.Equal(got, queued) || e.close != 1005 {
				t.Errorf("the client got %q and close %d", got, e.close)
			}
			synctest.Wait()
			if reason, _ := w.last().end(); reason != engineio.ReasonForcedClose {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

// TestSession_EndDuringUpgrade ends a session whose client has paused its polling, as
// clients do from the pong to the upgrade packet: nothing but the close of the
// WebSocket can tell them, and they look for it behind their upgrade packet only.
func TestSession_EndDuringUpgrade(t *testing.T) {
	ends := map[string]func(*world, *engineio.Session){
		"discarded": func(_ *world, s *engineio.Session) { s.Discard() },
		"by a bad POST, while the last GET gets a message": func(w *world, s *engineio.Session) {
			poll := w.start("GET", "EIO=4&transport=polling&sid="+s.ID(), nil, "")
			synctest.Wait()
			w.last().receive = func(m engineio.Message) error { return s.SendMessages(m) }
			w.post("EIO=4&transport=polling&sid="+s.ID(), "4last\x1e?")
			if r := poll.wait(); r.body != "4last" {
				t.Errorf("the GET got %q", r.body)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inWorld(t, engineio.Options{}, nil, func(w *world) {
				_, s := w.probed(t)
				end(w, w.last().s)
				synctest.Wait()
				select {
				case e := <-s.events:
					t.Errorf("the client got %+v before its upgrade packet", e)
				default:
				}
				s.send("5")
				if e := s.recv(); e.close != 1005 {
					t.Errorf("the client got %+v", e)
				}
			})
		})
	}
}

// TestSession_EndDuringUpgradeThatGoesNoFurther does not wait for an upgrade packet for
// ever, nor where the client has learned of the end otherwise.
func TestSession_EndDuringUpgradeThatGoesNoFurther(t *testing.T) {
	const polled = "EIO=4&transport=polling&sid="
	for name, c := range map[string]struct {
		end    func(w *world, sid string)
		waited time.Duration
	}{
		"nothing tells": {func(w *world, _ string) { w.last().s.Discard() }, 2 * time.Second},
		"a GET tells": {func(w *world, sid string) {
			poll := w.start("GET", polled+sid, nil, "")
			synctest.Wait()
			w.last().s.Discard()
			if r := poll.wait(); r.body != "1" {
				t.Errorf("the GET got %q", r.body)
			}
		}, 0},
		"it asked for it": {func(w *world, sid string) { w.post(polled+sid, "1") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, engineio.Options{}, nil, func(w *world) {
				sid, s := w.probed(t)
				begin := time.Now()
				c.end(w, sid)
				if e := s.recv(); e.close != 1005 {
					t.Errorf("the client got %+v", e)
				}
				if waited := time.Since(begin); waited != c.waited {
					t.Errorf("after %v", waited)
				}
			})
		})
	}
}
