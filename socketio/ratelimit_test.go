package socketio_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
)

func TestLimits_EventsPerSecondDropsThenDisconnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: 10, EventsBurst: 5}})
		handled, refused, answered := 0, 0, 0
		srv.OnConnection(func(s *socketio.Socket) {
			s.On("e", func(e *socketio.Event) { handled++; _ = e.Ack() })
			s.OnError(func(err error) {
				early, ok := errors.AsType[*socketio.RateError](err)
				if !ok || !errors.Is(err, socketio.ErrRate) || early.Event != "e" {
					t.Errorf("error %v", err)
					return
				}
				refused++
				if early.Answered {
					answered++
				}
			})
		})
		c := srv.Connect("/", nil)
		for range 5 {
			want(t, c.Call("e").String(), "[]")
		}
		want(t, c.Call("e").String(), `[{"error":{"code":"rate_limited","message":"too many events","retryAfter":1}}]`)
		time.Sleep(200 * time.Millisecond)
		want(t, c.Call("e").String(), "[]")
		want(t, c.Call("e").String(), "[]")
		for range 20 {
			_ = c.Conn.Send(engineio.Message{Data: []byte(`2["e"]`)})
		}
		c.Disconnected()
		synctest.Wait()
		if handled != 7 || refused != 14 || answered != 1 { // the fifteenth ends it: three bursts
			t.Errorf("%d handled, %d refused, %d answered", handled, refused, answered)
		}
	})
}

// The refusals of a flood that comes faster than the handlers run reach the client before the
// end does; a handler that does not return keeps the end off for three more bursts.
func TestLimits_EventsPerSecondTellsBeforeItDisconnects(t *testing.T) {
	for _, c := range []struct{ flood, told int }{{20, 14}, {40, 0}} {
		bubble(t, func(t *testing.T) {
			srv := serve(t, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: 1, EventsBurst: 5}})
			release := make(chan struct{})
			srv.OnConnection(func(s *socketio.Socket) {
				s.On("e", func(*socketio.Event) { <-release })
				s.OnError(func(error) { _ = s.Emit("told") })
			})
			client := srv.Connect("/", nil)
			for range c.flood {
				_ = client.Conn.Send(engineio.Message{Data: []byte(`2["e"]`)})
			}
			synctest.Wait()
			if disconnected := srv.Of("/").Len() == 0; disconnected != (c.told == 0) {
				t.Errorf("%d events, and a handler that has not returned: disconnected %t", c.flood, disconnected)
			}
			close(release)
			for range c.told {
				client.Expect("told")
			}
			client.Disconnected()
		})
	}
}

// The rate of a namespace stands in the place of the server's, also in namespaces
// that are made on demand; 0 takes it off.
func TestNamespace_LimitEventsIsItsOwnRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: 1}})
		dynamic := srv.OfFunc(func(ctx, string, json.RawMessage) bool { return true })
		dynamic.LimitEvents(1, 4)
		srv.Of("/free").LimitEvents(0, 0)
		for _, n := range []interface {
			OnEvent(string, func(*socketio.Event))
		}{srv, dynamic, srv.Of("/free")} {
			n.OnEvent("e", func(e *socketio.Event) { _ = e.Ack() })
		}
		for name, burst := range map[string]int{"/": 2, "/dynamic": 4, "/free": 100} {
			c := srv.Connect(name, nil)
			taken := 0
			for taken < 100 && c.Call("e").String() == "[]" {
				taken++
			}
			if taken != burst {
				t.Errorf("%s: %d events were taken", name, taken)
			}
		}
	})
}

// Events that came at an honest pace are all handled, however long a handler kept
// them waiting.
func TestLimits_EventsPerSecondCountsArrivals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: 5, EventsBurst: 5}})
		handled, release := 0, make(chan struct{})
		srv.OnEvent("e", func(*socketio.Event) { <-release; handled++ })
		srv.OnConnection(func(s *socketio.Socket) { s.OnError(func(err error) { t.Error(err) }) })
		c := srv.Connect("/", nil)
		for range 50 {
			c.Emit("e")
			time.Sleep(200 * time.Millisecond)
		}
		close(release)
		synctest.Wait()
		if handled != 50 {
			t.Errorf("%d handled", handled)
		}
	})
}
