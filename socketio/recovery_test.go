package socketio_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"posthouse/socketio"
)

// A gap is never silent: a client that cannot be given everything gets a fresh session.
func TestRecoveryRefusesWhatItCannotProve(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := serve(t, &socketio.Options{Recovery: &socketio.Recovery{MaxPackets: 10}})
		lose := func() (sid, pid, offset string) {
			c := dial(t, srv, nil)
			c.SendText("0")
			var open struct{ SID, PID string }
			noError(t, json.Unmarshal([]byte(c.Text()[1:]), &open))
			noError(t, srv.Emit("x"))
			var event []string
			noError(t, json.Unmarshal([]byte(c.Text()[1:]), &event))
			c.Close()
			synctest.Wait()
			return open.SID, open.PID, event[1]
		}
		again := func(auth string) string {
			c := dial(t, srv, nil)
			c.SendText("0" + auth)
			answer := c.Text()
			c.Close()
			synctest.Wait()
			return answer
		}
		sid, pid, offset := lose()
		for _, auth := range []string{
			fmt.Sprintf(`{"pid":%q,"offset":"unknown"}`, pid),

			fmt.Sprintf(`{"pid":%q,"offset":7}`, pid),
			fmt.Sprintf(`{"pid":["x"],"offset":%q}`, offset),
			fmt.Sprintf(`{"pid":"unknown","offset":%q}`, offset),
			`{"__proto__":{"pid":"x"},"offset":"y"}`,
		} {
			if got := again(auth); strings.Contains(got, sid) || !strings.HasPrefix(got, `0{"sid"`) {
				t.Errorf("%s: %s", auth, got)
			}
		}
		if got := again(fmt.Sprintf(`{"pid":%q,"offset":%q}`, pid, offset)); !strings.Contains(got, sid) {
			t.Errorf("not recovered after wrong attempts: %s", got)
		}
		sid, pid, offset = lose()
		for range 30 { // more than MaxPackets
			noError(t, srv.Emit("y"))
		}
		if got := again(fmt.Sprintf(`{"pid":%q,"offset":%q}`, pid, offset)); strings.Contains(got, sid) {
			t.Errorf("recovered with a gap: %s", got)
		}
	})
}
