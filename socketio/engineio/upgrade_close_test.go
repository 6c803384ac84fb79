package engineio_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"posthouse/socketio/engineio"
)

// TestCloseDuringUpgrade closes a session whose queue waits for a GET that never
// comes, because the client has begun to upgrade: the WebSocket carries the rest.
func TestCloseDuringUpgrade(t *testing.T) {
	for _, queued := range [][]string{nil, {"a", "b", "c"}} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			sid := w.open("EIO=4&transport=polling")
			s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
			s.send("2probe")
			s.expect(t, "3probe")
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
