package socketio_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// More events than are held while a recovered client is let in: it is disconnected with
// what it has, and gets the rest when it comes back.
func TestRecovery_MoreEventsThanAreHeld_AreNotLost(t *testing.T) {
	const events = 1500
	srv := sockettest.NewServer(t, &socketio.Options{Recovery: &socketio.Recovery{MaxPackets: 2 * events}})
	srv.Use(func(_ context.Context, s *socketio.Socket) error {
		if s.Recovered() && s.Auth(&struct{}{}) == nil {
			var auth struct{ Flood bool }
			if _ = s.Auth(&auth); auth.Flood {
				for i := range events {
					noError(t, srv.Emit("n", i))
				}
			}
		}
		return nil
	})
	c := srv.Connect("/", nil)
	noError(t, srv.Emit("first"))
	offset := func(m *sockettest.Message) (last string) {
		var list []any
		noError(t, json.Unmarshal([]byte(m.Args.String()), &list))
		return list[len(list)-1].(string)
	}
	from := offset(c.Expect("first"))
	back := srv.Connect("/", map[string]any{"pid": c.PID, "offset": from, "flood": true})
	if back.ID != c.ID {
		t.Fatal("not recovered")
	}
	next := 0
	take := func(m *sockettest.Message) {
		t.Helper()
		if got := m.Args.JSON(0); got != strconv.Itoa(next) {
			t.Fatalf("got %s, want %d", got, next)
		}
		next++
		from = offset(m)
	}
	noError(t, srv.Emit("n", events)) // is behind what was not held
	ctx, cancel := context.WithTimeout(t.Context(), sockettest.Wait)
	defer cancel()
	for {
		m, err := back.Conn.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				t.Fatal("the client was not disconnected")
			}
			break
		}
		var list []any
		noError(t, json.Unmarshal(m.Data[1:], &list))
		if list[1] != float64(next) {
			t.Fatalf("got %v, want %d", list, next)
		}
		next++
		from = list[2].(string)
	}
	back = srv.Connect("/", map[string]any{"pid": c.PID, "offset": from})
	if back.ID != c.ID {
		t.Fatal("not recovered the second time")
	}
	for next <= events {
		take(back.Expect("n"))
	}
	back.Quiet()
}
