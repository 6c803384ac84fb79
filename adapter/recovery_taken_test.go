package adapter_test

import (
	"strings"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

// A node that was cut off from Redis learns that another one went on with a session: its own
// socket ends, lists have the session once, and what it knew of it is not used again.
func TestRecovery_ReplicaCutOff_EndsTheSocketsThatWentOnElsewhere(t *testing.T) {
	t.Parallel()
	for name, make := range recoveringAdapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb, _ := newRedis(t)
			a := newMortalReplica(t, rdb, make)
			b := newGoReplica(t, make(rdb), withRecovery())
			knowEachOther(t, a.goReplica, b)
			offers(t, b, b.Connect("/", nil))
			c, stays := a.Connect("/", nil), a.Connect("/", nil)
			offset := offers(t, a.goReplica, c)
			isCurrent(t, rdb, c, 1, "{}")
			isCurrent(t, rdb, stays, 1, "{}")

			a.kill() // for a while
			back := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset})
			if back.ID != c.ID {
				t.Fatal("a new session")
			}
			must(t, b, command{Cmd: "join", SID: c.ID, Rooms: []string{"room1"}})
			a.proxy.refuseConns("")

			c.Conn.Closed()
			testenv.Until(t, 10*time.Second, "the cluster", func() bool { return must(t, b, command{Cmd: "serverCount"}) == "2" })
			for _, r := range []*goReplica{a.goReplica, b} {
				testenv.Until(t, 10*time.Second, "one socket", func() bool {
					list := must(t, r, command{Cmd: "fetchSockets", To: []string{c.ID}})
					if strings.Count(list, c.ID) > 2 { // its id and its own room
						t.Errorf("listed twice: %s", list)
					}
					return strings.Contains(list, "room1")
				})
			}
			if a.Socket(stays.ID) == nil {
				t.Error("a socket ended that did not go on elsewhere")
			}
			// The session of now is kept, and not the one of then.
			offset = offers(t, b, back)
			back.Close()
			kept(t, rdb, c.PID)
			// With Pub/Sub a node that has just come back may leave it uncertain what was heard.
			switch again := b.Connect("/", map[string]any{"pid": c.PID, "offset": offset}); {
			case again.ID == c.ID && !b.Socket(c.ID).InRoom("room1"):
				t.Error("the session of before the cut was used")
			case again.ID != c.ID && name == "streams":
				t.Error("not recovered once more")
			}
		})
	}
}
